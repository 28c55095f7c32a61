import { Rpc, RpcGroup } from "@effect/rpc"
import { Schema } from "effect"
import { TimestampMs } from "../../model/index.ts"
import { AdminOnly, ForTenants, RequiredScope } from "./Annotations.ts"
import { Counts, Metadata, page, Removed, Text } from "./ControlPlaneFields.ts"
import { OrgRow } from "./ControlPlaneRpcs.ts"
import { failures } from "./Failure.ts"

export const TeamRow = Schema.Struct({ ...OrgRow.fields, teamId: Schema.String })
export type TeamRow = typeof TeamRow.Type

export const MemberRow = Schema.Struct({
  orgId: Schema.String,
  teamId: Schema.String,
  userId: Schema.String,
  role: Schema.String,
  createdAtMs: TimestampMs,
  updatedAtMs: TimestampMs
})
export type MemberRow = typeof MemberRow.Type

export const ProjectTeamRow = Schema.Struct({
  orgId: Schema.String,
  projectId: Schema.String,
  teamId: Schema.String,
  role: Schema.String,
  createdAtMs: TimestampMs,
  updatedAtMs: TimestampMs
})
export type ProjectTeamRow = typeof ProjectTeamRow.Type

const one = { orgId: Text, teamId: Text }

export const CreateTeam = Rpc.make("teams.create", {
  payload: {
    orgId: Text,
    teamId: Schema.optional(Text),
    slug: Text,
    name: Text,
    metadata: Schema.optional(Metadata)
  },
  success: TeamRow,
  error: failures("NOT_FOUND", "CONFLICT")
})

export const GetTeam = Rpc.make("teams.get", { payload: one, success: TeamRow, error: failures("NOT_FOUND") })

/** Of one organization, by id. */
export const ListTeams = Rpc.make("teams.list", {
  payload: Schema.Struct({ orgId: Text, ...page }),
  success: Schema.Array(TeamRow),
  error: failures()
})

/** What is not given stays as it is. */
export const UpdateTeam = Rpc.make("teams.update", {
  payload: {
    ...one,
    slug: Schema.optional(Text),
    name: Schema.optional(Text),
    metadata: Schema.optional(Metadata)
  },
  success: TeamRow,
  error: failures("NOT_FOUND", "CONFLICT")
})

/** Its members and its grants on projects go with it. */
export const DeleteTeam = Rpc.make("teams.delete", {
  payload: one,
  success: Schema.Struct({ teamId: Schema.String, deleted: Counts }),
  error: failures("NOT_FOUND", "CONFLICT")
})

/** Adds a user to a team, or changes the role. */
export const SetMember = Rpc.make("teamMembers.set", {
  payload: { ...one, userId: Text, role: Text },
  success: MemberRow,
  error: failures("NOT_FOUND")
})

/** Of a team, of a user, or of all teams; after `<teamId>/<userId>`. */
export const ListMembers = Rpc.make("teamMembers.list", {
  payload: Schema.Struct({ orgId: Text, teamId: Schema.optional(Text), userId: Schema.optional(Text), ...page }),
  success: Schema.Array(MemberRow),
  error: failures()
})

export const RemoveMember = Rpc.make("teamMembers.remove", {
  payload: { ...one, userId: Text },
  success: Removed,
  error: failures("NOT_FOUND")
})

const grant = { orgId: Text, projectId: Text, teamId: Text }

/** Gives a team a role in a project, or changes it. */
export const SetProjectTeam = Rpc.make("projectTeams.set", {
  payload: { ...grant, role: Text },
  success: ProjectTeamRow,
  error: failures("NOT_FOUND")
})

/** Of a project, of a team, or of all; after `<projectId>/<teamId>`. */
export const ListProjectTeams = Rpc.make("projectTeams.list", {
  payload: Schema.Struct({ orgId: Text, projectId: Schema.optional(Text), teamId: Schema.optional(Text), ...page }),
  success: Schema.Array(ProjectTeamRow),
  error: failures()
})

export const RemoveProjectTeam = Rpc.make("projectTeams.remove", {
  payload: grant,
  success: Removed,
  error: failures("NOT_FOUND")
})

/** Who is in which team of an organization, and what teams may do in its projects; ours. */
export const TeamRpcs = RpcGroup.make(
  CreateTeam,
  GetTeam,
  ListTeams,
  UpdateTeam,
  DeleteTeam,
  SetMember,
  ListMembers,
  RemoveMember,
  SetProjectTeam,
  ListProjectTeams,
  RemoveProjectTeam
)
  .annotateRpcs(RequiredScope, "run:admin")
  .annotateRpcs(AdminOnly, true)
  .annotateRpcs(ForTenants, "org")

import { Args, Command } from "@effect/cli"
import { Effect, Option } from "effect"
import { confirm } from "../Confirmation.ts"
import {
  DeletedTeamDocument,
  MemberDocument,
  MembersDocument,
  RemovedDocument,
  TeamDocument,
  TeamsDocument
} from "../Documents.ts"
import { connected, provideConnection, yes } from "../SharedOptions.ts"
import { fields, table, timestamp } from "../Table.ts"
import {
  after,
  changes,
  changesOf,
  countsText,
  desk,
  id,
  limit,
  metadata,
  metadataOf,
  named,
  org,
  role,
  slug,
  text
} from "../TenantOptions.ts"

const teamArgument = Args.text({ name: "teamId" }).pipe(Args.withDescription("Id of the team."))
const user = Args.text({ name: "userId" }).pipe(
  Args.withDescription("The user, as the identity provider names them; an e-mail address.")
)

const teamText = (row: typeof TeamDocument.Type): string =>
  fields([
    ["Id", row.teamId],
    ["Organization", row.orgId],
    ["Slug", row.slug],
    ["Name", row.name],
    ["Created", timestamp(row.createdAtMs)]
  ])

const teamCreate = Command.make(
  "create",
  { org, slug, name: named, id, metadata, ...connected },
  ({ id, metadata, name, org, slug }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      const row = yield* client["teams.create"]({
        orgId: org,
        teamId: Option.getOrUndefined(id),
        slug,
        name,
        metadata: yield* metadataOf(metadata)
      })
      yield* output.print(TeamDocument, row, () => `Team ${row.teamId} of ${org} is made.`)
    })
).pipe(Command.withDescription("Make a team."), provideConnection)

const teamList = Command.make(
  "list",
  { org, limit, after, ...connected },
  ({ after, limit, org }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      const teams = yield* client["teams.list"]({ orgId: org, limit, after: Option.getOrUndefined(after) })
      yield* output.print(TeamsDocument, { teams }, () =>
        teams.length === 0 ? "No teams." : table(
          ["TEAM", "SLUG", "NAME", "CREATED"],
          teams.map(({ createdAtMs, name, slug, teamId }) => [teamId, slug, name, timestamp(createdAtMs)])
        ))
    })
).pipe(Command.withDescription("List the teams of an organization by id."), provideConnection)

const teamShow = Command.make(
  "show",
  { org, team: teamArgument, ...connected },
  ({ org, team }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      yield* output.print(TeamDocument, yield* client["teams.get"]({ orgId: org, teamId: team }), teamText)
    })
).pipe(Command.withDescription("Show a team."), provideConnection)

const teamUpdate = Command.make(
  "update",
  { org, team: teamArgument, ...changes, ...connected },
  ({ org, team, ...given }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      const row = yield* client["teams.update"]({ orgId: org, teamId: team, ...yield* changesOf(given) })
      yield* output.print(TeamDocument, row, teamText)
    })
).pipe(Command.withDescription("Change a team; what is not given stays as it is."), provideConnection)

const teamDelete = Command.make(
  "delete",
  { org, team: teamArgument, yes, ...connected },
  ({ org, team, yes }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      yield* confirm(`Delete team ${team} with its members and its grants on projects?`, yes)
      const answer = yield* client["teams.delete"]({ orgId: org, teamId: team })
      yield* output.print(DeletedTeamDocument, answer, ({ deleted }) => {
        const along = countsText(deleted)
        return `Team ${team} of ${org} is deleted.${along === "" ? "" : ` With it: ${along}.`}`
      })
    })
).pipe(Command.withDescription("Delete a team with its members and grants."), provideConnection)

const teamAdd = Command.make(
  "add",
  { org, team: teamArgument, user, role, ...connected },
  ({ org, role, team, user }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      const row = yield* client["teamMembers.set"]({ orgId: org, teamId: team, userId: user, role })
      yield* output.print(MemberDocument, row, () => `${user} is ${role} in team ${team}.`)
    })
).pipe(Command.withDescription("Add a user to a team, or change the role."), provideConnection)

const teamMembers = Command.make("members", {
  org,
  team: text("team", "Only those of this team."),
  user: text("user", "Only the teams of this user."),
  limit,
  after: text("after", "Only those behind this <teamId>/<userId>."),
  ...connected
}, ({ after, limit, org, team, user }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    const members = yield* client["teamMembers.list"]({
      orgId: org,
      teamId: Option.getOrUndefined(team),
      userId: Option.getOrUndefined(user),
      limit,
      after: Option.getOrUndefined(after)
    })
    yield* output.print(MembersDocument, { members }, () =>
      members.length === 0 ? "No members." : table(
        ["TEAM", "USER", "ROLE", "SINCE"],
        members.map(({ createdAtMs, role, teamId, userId }) => [teamId, userId, role, timestamp(createdAtMs)])
      ))
  })).pipe(Command.withDescription("List who is in the teams of an organization."), provideConnection)

const teamRemove = Command.make(
  "remove",
  { org, team: teamArgument, user, ...connected },
  ({ org, team, user }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      const answer = yield* client["teamMembers.remove"]({ orgId: org, teamId: team, userId: user })
      yield* output.print(RemovedDocument, answer, () => `${user} is not in team ${team} any more.`)
    })
).pipe(Command.withDescription("Remove a user from a team."), provideConnection)

export const teamCommand = Command.make("team").pipe(
  Command.withDescription("Teams of an organization, and who is in them."),
  Command.withSubcommands([
    teamCreate,
    teamList,
    teamShow,
    teamUpdate,
    teamDelete,
    teamAdd,
    teamMembers,
    teamRemove
  ])
)

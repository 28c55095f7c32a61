import { Effect, Schema } from "effect"
import { randomUUID } from "node:crypto"
import { Write } from "../persistence/index.ts"
import {
  type ChangeError,
  type Conflict,
  type CreateError,
  type ReadError,
  RecordNotFound,
  type SlugTaken
} from "./ControlPlaneError.ts"
import { AtMs, Id, page, pairOf, Role, UserId } from "./Fields.ts"
import { type Counts, deleting } from "./internal/Cascade.ts"
import { orgExists, teamExists } from "./internal/Guards.ts"
import { checked } from "./internal/Input.ts"
import { changedNamed, free, named, newNamed, teams, update } from "./internal/Named.ts"
import type { Plane } from "./internal/Plane.ts"
import { makeTable } from "./internal/Table.ts"

export const Team = Schema.Struct({ orgId: Id, teamId: Id, ...named })
export type Team = typeof Team.Type

/** A user in a team. */
export const TeamMember = Schema.Struct({
  orgId: Id,
  teamId: Id,
  userId: UserId,
  role: Role,
  createdAtMs: AtMs,
  updatedAtMs: AtMs
})
export type TeamMember = typeof TeamMember.Type

const New = Schema.Struct({ orgId: Id, teamId: Schema.optional(Id), ...newNamed })
const Change = Schema.Struct({ orgId: Id, teamId: Id, ...changedNamed })
const One = Schema.Struct({ orgId: Id, teamId: Id })
const Page = Schema.Struct({ orgId: Id, ...page })
const Membership = Schema.Struct({ orgId: Id, teamId: Id, userId: UserId, role: Role })
const OneMember = Schema.Struct({ orgId: Id, teamId: Id, userId: UserId })
const MemberPage = Schema.Struct({ orgId: Id, teamId: Schema.optional(Id), userId: Schema.optional(UserId), ...page })

const checkNew = checked(New)
const checkChange = checked(Change)
const checkOne = checked(One)
const checkPage = checked(Page)
const checkMembership = checked(Membership)
const checkOneMember = checked(OneMember)
const checkMemberPage = checked(MemberPage)

/** What a deletion took along, by table. */
export interface DeletedTeam {
  readonly teamId: string
  readonly deleted: Counts
}

export interface TeamMethods {
  /** The id is a random UUID unless given. */
  readonly createTeam: (input: typeof New.Encoded) => Effect.Effect<Team, CreateError>
  readonly getTeam: (input: typeof One.Encoded) => Effect.Effect<Team, RecordNotFound | ReadError>
  /** By id, after the id `after`. */
  readonly listTeams: (input: typeof Page.Encoded) => Effect.Effect<ReadonlyArray<Team>, ReadError>
  /** What is not given stays as it is. */
  readonly updateTeam: (input: typeof Change.Encoded) => Effect.Effect<Team, ChangeError | SlugTaken>
  /** Its members and grants go with it. */
  readonly deleteTeam: (input: typeof One.Encoded) => Effect.Effect<DeletedTeam, ChangeError | Conflict>
  /** Adds a user, or changes the role of one who is in the team. */
  readonly addTeamMember: (input: typeof Membership.Encoded) => Effect.Effect<TeamMember, ChangeError>
  /** Of a team, of a user, or of all teams; by team and user, after `<teamId>/<userId>`. */
  readonly listTeamMembers: (input: typeof MemberPage.Encoded) => Effect.Effect<ReadonlyArray<TeamMember>, ReadError>
  readonly removeTeamMember: (input: typeof OneMember.Encoded) => Effect.Effect<void, ChangeError>
}

const parts = [
  { name: "teamMembers", table: "_smithers_cp_team_members", where: "org_id = ? AND team_id = ?" },
  { name: "projectTeams", table: "_smithers_cp_project_teams", where: "org_id = ? AND team_id = ?" }
]

export const make = ({ change, persistence }: Plane): TeamMethods => {
  const table = makeTable(persistence, teams.table, Team, { key: ["orgId", "teamId"] })
  const members = makeTable(persistence, "_smithers_cp_team_members", TeamMember, {
    key: ["orgId", "teamId", "userId"],
    kept: ["createdAtMs"]
  })
  const about = (action: string, orgId: string, teamId: string) => ({
    orgId,
    action,
    targetType: "team",
    targetId: teamId
  })

  return {
    createTeam: Effect.fn("ControlPlane.createTeam")(function*(input) {
      const { metadata = {}, name, orgId, slug, teamId = randomUUID() } = yield* checkNew(input)
      return yield* change(about("team.create", orgId, teamId), (nowMs) => {
        const team = { orgId, teamId, slug, name, metadata, createdAtMs: nowMs, updatedAtMs: nowMs }
        return Write.all([orgExists(orgId), free(teams, [orgId], teamId, slug), table.insert(team)]).pipe(
          Write.map(() => team)
        )
      })
    }),
    getTeam: Effect.fn("ControlPlane.getTeam")(function*(input) {
      const { orgId, teamId } = yield* checkOne(input)
      const [team] = yield* table.select("WHERE org_id = ? AND team_id = ?", [orgId, teamId])
      return team ?? (yield* new RecordNotFound({ kind: "team", orgId, id: teamId }))
    }),
    listTeams: Effect.fn("ControlPlane.listTeams")(function*(input) {
      const { after = "", limit = 50, orgId } = yield* checkPage(input)
      return yield* table.select("WHERE org_id = ? AND team_id > ? ORDER BY team_id LIMIT ?", [orgId, after, limit])
    }),
    updateTeam: Effect.fn("ControlPlane.updateTeam")(function*(input) {
      const { orgId, teamId, ...changes } = yield* checkChange(input)
      const detail = { changed: Object.keys(changes) }
      const [, rows] = yield* change({ ...about("team.update", orgId, teamId), detail }, (nowMs) =>
        Write.all([
          teamExists(orgId, teamId),
          update(teams, [orgId], teamId, changes, table.columns, nowMs)
        ]))
      return yield* table.one(rows)
    }),
    deleteTeam: Effect.fn("ControlPlane.deleteTeam")(function*(input) {
      const { orgId, teamId } = yield* checkOne(input)
      const [deleted] = yield* deleting(
        persistence,
        parts,
        [orgId, teamId],
        (counts, unchanged) =>
          change({ ...about("team.delete", orgId, teamId), detail: counts }, () =>
            Write.all([
              teamExists(orgId, teamId),
              unchanged,
              Write.run("DELETE FROM _smithers_cp_teams WHERE org_id = ? AND team_id = ?", [orgId, teamId])
            ]))
      )
      return { teamId, deleted }
    }),
    addTeamMember: Effect.fn("ControlPlane.addTeamMember")(function*(input) {
      const member = yield* checkMembership(input)
      const { orgId, role, teamId, userId } = member
      const detail = { userId, role }
      const [, rows] = yield* change({ ...about("team.member.upsert", orgId, teamId), detail }, (nowMs) =>
        Write.all([
          teamExists(orgId, teamId),
          members.upsert({ ...member, createdAtMs: nowMs, updatedAtMs: nowMs })
        ]))
      return yield* members.one(rows)
    }),
    listTeamMembers: Effect.fn("ControlPlane.listTeamMembers")(function*(input) {
      const { after = "", limit = 50, orgId, teamId = null, userId = null } = yield* checkMemberPage(input)
      return yield* members.select(
        `WHERE org_id = ? AND team_id = COALESCE(?, team_id) AND user_id = COALESCE(?, user_id)
          AND (team_id, user_id) > (?, ?) ORDER BY team_id, user_id LIMIT ?`,
        [orgId, teamId, userId, ...pairOf(after), limit]
      )
    }),
    removeTeamMember: Effect.fn("ControlPlane.removeTeamMember")(function*(input) {
      const { orgId, teamId, userId } = yield* checkOneMember(input)
      yield* change({ ...about("team.member.remove", orgId, teamId), detail: { userId } }, () =>
        Write.guard(
          "DELETE FROM _smithers_cp_team_members WHERE org_id = ? AND team_id = ? AND user_id = ?",
          [orgId, teamId, userId],
          () => new RecordNotFound({ kind: "member", orgId, id: `${teamId}/${userId}` })
        ))
    })
  }
}

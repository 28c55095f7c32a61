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
import { AtMs, Id, page, pairOf, Role } from "./Fields.ts"
import { type Counts, deleting } from "./internal/Cascade.ts"
import { orgExists, projectExists, teamExists } from "./internal/Guards.ts"
import { checked } from "./internal/Input.ts"
import { changedNamed, free, named, newNamed, projects, update } from "./internal/Named.ts"
import type { Plane } from "./internal/Plane.ts"
import { makeTable } from "./internal/Table.ts"

export const Project = Schema.Struct({ orgId: Id, projectId: Id, ...named })
export type Project = typeof Project.Type

/** What a team may do in a project. */
export const ProjectTeam = Schema.Struct({
  orgId: Id,
  projectId: Id,
  teamId: Id,
  role: Role,
  createdAtMs: AtMs,
  updatedAtMs: AtMs
})
export type ProjectTeam = typeof ProjectTeam.Type

const New = Schema.Struct({ orgId: Id, projectId: Schema.optional(Id), ...newNamed })
const Change = Schema.Struct({ orgId: Id, projectId: Id, ...changedNamed })
const One = Schema.Struct({ orgId: Id, projectId: Id })
const Page = Schema.Struct({ orgId: Id, ...page })
const Grant = Schema.Struct({ orgId: Id, projectId: Id, teamId: Id, role: Role })
const OneGrant = Schema.Struct({ orgId: Id, projectId: Id, teamId: Id })
const GrantPage = Schema.Struct({ orgId: Id, projectId: Schema.optional(Id), teamId: Schema.optional(Id), ...page })

const checkNew = checked(New)
const checkChange = checked(Change)
const checkOne = checked(One)
const checkPage = checked(Page)
const checkGrant = checked(Grant)
const checkOneGrant = checked(OneGrant)
const checkGrantPage = checked(GrantPage)

/** What a deletion took along, by table. */
export interface DeletedProject {
  readonly projectId: string
  readonly deleted: Counts
}

export interface ProjectMethods {
  /** The id is a random UUID unless given. */
  readonly createProject: (input: typeof New.Encoded) => Effect.Effect<Project, CreateError>
  readonly getProject: (input: typeof One.Encoded) => Effect.Effect<Project, RecordNotFound | ReadError>
  /** By id, after the id `after`. */
  readonly listProjects: (input: typeof Page.Encoded) => Effect.Effect<ReadonlyArray<Project>, ReadError>
  /** What is not given stays as it is. */
  readonly updateProject: (input: typeof Change.Encoded) => Effect.Effect<Project, ChangeError | SlugTaken>
  /**
   * Its team grants, limits and secret references go with it. Its usage stays and counts for the organization still, and
   * so do its audit rows.
   */
  readonly deleteProject: (input: typeof One.Encoded) => Effect.Effect<DeletedProject, ChangeError | Conflict>
  /** Gives a team a role in a project, or changes it. */
  readonly addProjectTeam: (input: typeof Grant.Encoded) => Effect.Effect<ProjectTeam, ChangeError>
  /** Of a project, of a team, or of all; by project and team, after `<projectId>/<teamId>`. */
  readonly listProjectTeams: (input: typeof GrantPage.Encoded) => Effect.Effect<ReadonlyArray<ProjectTeam>, ReadError>
  readonly removeProjectTeam: (input: typeof OneGrant.Encoded) => Effect.Effect<void, ChangeError>
}

const parts = [
  { name: "projectTeams", table: "_smithers_cp_project_teams", where: "org_id = ? AND project_id = ?" },
  { name: "usageLimits", table: "_smithers_cp_usage_limits", where: "org_id = ? AND project_id = ?" },
  { name: "secretRefs", table: "_smithers_cp_secret_refs", where: "org_id = ? AND project_id = ?" }
]

export const make = ({ change, persistence }: Plane): ProjectMethods => {
  const table = makeTable(persistence, projects.table, Project, { key: ["orgId", "projectId"] })
  const grants = makeTable(persistence, "_smithers_cp_project_teams", ProjectTeam, {
    key: ["orgId", "projectId", "teamId"],
    kept: ["createdAtMs"]
  })
  const about = (action: string, orgId: string, projectId: string) => ({
    orgId,
    projectId,
    action,
    targetType: "project",
    targetId: projectId
  })

  return {
    createProject: Effect.fn("ControlPlane.createProject")(function*(input) {
      const { metadata = {}, name, orgId, projectId = randomUUID(), slug } = yield* checkNew(input)
      return yield* change(about("project.create", orgId, projectId), (nowMs) => {
        const project = { orgId, projectId, slug, name, metadata, createdAtMs: nowMs, updatedAtMs: nowMs }
        return Write.all([
          orgExists(orgId),
          free(projects, [orgId], projectId, slug),
          table.insert(project)
        ]).pipe(Write.map(() => project))
      })
    }),
    getProject: Effect.fn("ControlPlane.getProject")(function*(input) {
      const { orgId, projectId } = yield* checkOne(input)
      const [project] = yield* table.select("WHERE org_id = ? AND project_id = ?", [orgId, projectId])
      return project ?? (yield* new RecordNotFound({ kind: "project", orgId, id: projectId }))
    }),
    listProjects: Effect.fn("ControlPlane.listProjects")(function*(input) {
      const { after = "", limit = 50, orgId } = yield* checkPage(input)
      return yield* table.select(
        "WHERE org_id = ? AND project_id > ? ORDER BY project_id LIMIT ?",
        [orgId, after, limit]
      )
    }),
    updateProject: Effect.fn("ControlPlane.updateProject")(function*(input) {
      const { orgId, projectId, ...changes } = yield* checkChange(input)
      const detail = { changed: Object.keys(changes) }
      const [, rows] = yield* change({ ...about("project.update", orgId, projectId), detail }, (nowMs) =>
        Write.all([
          projectExists(orgId, projectId),
          update(projects, [orgId], projectId, changes, table.columns, nowMs)
        ]))
      return yield* table.one(rows)
    }),
    deleteProject: Effect.fn("ControlPlane.deleteProject")(function*(input) {
      const { orgId, projectId } = yield* checkOne(input)
      const [deleted] = yield* deleting(
        persistence,
        parts,
        [orgId, projectId],
        (counts, unchanged) =>
          change({ ...about("project.delete", orgId, projectId), detail: counts }, () =>
            Write.all([
              projectExists(orgId, projectId),
              unchanged,
              Write.run("DELETE FROM _smithers_cp_projects WHERE org_id = ? AND project_id = ?", [orgId, projectId]),
              // Nothing more is recorded for it, unless a project of this id is made again.
              Write.run(
                "UPDATE _smithers_cp_usage_series SET open = 0 WHERE org_id = ? AND project_key = ?",
                [orgId, projectId]
              )
            ]))
      )
      return { projectId, deleted }
    }),
    addProjectTeam: Effect.fn("ControlPlane.addProjectTeam")(function*(input) {
      const grant = yield* checkGrant(input)
      const { orgId, projectId, role, teamId } = grant
      const detail = { teamId, role }
      const [, , rows] = yield* change(
        { ...about("project.team.upsert", orgId, projectId), detail },
        (nowMs) =>
          Write.all([
            projectExists(orgId, projectId),
            teamExists(orgId, teamId),
            grants.upsert({ ...grant, createdAtMs: nowMs, updatedAtMs: nowMs })
          ])
      )
      return yield* grants.one(rows)
    }),
    listProjectTeams: Effect.fn("ControlPlane.listProjectTeams")(function*(input) {
      const { after = "", limit = 50, orgId, projectId = null, teamId = null } = yield* checkGrantPage(input)
      return yield* grants.select(
        `WHERE org_id = ? AND project_id = COALESCE(?, project_id) AND team_id = COALESCE(?, team_id)
          AND (project_id, team_id) > (?, ?) ORDER BY project_id, team_id LIMIT ?`,
        [orgId, projectId, teamId, ...pairOf(after), limit]
      )
    }),
    removeProjectTeam: Effect.fn("ControlPlane.removeProjectTeam")(function*(input) {
      const { orgId, projectId, teamId } = yield* checkOneGrant(input)
      yield* change({ ...about("project.team.remove", orgId, projectId), detail: { teamId } }, () =>
        Write.guard(
          "DELETE FROM _smithers_cp_project_teams WHERE org_id = ? AND project_id = ? AND team_id = ?",
          [orgId, projectId, teamId],
          () => new RecordNotFound({ kind: "project-team", orgId, id: `${projectId}/${teamId}` })
        ))
    })
  }
}

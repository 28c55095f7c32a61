import { Effect, Layer } from "effect"
import { Tenants } from "../access/index.ts"
import { Persistence, type Write } from "../persistence/index.ts"
import * as ControlPlane from "./ControlPlane.ts"
import { orgNotDeleted } from "./internal/Guards.ts"
import { mayInProject } from "./ProjectRights.ts"

/**
 * Projects that teams were given, and the roles that the user has there through its teams: one row for each such role, and
 * one without a role for a project that was given to other teams only.
 */
const teamProjects =
  `SELECT pt.project_id AS "projectId", CASE WHEN tm.user_id IS NULL THEN NULL ELSE pt.role END AS role
  FROM _smithers_cp_project_teams AS pt
  LEFT JOIN _smithers_cp_team_members AS tm
    ON tm.org_id = pt.org_id AND tm.team_id = pt.team_id AND tm.user_id = ?
  WHERE pt.org_id = ?`

const make = Effect.gen(function*() {
  const { read } = yield* Persistence.Persistence
  // Its tables are there.
  yield* ControlPlane.ControlPlane
  const isThere = (text: string, params: ReadonlyArray<Write.SqlValue>) =>
    Effect.map(read(text, params), (rows) => rows.length > 0)
  return {
    hasOrg: (orgId: string) => isThere("SELECT 1 FROM _smithers_cp_orgs WHERE org_id = ?", [orgId]),
    hasProject: (orgId: string, projectId: string) =>
      isThere("SELECT 1 FROM _smithers_cp_projects WHERE org_id = ? AND project_id = ?", [orgId, projectId]),
    stands: orgNotDeleted,
    closedProjects: (orgId: string, userId: string, scope: Parameters<Tenants["Type"]["closedProjects"]>[2]) =>
      Effect.map(read(teamProjects, [userId, orgId]), (rows) => {
        const open = new Set<string>()
        const given = new Set<string>()
        for (const { projectId, role } of rows as ReadonlyArray<{ projectId: string; role: string | null }>) {
          given.add(projectId)
          if (role !== null && mayInProject(role, scope)) open.add(projectId)
        }
        return [...given].filter((projectId) => !open.has(projectId)).sort()
      })
  }
})

/** What access has to know of organizations, from the control plane's tables. */
export const layer = Layer.effect(Tenants, make)

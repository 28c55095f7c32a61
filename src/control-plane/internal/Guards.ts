import { Write } from "../../persistence/index.ts"
import { OrgNotFound, RecordNotFound } from "../ControlPlaneError.ts"

// Checked in the transaction of the change: what holds here holds when the change is committed.

export const orgExists = (orgId: string): Write.Write<unknown, OrgNotFound> =>
  Write.guard("SELECT 1 FROM _smithers_cp_orgs WHERE org_id = ?", [orgId], () => new OrgNotFound({ orgId }))

/** Of an organization that was never there nothing is said. */
export const orgNotDeleted = <E>(orgId: string, gone: () => E): Write.Write<unknown, E> =>
  Write.guard(
    "SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM _smithers_cp_deleted_orgs WHERE org_id = ?)",
    [orgId],
    gone
  )

export const teamExists = (orgId: string, teamId: string): Write.Write<unknown, RecordNotFound> =>
  Write.guard(
    "SELECT 1 FROM _smithers_cp_teams WHERE org_id = ? AND team_id = ?",
    [orgId, teamId],
    () => new RecordNotFound({ kind: "team", orgId, id: teamId })
  )

/** Nothing to check when it is about the whole organization. */
export const projectExists = (orgId: string, projectId: string | null): Write.Write<unknown, RecordNotFound> =>
  projectId === null ? Write.none : Write.guard(
    "SELECT 1 FROM _smithers_cp_projects WHERE org_id = ? AND project_id = ?",
    [orgId, projectId],
    () => new RecordNotFound({ kind: "project", orgId, id: projectId })
  )

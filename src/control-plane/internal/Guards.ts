import { Write } from "../../persistence/index.ts"
import { Conflict, OrgNotFound, RecordNotFound, SlugTaken } from "../ControlPlaneError.ts"

// Checked in the transaction of the change: what holds here holds when the change is committed.

export const orgExists = (orgId: string): Write.Write<unknown, OrgNotFound> =>
  Write.guard("SELECT 1 FROM _smithers_cp_orgs WHERE org_id = ?", [orgId], () => new OrgNotFound({ orgId }))

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

/** The rows of a noun whose ids and slugs are unique within these columns. */
interface Named {
  readonly kind: SlugTaken["kind"]
  readonly table: string
  readonly id: string
  readonly scope: string
}

/** `within` is empty for organizations, else the organization. */
export const slugFree = (
  { id, kind, scope, table }: Named,
  within: ReadonlyArray<string>,
  slug: string,
  /** Whose own slug it may be. */
  except: string
): Write.Write<unknown, SlugTaken> =>
  Write.guard(
    `SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM ${table} WHERE ${scope} slug = ? AND ${id} <> ?)`,
    [...within, slug, except],
    () => new SlugTaken({ kind, slug })
  )

export const idFree = (
  { id, scope, table }: Named,
  within: ReadonlyArray<string>,
  value: string
): Write.Write<unknown, Conflict> =>
  Write.guard(
    `SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM ${table} WHERE ${scope} ${id} = ?)`,
    [...within, value],
    () => new Conflict({ reason: "IdTaken", id: value })
  )

export const organizations: Named = { kind: "organization", table: "_smithers_cp_orgs", id: "org_id", scope: "" }
export const teams: Named = { kind: "team", table: "_smithers_cp_teams", id: "team_id", scope: "org_id = ? AND" }
export const projects: Named = {
  kind: "project",
  table: "_smithers_cp_projects",
  id: "project_id",
  scope: "org_id = ? AND"
}

import type { CatalogScope } from "../model/index.ts"

const working = ["run:write", "approval:submit", "signal:submit", "cron:write", "ticket:write"] as const

/** What a team's role in a project lets its members do there beside reading, each within its own grant. */
const projectRights: Readonly<Record<string, ReadonlyArray<CatalogScope>>> = {
  owner: [...working, "run:admin"],
  admin: [...working, "run:admin"],
  member: working,
  // Of what needs it, a grant of an auditor opens the audit alone.
  auditor: ["run:admin"],
  viewer: []
}

/** A role of the hosted service's own gives nothing here. */
export const mayInProject = (role: string, scope: CatalogScope): boolean => {
  const rights = Object.hasOwn(projectRights, role) ? projectRights[role] : undefined
  return rights !== undefined && (scope.endsWith(":read") || rights.includes(scope))
}

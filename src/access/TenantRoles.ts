import { catalogScopes } from "../model/index.ts"

/** What a grant of an organization is for; who holds one hands on no other than it and those behind it. */
export const tenantRoleNames = ["org-owner", "admin", "member", "auditor", "viewer"] as const
type TenantRole = typeof tenantRoleNames[number]

const reading = catalogScopes.filter((scope) => scope.endsWith(":read"))
const working = [...reading, "run:write", "approval:submit", "signal:submit", "cron:write", "ticket:write"] as const
const administering = [...working, "run:admin"] as const

/** What each role gives; scopes that are asked for with it may only be fewer. */
export const tenantRoles: { readonly [R in TenantRole]: ReadonlyArray<string> } = {
  "org-owner": administering,
  admin: administering,
  member: working,
  auditor: ["run:read", "approval:read", "observability:read", "audit.list"],
  viewer: ["run:read", "approval:read", "cron:read", "ticket:read"]
}

export const isTenantRole = (role: string): role is TenantRole =>
  (tenantRoleNames as ReadonlyArray<string>).includes(role)

/** Whether a bearer of one role may hand out, replace and end grants of another. */
export const outranks = (own: string, other: string): boolean =>
  isTenantRole(own) && isTenantRole(other) && tenantRoleNames.indexOf(own) <= tenantRoleNames.indexOf(other) &&
  tenantRoleNames.indexOf(own) <= 1

/** Whether the role administers its organization; teams do not limit it. */
export const administersTenant = (role: string): boolean => role === "org-owner" || role === "admin"

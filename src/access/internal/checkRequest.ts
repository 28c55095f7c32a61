import { Effect } from "effect"
import { InvalidGrant } from "../AccessError.ts"
import { isTenantRole, tenantRoleNames, tenantRoles } from "../TenantRoles.ts"
import { grantBounds } from "../TokenGrant.ts"
import { covers, isKnown, type Methods } from "./Scopes.ts"
import { containsSecret } from "./TokenFormat.ts"

const invalid = (field: string, bound: string) => new InvalidGrant({ field, bound })

const checkRole = (role: string) => {
  if (role.length > grantBounds.roleChars || !/^[A-Za-z][A-Za-z0-9_-]*$/.test(role)) {
    return invalid("role", `must be 1 to ${grantBounds.roleChars} letters, digits, _ or -, starting with a letter`)
  }
  return role.toLowerCase() === "system" ? invalid("role", "must not be system, which is the service itself") : null
}

const checkText = (field: string, text: string | undefined, maxChars: number) => {
  if (text === undefined) return null
  if (text.trim() === "" || text.length > maxChars || /\p{Cc}/u.test(text)) {
    return invalid(field, `must be 1 to ${maxChars} characters without control characters`)
  }
  return containsSecret(text) ? invalid(field, "must not contain a token's secret") : null
}

const checkTenant = (
  orgId: string | undefined,
  projectIds: ReadonlyArray<string> | undefined,
  role: string,
  scopes: ReadonlyArray<string>,
  methods: Methods
) => {
  if (orgId === undefined) {
    return projectIds === undefined ? null : invalid("projectIds", "must come with the orgId that they belong to")
  }
  if (!isTenantRole(role)) return invalid("role", `must be one of ${tenantRoleNames.join(", ")} in an organization`)
  if (projectIds !== undefined && (projectIds.length === 0 || projectIds.length > grantBounds.projects)) {
    return invalid("projectIds", `must be 1 to ${grantBounds.projects} projects`)
  }
  const at = scopes.findIndex((scope) => !covers(tenantRoles[role], scope, methods))
  return at === -1 ? null : invalid(`scopes[${at}]`, `must be within what the role ${role} gives`)
}

const checkScopes = (scopes: ReadonlyArray<string>, methods: Methods) => {
  if (scopes.length === 0 || scopes.length > grantBounds.scopes) {
    return invalid("scopes", `must be 1 to ${grantBounds.scopes} scopes`)
  }
  const at = scopes.findIndex((scope) => !isKnown(scope, methods))
  return at === -1 ? null : invalid(
    `scopes[${at}]`,
    "must be a scope of the catalog, *, one of read, execute, approve, admin, or the name of a method"
  )
}

/** A whole number of milliseconds within bounds. */
export const checkMs = (field: string, ms: number, minMs: number, maxMs: number) =>
  Number.isSafeInteger(ms) && ms >= minMs && ms <= maxMs ?
    null :
    invalid(field, `must be a whole number of milliseconds from ${minMs} to ${maxMs}`)

/** Refuses what is out of bounds, naming the field and the bound; the refused text itself is not repeated. */
export const checkRequest = (
  request: {
    readonly role: string
    readonly scopes: ReadonlyArray<string>
    readonly userId?: string | undefined
    readonly label?: string | undefined
    readonly orgId?: string | undefined
    readonly projectIds?: ReadonlyArray<string> | undefined
  },
  ttlMs: number,
  maxTtlMs: number,
  methods: Methods
): Effect.Effect<void, InvalidGrant> =>
  checkRole(request.role) ??
    checkScopes(request.scopes, methods) ??
    checkTenant(request.orgId, request.projectIds, request.role, request.scopes, methods) ??
    checkText("userId", request.userId, grantBounds.userIdChars) ??
    checkText("label", request.label, grantBounds.labelChars) ??
    checkMs("ttlMs", ttlMs, grantBounds.minTtlMs, maxTtlMs) ??
    Effect.void

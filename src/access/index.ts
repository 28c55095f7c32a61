/**
 * **Access**: principals, token grants, scope checks, permits.
 *
 *     presented text ──authenticate──► Principal ──authorize(scope, method)──► Permit ──► the service that needs one
 */
export * as Access from "./Access.ts"
export * as AccessConfig from "./AccessConfig.ts"
export {
  AdminTokenUnavailable,
  Forbidden,
  InvalidGrant,
  TenantNotFound,
  TokenNotFound,
  Unauthorized
} from "./AccessError.ts"
export { type Identity, IdentityRefused, IdentityVerifier } from "./IdentityVerifier.ts"
export { holds } from "./internal/Scopes.ts"
export { Methods } from "./Methods.ts"
export type { Permit } from "./Permit.ts"
export * as Principal from "./Principal.ts"
export { administersTenant, tenantRoles } from "./TenantRoles.ts"
export { Tenants } from "./Tenants.ts"
export { TokenGrant } from "./TokenGrant.ts"

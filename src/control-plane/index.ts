/**
 * **Control plane**: the tenants of a multi-tenant product.
 *
 *     organization ─┬─ teams ── members            usage event ──► sums of project and organization: all time · day · quarter
 *                   ├─ projects ── team grants            ▲                                        │
 *                   ├─ billing account                    │ settle                                 ▼
 *                   ├─ identity providers          reservation ◄── reserve: used + reserved + asked ≤ every hard limit
 *                   ├─ limits · secret references         │ release, expiry
 *                   └─ audit (hash-chained)               ▼ nothing
 *
 * `ControlPlane` is the service, `ControlPlaneStore` the same for a script that has a better-sqlite3 database.
 */
export type { BillingAccount } from "./BillingAccount.ts"
export * as ControlPlane from "./ControlPlane.ts"
export * from "./ControlPlaneError.ts"
export { ControlPlaneStore } from "./ControlPlaneStore.ts"
export { CurrentActor } from "./CurrentActor.ts"
export * as GrantTenants from "./GrantTenants.ts"
export type { IdentityProvider } from "./IdentityProvider.ts"
export * as OidcVerifier from "./OidcVerifier.ts"
export type { DeletedOrganization, Organization } from "./Organization.ts"
export type { OrgAuditVerdict } from "./OrgAudit.ts"
export type { OrgAuditEvent } from "./OrgAuditEvent.ts"
export * as OrgEnding from "./OrgEnding.ts"
export type { OrgExport, OrgExportPart } from "./OrgExport.ts"
export type { OrgSecretRef } from "./OrgSecretRef.ts"
export * as OrgSecretsConfig from "./OrgSecretsConfig.ts"
export type { DeletedProject, Project, ProjectTeam } from "./Project.ts"
export type { LimitState, QuotaCheck } from "./Quota.ts"
export type { Reservation, ReservationAnswer } from "./Reservation.ts"
export * as RunBudget from "./RunBudget.ts"
export * as RunSecrets from "./RunSecrets.ts"
export * as RunTenancy from "./RunTenancy.ts"
export * as ScriptChanges from "./ScriptChanges.ts"
export type { DeletedTeam, Team, TeamMember } from "./Team.ts"
export type { UsageSummary } from "./Usage.ts"
export type { UsageEvent } from "./UsageEvent.ts"
export { UsageFeed } from "./UsageFeed.ts"
export type { UsageLimit } from "./UsageLimit.ts"

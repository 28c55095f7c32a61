import { Rpc, RpcGroup } from "@effect/rpc"
import { Schema } from "effect"
import { TimestampMs } from "../../model/index.ts"
import { AdminOnly, ForTenants, RequiredScope } from "./Annotations.ts"
import { EventId, limit, Metadata, NullableText, page, Removed, Text } from "./ControlPlaneFields.ts"
import { failures } from "./Failure.ts"

const MaybeText = Schema.optional(Schema.NullOr(Text))

export const BillingRow = Schema.Struct({
  orgId: Schema.String,
  plan: Schema.String,
  billingCustomerId: NullableText,
  status: Schema.String,
  updatedAtMs: TimestampMs
})
export type BillingRow = typeof BillingRow.Type

/** Makes the account of an organization, or writes it anew. */
export const SetBilling = Rpc.make("billing.set", {
  payload: { orgId: Text, plan: Text, billingCustomerId: MaybeText, status: Schema.optional(Text) },
  success: BillingRow,
  error: failures("NOT_FOUND")
})

export const GetBilling = Rpc.make("billing.get", {
  payload: { orgId: Text },
  success: BillingRow,
  error: failures("NOT_FOUND")
})

/** Of all organizations, by id. */
export const ListBilling = Rpc.make("billing.list", {
  payload: Schema.Struct(page),
  success: Schema.Array(BillingRow),
  error: failures()
})

export const RemoveBilling = Rpc.make("billing.remove", {
  payload: { orgId: Text },
  success: Removed,
  error: failures("NOT_FOUND")
})

const ProviderType = Schema.Literal("saml", "oidc")
const ProviderStatus = Schema.Literal("active", "disabled")

export const IdentityProviderRow = Schema.Struct({
  orgId: Schema.String,
  providerId: Schema.String,
  type: ProviderType,
  issuer: Schema.String,
  ssoUrl: NullableText,
  certificateRef: NullableText,
  clientId: NullableText,
  jwksUrl: NullableText,
  status: ProviderStatus,
  metadata: Metadata,
  createdAtMs: TimestampMs,
  updatedAtMs: TimestampMs
})
export type IdentityProviderRow = typeof IdentityProviderRow.Type

const provider = { orgId: Text, providerId: Text }

/** Adds it, or writes it anew: what is not given is null, the status `active`. */
export const SetIdentityProvider = Rpc.make("identityProviders.set", {
  payload: {
    ...provider,
    type: ProviderType,
    issuer: Text,
    ssoUrl: MaybeText,
    certificateRef: MaybeText,
    clientId: MaybeText,
    jwksUrl: MaybeText,
    status: Schema.optional(ProviderStatus),
    metadata: Schema.optional(Metadata)
  },
  success: IdentityProviderRow,
  error: failures("NOT_FOUND")
})

export const GetIdentityProvider = Rpc.make("identityProviders.get", {
  payload: provider,
  success: IdentityProviderRow,
  error: failures("NOT_FOUND")
})

/** Of one organization, by id. */
export const ListIdentityProviders = Rpc.make("identityProviders.list", {
  payload: Schema.Struct({ orgId: Text, status: Schema.optional(ProviderStatus), ...page }),
  success: Schema.Array(IdentityProviderRow),
  error: failures()
})

export const RemoveIdentityProvider = Rpc.make("identityProviders.remove", {
  payload: provider,
  success: Removed,
  error: failures("NOT_FOUND")
})

export const OrgSecretRefRow = Schema.Struct({
  orgId: Schema.String,
  projectId: NullableText,
  name: Schema.String,
  provider: Schema.String,
  ref: Schema.String,
  createdBy: NullableText,
  createdAtMs: TimestampMs,
  rotatedAtMs: Schema.NullOr(TimestampMs)
})
export type OrgSecretRefRow = typeof OrgSecretRefRow.Type

/** Of the organization itself without a project. */
const ref = { orgId: Text, projectId: MaybeText, name: Text }

/** Adds a reference, or rotates it; a value is refused. */
export const SetSecretRef = Rpc.make("secretRefs.set", {
  payload: { ...ref, provider: Text, ref: Text, createdBy: MaybeText },
  success: OrgSecretRefRow,
  error: failures("NOT_FOUND")
}).annotate(ForTenants, "org")

export const GetSecretRef = Rpc.make("secretRefs.get", {
  payload: ref,
  success: OrgSecretRefRow,
  error: failures("NOT_FOUND")
}).annotate(ForTenants, "org")

/** Of a project, of the organization itself (`projectId: null`), or all; after `<projectId or __org__>/<name>`. */
export const ListSecretRefs = Rpc.make("secretRefs.list", {
  payload: Schema.Struct({ orgId: Text, projectId: MaybeText, ...page }),
  success: Schema.Array(OrgSecretRefRow),
  error: failures()
}).annotate(ForTenants, "org")

export const RemoveSecretRef = Rpc.make("secretRefs.remove", {
  payload: ref,
  success: Removed,
  error: failures("NOT_FOUND")
}).annotate(ForTenants, "org")

export const OrgAuditRow = Schema.Struct({
  id: Schema.Int,
  orgId: Schema.String,
  projectId: NullableText,
  actorId: NullableText,
  action: Schema.String,
  targetType: Schema.String,
  targetId: NullableText,
  occurredAtMs: TimestampMs,
  metadata: Metadata,
  hash: Schema.String
})
export type OrgAuditRow = typeof OrgAuditRow.Type

/** For what a hosted service has to say. */
export const RecordOrgAudit = Rpc.make("orgAudit.record", {
  payload: {
    orgId: Text,
    projectId: MaybeText,
    actorId: MaybeText,
    action: Text,
    targetType: Text,
    targetId: MaybeText,
    occurredAtMs: Schema.optional(TimestampMs),
    metadata: Schema.optional(Metadata)
  },
  success: OrgAuditRow,
  error: failures("NOT_FOUND")
})

/** Of one organization, oldest first, behind the row `afterId`; the times are inclusive. */
export const ListOrgAudit = Rpc.make("orgAudit.list", {
  payload: Schema.Struct({
    orgId: Text,
    projectId: Schema.optional(Text),
    actorId: Schema.optional(Text),
    action: Schema.optional(Text),
    sinceMs: Schema.optional(TimestampMs),
    untilMs: Schema.optional(TimestampMs),
    afterId: Schema.optional(EventId),
    limit
  }),
  success: Schema.Array(OrgAuditRow),
  error: failures()
}).annotate(ForTenants, "org")

/** Computes the chain of an organization anew; what is wrong is the answer, not a failure. */
export const VerifyOrgAudit = Rpc.make("orgAudit.verify", {
  payload: { orgId: Text },
  success: Schema.Union(
    Schema.Struct({ intact: Schema.Literal(true), events: Schema.Int, lastHash: Schema.String }),
    Schema.Struct({ intact: Schema.Literal(false), events: Schema.Int, badId: Schema.Int })
  ),
  error: failures()
}).annotate(ForTenants, "org")

/** What else an organization has: billing, identity providers, references of secrets, its own audit; ours. */
export const OrgRecordRpcs = RpcGroup.make(
  SetBilling,
  GetBilling,
  ListBilling,
  RemoveBilling,
  SetIdentityProvider,
  GetIdentityProvider,
  ListIdentityProviders,
  RemoveIdentityProvider,
  SetSecretRef,
  GetSecretRef,
  ListSecretRefs,
  RemoveSecretRef,
  RecordOrgAudit,
  ListOrgAudit,
  VerifyOrgAudit
)
  .annotateRpcs(RequiredScope, "run:admin")
  .annotateRpcs(AdminOnly, true)

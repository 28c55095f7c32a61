import { Rpc, RpcGroup } from "@effect/rpc"
import { Schema } from "effect"
import { Bounds, GrantedScope, TimestampMs } from "../../model/index.ts"
import { AdminOnly, ForTenants, RequiredScope } from "./Annotations.ts"
import { failures } from "./Failure.ts"

const NullableString = Schema.NullOr(Schema.String)
const NullableTime = Schema.NullOr(TimestampMs)
const TokenId = Schema.String.pipe(Schema.pattern(/^[0-9a-f]{16}$/), Schema.annotations({ identifier: "TokenId" }))

/** A grant as listed; the secret is never part of it. */
export const TokenRow = Schema.Struct({
  tokenId: TokenId,
  origin: Schema.Literal("issued", "admin"),
  role: Schema.String,
  scopes: Schema.Array(Schema.String),
  userId: NullableString,
  /** The organization that its bearer acts for, and the projects of it (null: all); null: the operator's. */
  orgId: NullableString,
  projectIds: Schema.NullOr(Schema.Array(Schema.String)),
  label: NullableString,
  issuedBy: Schema.String,
  rotatedFrom: NullableString,
  issuedAtMs: TimestampMs,
  expiresAtMs: NullableTime,
  revokedAtMs: NullableTime,
  lastUsedAtMs: NullableTime
})
export type TokenRow = typeof TokenRow.Type

/** A new token: `token` is the secret, shown this once. */
const IssuedToken = Schema.Struct({ token: Schema.String, grant: TokenRow })

const TenantId = Schema.String.pipe(Schema.maxLength(128))
const milliseconds = Schema.Int.pipe(Schema.nonNegative())

export const IssueToken = Rpc.make("tokens.issue", {
  payload: Schema.Struct({
    role: Schema.optionalWith(Schema.String, { default: () => "operator" }),
    /** Required unless `role` is one of an organization: then they may only be fewer than what it gives. */
    scopes: Schema.optional(Schema.Array(GrantedScope).pipe(Schema.minItems(1))),
    /** For this organization; the caller's own unless it is the operator. */
    orgId: Schema.optional(TenantId),
    /** For these projects of it; all that the caller reaches unless given. */
    projectIds: Schema.optional(Schema.Array(TenantId).pipe(Schema.maxItems(64))),
    userId: Schema.optional(Schema.String),
    ttlMs: Schema.optional(milliseconds),
    label: Schema.optional(Schema.String)
  }),
  success: IssuedToken,
  error: failures("NOT_FOUND")
}).annotate(ForTenants, "own")

export const ListTokens = Rpc.make("tokens.list", {
  payload: Schema.Struct({
    afterTokenId: Schema.optional(TokenId),
    limit: Schema.optionalWith(Schema.Int.pipe(Schema.between(1, Bounds.pageRows)), { default: () => 100 })
  }),
  success: Schema.Array(TokenRow),
  error: failures()
}).annotate(ForTenants, "own")

export const RevokeToken = Rpc.make("tokens.revoke", {
  payload: { tokenId: TokenId },
  success: TokenRow,
  error: failures("NOT_FOUND")
}).annotate(ForTenants, "own")

export const RotateToken = Rpc.make("tokens.rotate", {
  payload: { tokenId: TokenId, overlapMs: Schema.optional(milliseconds) },
  success: IssuedToken,
  error: failures("NOT_FOUND")
}).annotate(ForTenants, "own")

/** Token grants, for administrators; ours. */
export const TokenRpcs = RpcGroup.make(IssueToken, ListTokens, RevokeToken, RotateToken)
  .annotateRpcs(RequiredScope, "run:admin")
  .annotateRpcs(AdminOnly, true)

import { Rpc, RpcGroup } from "@effect/rpc"
import { Schema } from "effect"
import { Bounds, GrantedScope, TimestampMs } from "../../model/index.ts"
import { AdminOnly, RequiredScope } from "./Annotations.ts"
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

const milliseconds = Schema.Int.pipe(Schema.nonNegative())

export const IssueToken = Rpc.make("tokens.issue", {
  payload: Schema.Struct({
    role: Schema.optionalWith(Schema.String, { default: () => "operator" }),
    scopes: Schema.Array(GrantedScope).pipe(Schema.minItems(1)),
    userId: Schema.optional(Schema.String),
    ttlMs: Schema.optional(milliseconds),
    label: Schema.optional(Schema.String)
  }),
  success: IssuedToken,
  error: failures()
})

export const ListTokens = Rpc.make("tokens.list", {
  payload: Schema.Struct({
    afterTokenId: Schema.optional(TokenId),
    limit: Schema.optionalWith(Schema.Int.pipe(Schema.between(1, Bounds.pageRows)), { default: () => 100 })
  }),
  success: Schema.Array(TokenRow),
  error: failures()
})

export const RevokeToken = Rpc.make("tokens.revoke", {
  payload: { tokenId: TokenId },
  success: TokenRow,
  error: failures("NOT_FOUND")
})

export const RotateToken = Rpc.make("tokens.rotate", {
  payload: { tokenId: TokenId, overlapMs: Schema.optional(milliseconds) },
  success: IssuedToken,
  error: failures("NOT_FOUND")
})

/** Token grants, for administrators; ours. */
export const TokenRpcs = RpcGroup.make(IssueToken, ListTokens, RevokeToken, RotateToken)
  .annotateRpcs(RequiredScope, "run:admin")
  .annotateRpcs(AdminOnly, true)

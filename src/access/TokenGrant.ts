import { Schema } from "effect"
import { TimestampMs } from "../model/index.ts"

/** Names a grant: the first 16 hexadecimal characters of the SHA-256 of its secret. */
const TokenId = Schema.String.pipe(
  Schema.pattern(/^[0-9a-f]{16}$/),
  Schema.annotations({ identifier: "TokenId" })
)

/** What a token may do and for how long. The secret is not part of it: it is shown once and not kept. */
export const TokenGrant = Schema.Struct({
  tokenId: TokenId,
  /** `admin`: the token that the service makes (or is given) for its operator; `issued`: everything else. */
  origin: Schema.Literal("issued", "admin"),
  role: Schema.String,
  scopes: Schema.Array(Schema.String),
  userId: Schema.NullOr(Schema.String),
  /** The organization that its bearer acts for; null: the operator's. */
  orgId: Schema.NullOr(Schema.String),
  /** The projects of it that it reaches; null: all of it. */
  projectIds: Schema.NullOr(Schema.Array(Schema.String)),
  label: Schema.NullOr(Schema.String),
  /** Who issued it, as named in the audit. */
  issuedBy: Schema.String,
  /** The grant that this one was rotated from. */
  rotatedFrom: Schema.NullOr(TokenId),
  issuedAtMs: TimestampMs,
  /** Null: does not expire, which only the admin token may. */
  expiresAtMs: Schema.NullOr(TimestampMs),
  /** In the future while a rotated token still overlaps with its successor. */
  revokedAtMs: Schema.NullOr(TimestampMs),
  /** Known to the minute. */
  lastUsedAtMs: Schema.NullOr(TimestampMs)
})
export type TokenGrant = typeof TokenGrant.Type

/** The bounds on what may be asked for. */
export const grantBounds = {
  roleChars: 32,
  userIdChars: 128,
  labelChars: 128,
  scopes: 64,
  projects: 64,
  minTtlMs: 1_000,
  defaultTtlMs: 24 * 60 * 60 * 1_000,
  maxOverlapMs: 24 * 60 * 60 * 1_000,
  /** Grants that are live at once. */
  live: 100_000
} as const

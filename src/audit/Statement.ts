import { Schema } from "effect"
import { TimestampMs } from "../model/index.ts"

const Sha256 = Schema.String.pipe(Schema.pattern(/^[0-9a-f]{64}$/))
const Count = Schema.Int.pipe(Schema.nonNegative())

/**
 * What the service says of its audit under its signature. Statements are numbered from 1 and chained by their own hashes.
 *
 * - `begin`: the first; names the public key.
 * - `checkpoint`: how far the log goes, made every so many rows or minutes, also when nothing happened.
 * - `rotation`: names the next public key, signed with the one before.
 * - `seal`: rows `fromId` to `throughId`, the last of which has `throughHash`, may be pruned.
 * - `restore`: from here on the log goes on from an older state, for the reason given; in another home with its own
 *   public key, which no earlier key vouches for.
 */
export const Statement = Schema.Struct({
  format: Schema.Literal(1),
  kind: Schema.Literal("begin", "checkpoint", "rotation", "seal", "restore"),
  /** Id of the log, made with its database. */
  log: Schema.String,
  n: Schema.Int.pipe(Schema.positive()),
  atMs: TimestampMs,
  /** SHA-256 of the text of the statement before; of the first one the genesis hash of the log. */
  previous: Sha256,
  /** The last row, and its hash; 0 and the genesis hash when there is none. */
  id: Count,
  hash: Sha256,
  /** DER (SPKI) in base64. */
  publicKey: Schema.optional(Schema.String),
  seal: Schema.optional(Schema.Struct({ fromId: Count, throughId: Count, throughHash: Sha256 })),
  reason: Schema.optional(Schema.String)
})
export type Statement = typeof Statement.Type

/** A statement with its signature: Ed25519 over the UTF-8 bytes of `statement`, a `Statement` as JSON. */
export const SignedStatement = Schema.Struct({
  statement: Schema.String,
  /** The first 16 hexadecimal digits of the SHA-256 of the public key's DER (SPKI). */
  keyId: Schema.String,
  /** Base64. */
  signature: Schema.String
})
export type SignedStatement = typeof SignedStatement.Type

import { Schema } from "effect"
import { TimestampMs } from "./Ids.ts"

/**
 * What is wrong with an audit.
 *
 * - `Altered`: the row's content is not what its hash says, or its hash not what the next row follows.
 * - `Missing`: rows before this one are not there.
 * - `Inserted`: the row is not of the log; the one that was at its place follows it.
 * - `Reordered`: the row stands at the place of another one.
 * - `Rewritten`: the rows agree with each other but not with what was signed.
 * - `Truncated`: rows that a checkpoint covers are not there, at the end.
 * - `OlderDatabase`: the log was signed further than it goes, and goes on from an older state that no restore explains.
 * - `Statement`: a checkpoint is missing, changed, not signed as it should be, or differs from the one beside the database.
 * - `Unreadable`: not an export of an audit, or one that was cut off.
 */
export const AuditProblem = Schema.Struct({
  kind: Schema.Literal(
    "Altered",
    "Missing",
    "Inserted",
    "Reordered",
    "Rewritten",
    "Truncated",
    "OlderDatabase",
    "Statement",
    "Unreadable"
  ),
  /** The first row concerned. */
  id: Schema.NullOr(Schema.Int),
  /** The checkpoint concerned. */
  n: Schema.NullOr(Schema.Int),
  detail: Schema.String
})
export type AuditProblem = typeof AuditProblem.Type

/** What an examination of the whole log found. */
export const AuditVerification = Schema.Struct({
  /** Null: every row and every checkpoint is in order. */
  problem: Schema.NullOr(AuditProblem),
  log: Schema.String,
  /** Rows examined; of an export also those of which only the digest was there. */
  rows: Schema.Int,
  firstId: Schema.NullOr(Schema.Int),
  lastId: Schema.NullOr(Schema.Int),
  headHash: Schema.String,
  /** Signed statements examined. */
  statements: Schema.Int,
  /** The last row that a signature covers, and when it was signed; later rows have no proof yet. */
  signedThroughId: Schema.Int,
  signedAtMs: Schema.NullOr(TimestampMs),
  /** Rows up to this one were sealed before they were pruned; 0: none. */
  sealedThroughId: Schema.Int,
  /** Restores of older states that were recorded and signed. */
  restores: Schema.Int,
  /** Ids of the keys that signed, in their order; after a restore into another home, those from there on. */
  keyIds: Schema.Array(Schema.String)
})
export type AuditVerification = typeof AuditVerification.Type

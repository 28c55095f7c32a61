import { Schema } from "effect"
import { Actor, TimestampMs } from "../model/index.ts"

/** How the operation ended: done, refused by a rule, or failed on the way. */
const AuditOutcome = Schema.Literal("ok", "refused", "failed")

/** What else there is to say: flat, small, never a secret, never a payload. */
export const AuditDetail = Schema.Record({
  key: Schema.String,
  value: Schema.Union(Schema.String, Schema.Number, Schema.Boolean, Schema.Null, Schema.Array(Schema.String))
})
export type AuditDetail = typeof AuditDetail.Type

const what = {
  /** `<noun>.<verb>`: `token.revoke`, `run.delete`, `approval.approve`. */
  action: Schema.String,
  /** What was acted upon: the id of a token, node, frame, file. */
  target: Schema.NullOr(Schema.String),
  /** The run concerned. Not a foreign key: an audit row outlives its run. */
  runId: Schema.NullOr(Schema.String),
  outcome: AuditOutcome,
  /** Why it was refused, why it failed, or the note of whoever did it. */
  reason: Schema.NullOr(Schema.String),
  detail: AuditDetail
}

/** One operation to be remembered. */
export const AuditEntry = Schema.Struct({ atMs: TimestampMs, actor: Actor, ...what })
export type AuditEntry = typeof AuditEntry.Type

/** One row of the audit, as read back. */
export const AuditRecord = Schema.Struct({
  id: Schema.Int,
  atMs: TimestampMs,
  /** Who it was: user id, else token id, else role. */
  actor: Schema.String,
  tokenId: Schema.NullOr(Schema.String),
  role: Schema.String,
  ...what
})
export type AuditRecord = typeof AuditRecord.Type

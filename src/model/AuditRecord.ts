import { Schema } from "effect"
import { TimestampMs } from "./Ids.ts"

/** How the operation ended: done, refused by a rule, or failed on the way. */
export const AuditOutcome = Schema.Literal("ok", "refused", "failed")

/** What else there is to say: flat, small, never a secret, never a payload. */
export const AuditDetail = Schema.Record({
  key: Schema.String,
  value: Schema.Union(Schema.String, Schema.Number, Schema.Boolean, Schema.Null, Schema.Array(Schema.String))
})
export type AuditDetail = typeof AuditDetail.Type

const NullableString = Schema.NullOr(Schema.String)

/** What happened, of an entry and of a row alike. */
export const auditedOperation = {
  /** `<noun>.<verb>`: `token.revoke`, `run.delete`, `approval.approve`. */
  action: Schema.String,
  /** What was acted upon: the id of a token, node, frame, file. */
  target: NullableString,
  /** The run concerned. Not a foreign key: an audit row outlives its run. */
  runId: NullableString,
  outcome: AuditOutcome,
  /** Why it was refused, why it failed, or the note of whoever did it. */
  reason: NullableString,
  detail: AuditDetail
}

/** One row of the audit, as read back. */
export const AuditRecord = Schema.Struct({
  id: Schema.Int,
  atMs: TimestampMs,
  /** Who it was: user id, else token id, else role. */
  actor: Schema.String,
  tokenId: NullableString,
  role: Schema.String,
  orgId: NullableString,
  projectId: NullableString,
  ...auditedOperation,
  requestId: NullableString,
  traceId: NullableString,
  /** Version of what was deployed when it happened. */
  deployment: NullableString,
  moduleRevision: NullableString,
  /** Hash of the row before, and of this one. */
  previousHash: Schema.String,
  hash: Schema.String
})
export type AuditRecord = typeof AuditRecord.Type

import { Schema } from "effect"
import { TimestampMs } from "./Ids.ts"

const Name = Schema.String.pipe(
  Schema.minLength(1),
  Schema.maxLength(512),
  Schema.annotations({ identifier: "AuditName" })
)

/** Which rows are asked for: those to which all that is given applies. */
export const AuditFilter = Schema.Struct({
  orgId: Schema.optional(Name),
  /** As the row names them: user id, else token id, else role. */
  actor: Schema.optional(Name),
  action: Schema.optional(Name),
  runId: Schema.optional(Name),
  /** At this time or later. */
  sinceMs: Schema.optional(TimestampMs),
  /** Before this time. */
  untilMs: Schema.optional(TimestampMs)
})
export type AuditFilter = typeof AuditFilter.Type

/**
 * - `ndjson`: with proofs; what the filter leaves out is there as digests, so that the whole can be verified offline.
 * - `csv`: RFC 4180. A text that a spreadsheet would take for a formula gets a `'` in front.
 * - `ocsf`: one event a line, class API Activity (6003) of the Open Cybersecurity Schema Framework 1.3.0.
 */
export const AuditFormat = Schema.Literal("ndjson", "csv", "ocsf")
export type AuditFormat = typeof AuditFormat.Type

const Position = Schema.Int.pipe(Schema.nonNegative())

/** Where an export goes on: after a checkpoint, or after a row; up to `throughId`. */
export const AuditCursor = Schema.Struct({
  after: Schema.Union(Schema.Struct({ n: Position, fromId: Position }), Schema.Struct({ id: Position })),
  throughId: Position
})
export type AuditCursor = typeof AuditCursor.Type

/** A part of an export: text to be appended to what came before, and where it goes on; null: that was the last. */
export const AuditPage = Schema.Struct({
  text: Schema.String,
  /** Rows that the text holds. */
  rows: Schema.Int,
  next: Schema.NullOr(AuditCursor)
})
export type AuditPage = typeof AuditPage.Type

import { Schema } from "effect"
import { TimestampMs } from "../model/index.ts"

/** Which rows are asked for: those to which all that is given applies. */
export const AuditFilter = Schema.Struct({
  orgId: Schema.optional(Schema.String),
  /** As the row names them: user id, else token id, else role. */
  actor: Schema.optional(Schema.String),
  action: Schema.optional(Schema.String),
  runId: Schema.optional(Schema.String),
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
export const ExportFormat = Schema.Literal("ndjson", "csv", "ocsf")
export type ExportFormat = typeof ExportFormat.Type

const Position = Schema.Int.pipe(Schema.nonNegative())

/** Where an export goes on: after a checkpoint, or after a row; up to `throughId`. */
export const ExportCursor = Schema.Struct({
  after: Schema.Union(Schema.Struct({ n: Position, fromId: Position }), Schema.Struct({ id: Position })),
  throughId: Position
})
export type ExportCursor = typeof ExportCursor.Type

/** A part of an export: text to be appended to what came before, and where it goes on; null: that was the last. */
export const ExportPage = Schema.Struct({
  text: Schema.String,
  /** Rows that the text holds. */
  rows: Schema.Int,
  next: Schema.NullOr(ExportCursor)
})
export type ExportPage = typeof ExportPage.Type

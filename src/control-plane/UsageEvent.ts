import { Schema } from "effect"
import { AtMs, Id, Metadata, Metric, Quantity, Unit } from "./Fields.ts"

/** One measurement. */
export const UsageEvent = Schema.Struct({
  id: Schema.Int,
  orgId: Id,
  projectId: Schema.NullOr(Id),
  runId: Schema.NullOr(Schema.String),
  metric: Metric,
  quantity: Quantity,
  unit: Unit,
  /** When it was used: this decides in which period it counts. */
  observedAtMs: AtMs,
  recordedAtMs: AtMs,
  idempotencyKey: Schema.NullOr(Schema.String),
  metadata: Metadata
})
export type UsageEvent = typeof UsageEvent.Type

import { DateTime, Option, Schema } from "effect"
import { type EventRow, sandboxEventText } from "../gateway/contract.ts"
import { CacheHitData, type NodeState, type RunEventType } from "../model/index.ts"
import { bold, dim, ofState } from "./Style.ts"
import { visible } from "./Visible.ts"

/** The node state that an event leads to. */
export const stateAfter: ReadonlyMap<RunEventType, NodeState> = new Map<RunEventType, NodeState>([
  ["NodePending", "pending"],
  ["NodeStarted", "in-progress"],
  ["NodeFinished", "finished"],
  ["NodeFailed", "failed"],
  ["NodeCancelled", "cancelled"],
  ["NodeRetrying", "in-progress"],
  ["NodeSkipped", "skipped"],
  ["NodeWaitingApproval", "waiting-approval"],
  ["NodeWaitingTimer", "waiting-timer"],
  ["NodeWaitingEvent", "waiting-event"]
])

/** The parts of an event's payload that people are shown. */
const Shown = Schema.Struct({
  nodeId: Schema.optional(Schema.NullOr(Schema.String)),
  iteration: Schema.optional(Schema.NullOr(Schema.Int)),
  error: Schema.optional(
    Schema.Union(Schema.Struct({ message: Schema.optional(Schema.String) }), Schema.NullOr(Schema.String))
  ),
  status: Schema.optional(Schema.String),
  reason: Schema.optional(Schema.String),
  notCached: Schema.optional(Schema.String)
})
const decodeShown = Schema.decodeUnknownOption(Shown)

const shownOf = (row: EventRow): typeof Shown.Type => Option.getOrElse(decodeShown(row.payload), () => ({}))

/** The node that an event is about, as people are shown it; null for one about the run. */
export const nodeName = (row: EventRow): string | null => {
  const { iteration, nodeId } = shownOf(row)
  return nodeId ? iteration ? `${nodeId} #${iteration}` : nodeId : null
}

const decodeHit = Schema.decodeUnknownOption(CacheHitData)

/** Whose result was used. */
const reused = (row: EventRow): string | undefined =>
  row.event !== "CacheHit" ? undefined : Option.match(decodeHit(row.payload), {
    onNone: () => undefined,
    onSome: ({ producer: { nodeId, runId }, savedMs, stale }) =>
      `of ${nodeId} in run ${runId ?? "-"}, saves ${savedMs} ms${stale === true ? ", stale, to be replaced" : ""}`
  })

/** One event as a line of text. */
export const eventLine = (row: EventRow): string => {
  const { error, notCached, reason, status } = shownOf(row)
  const sandbox = sandboxEventText(row.event, row.payload)
  const state = stateAfter.get(row.event)
  const name = (state === undefined ? bold : ofState(state))(row.event.padEnd(20))
  const at = DateTime.formatIso(DateTime.unsafeMake(row.timestampMs)).slice(11, 19)
  const said = sandbox === undefined
    ? [status, reason, reused(row), notCached, typeof error === "string" ? error : error?.message]
    : [visible(sandbox)]
  return [dim(`${at} ${String(row.seq).padStart(5)}`), name, nodeName(row), ...said]
    .filter((part) => part !== undefined && part !== null)
    .join("  ")
}

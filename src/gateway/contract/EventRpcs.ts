import { Rpc, RpcGroup } from "@effect/rpc"
import { Schema } from "effect"
import { Bounds, RunEventType, RunId, Seq, TimestampMs } from "../../model/index.ts"
import { ForTenants, RequiredScope } from "./Annotations.ts"
import { failures } from "./Failure.ts"

const EventPayload = Schema.Record({ key: Schema.String, value: Schema.Unknown })

/** An event as stored (`wire-protocol.md` §5.2). */
export const EventRow = Schema.Struct({
  runId: RunId,
  seq: Seq,
  event: RunEventType,
  payload: EventPayload,
  timestampMs: TimestampMs
})
export type EventRow = typeof EventRow.Type

/** One page of the journal, ascending; ours. */
export const ListEvents = Rpc.make("listEvents", {
  payload: Schema.Struct({
    runId: RunId,
    afterSeq: Schema.optionalWith(Seq, { default: () => 0 }),
    limit: Schema.optionalWith(Schema.Int.pipe(Schema.between(1, Bounds.pageRows)), { default: () => 100 })
  }),
  success: Schema.Array(EventRow),
  error: failures("NOT_FOUND")
}).annotate(ForTenants, "run").annotate(RequiredScope, "run:read")

/** The first element of a stream: from where it goes on, and how far the journal reached at that moment. */
export const StreamOpened = Schema.Struct({
  type: Schema.Literal("Opened"),
  runId: RunId,
  afterSeq: Schema.NullOr(Seq),
  currentSeq: Seq
})

/**
 * One event of a stream: `event` is its live name (`wire-protocol.md` §5.1), or the stored one when it has no live name;
 * so `seq` has no gap.
 */
export const StreamedEvent = Schema.Struct({
  type: Schema.Literal("RunEvent"),
  runId: RunId,
  event: Schema.String,
  payload: EventPayload,
  seq: Seq,
  timestampMs: TimestampMs
})
export type StreamedEvent = typeof StreamedEvent.Type

/** Every event after `afterSeq`, stored ones first, then live, each once; without `afterSeq` live ones only. */
export const StreamRunEvents = Rpc.make("streamRunEvents", {
  payload: { runId: RunId, afterSeq: Schema.optional(Seq) },
  success: Schema.Union(StreamOpened, StreamedEvent),
  error: failures("InvalidRunId", "RunNotFound", "SeqOutOfRange", "RateLimited", "BackpressureDisconnect"),
  stream: true
}).annotate(ForTenants, "run").annotate(RequiredScope, "run:read")

/** Events: what happened in a run, as pages and as a stream. */
export const EventRpcs = RpcGroup.make(ListEvents, StreamRunEvents)

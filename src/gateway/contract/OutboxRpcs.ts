import { Rpc, RpcGroup } from "@effect/rpc"
import { Schema } from "effect"
import { Bounds, TimestampMs } from "../../model/index.ts"
import { AdminOnly, RequiredScope } from "./Annotations.ts"
import { failures } from "./Failure.ts"

const Channel = Schema.Literal("audit", "billing")
const State = Schema.Literal("due", "dead")
const Id = Schema.Int.pipe(Schema.positive())

/** Messages that are delivered together; what they say is not shown. */
export const OutboxBatchRow = Schema.Struct({
  id: Id,
  channel: Channel,
  /** Empty: of the service itself. */
  orgId: Schema.String,
  /** What the receiver knows it by. */
  deliveryId: Schema.String,
  messages: Schema.Int,
  /** `dead`: given up, until somebody retries or drops it. */
  state: State,
  attempts: Schema.Int,
  sinceAtMs: TimestampMs,
  /** Of a due one: the next attempt. */
  nextAtMs: TimestampMs,
  error: Schema.NullOr(Schema.String)
})
export type OutboxBatchRow = typeof OutboxBatchRow.Type

/** By id; what waits behind a batch of its organization is not among them. */
export const ListOutbox = Rpc.make("outbox.list", {
  payload: Schema.Struct({
    state: Schema.optional(State),
    channel: Schema.optional(Channel),
    orgId: Schema.optional(Schema.String.pipe(Schema.maxLength(256))),
    /** The id of the last row of the page before. */
    after: Schema.optional(Id),
    limit: Schema.optionalWith(Schema.Int.pipe(Schema.between(1, Bounds.pageRows)), { default: () => 50 })
  }),
  success: Schema.Array(OutboxBatchRow),
  error: failures()
})

const ids = { ids: Schema.Array(Id).pipe(Schema.minItems(1), Schema.maxItems(1_000)) }

/** Offers dead batches again; ids of others are passed over. */
export const RetryOutbox = Rpc.make("outbox.retry", {
  payload: ids,
  success: Schema.Struct({ retried: Schema.Int }),
  error: failures()
})

/** Removes dead batches with what they say; ids of others are passed over. */
export const DropOutbox = Rpc.make("outbox.drop", {
  payload: ids,
  success: Schema.Struct({ dropped: Schema.Int }),
  error: failures()
})

/** What could not be delivered to webhooks, for administrators of the service; ours. */
export const OutboxRpcs = RpcGroup.make(ListOutbox, RetryOutbox, DropOutbox)
  .annotateRpcs(RequiredScope, "run:admin")
  .annotateRpcs(AdminOnly, true)

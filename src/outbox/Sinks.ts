import { Context, type Effect } from "effect"
import type { DeliveryFailed } from "../audit/index.ts"
import type { Channel } from "./OutboxConfig.ts"

/** One batch of messages, the same whenever it is delivered. */
export interface Delivery {
  /** By which a receiver knows that it has it already. */
  readonly id: string
  readonly channel: Channel
  /** Null: of the service itself. */
  readonly orgId: string | null
  readonly messages: number
  /** NDJSON, one message a line: `{"kind":"usage","data":{…}}`. */
  readonly body: string
  /** From 1. */
  readonly attempt: number
}

interface Sink {
  /**
   * Takes a delivery or fails, and then is offered the same one again later. Each is offered at least once, and of one
   * organization in their order, the next when this one was taken or has become a dead letter. Interrupted when the
   * service stops. Organizations are served side by side.
   */
  readonly deliver: (delivery: Delivery) => Effect.Effect<void, DeliveryFailed>
}

/** Takes the audit out of the house: rows that name an organization, and checkpoints. A hosted service supplies its own. */
export class AuditRowSink extends Context.Tag("smithers-orchestrator/outbox/Sinks/AuditRowSink")<AuditRowSink, Sink>() {
}

/** Takes what organizations used to whoever bills for it. A hosted service supplies its own. */
export class BillingSink extends Context.Tag("smithers-orchestrator/outbox/Sinks/BillingSink")<BillingSink, Sink>() {}

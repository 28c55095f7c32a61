import { Schema } from "effect"

/**
 * There was no answer that could be used.
 *
 * - `BadUrl`: no URL, credentials in it, or neither https nor http to loopback; nothing was sent
 * - `PrivateAddress`: its host is in no public network and not in one that is allowed; nothing was sent
 * - `Unreachable`: no such name, no connection, or it broke
 * - `TimedOut`: no whole answer in time; the request may have arrived
 * - `TooLarge`: the answer is longer than allowed; the request has arrived
 */
export class OutboundFailed extends Schema.TaggedError<OutboundFailed>()("OutboundFailed", {
  reason: Schema.Literal("BadUrl", "PrivateAddress", "Unreachable", "TimedOut", "TooLarge"),
  /** Never more of the URL than its host. */
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

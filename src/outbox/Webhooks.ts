import { Clock, Effect, Layer, Option, Redacted, ScopedRef } from "effect"
import { createHmac } from "node:crypto"
import { DeliveryFailed } from "../audit/index.ts"
import { Outbound } from "../outbound/index.ts"
import { Secrets } from "../secrets/index.ts"
import type { Channel } from "./OutboxConfig.ts"
import { AuditRowSink, BillingSink, type Delivery } from "./Sinks.ts"
import { type Destination, WebhookConfig } from "./WebhookConfig.ts"

/** How long a signing secret is used before it is resolved anew; so long after a rotation the old one is seen. */
const secretForMs = 5 * 60_000

interface Held {
  readonly value: Redacted.Redacted
  readonly untilMs: number
}

/**
 * `t` is the time of the attempt in seconds, `v1` the HMAC-SHA256 of `<t>.<body>` with the secret, in hexadecimal. A
 * receiver computes it over the bytes that it got, and refuses what is older than a few minutes.
 */
export const signature = (secret: Redacted.Redacted, seconds: number, body: string): string =>
  `t=${seconds},v1=${createHmac("sha256", Redacted.value(secret)).update(`${seconds}.${body}`).digest("hex")}`

const failed = ({ message }: { readonly message: string }) => new DeliveryFailed({ detail: message })

const makeSink = (channel: Channel) =>
  Effect.gen(function*() {
    const destination = (yield* WebhookConfig)[channel]
    if (Option.isNone(destination)) {
      return { deliver: () => new DeliveryFailed({ detail: `No webhook is set for ${channel}.` }) }
    }
    return yield* posting(destination.value)
  })

const posting = Effect.fnUntraced(function*({ secret, url }: Destination) {
  const outbound = yield* Outbound.Outbound
  const secrets = yield* Secrets.Secrets
  const held = yield* ScopedRef.make((): Held | undefined => undefined)
  const turn = yield* Effect.makeSemaphore(1)

  const secretNow = turn.withPermits(1)(Effect.gen(function*() {
    const nowMs = yield* Clock.currentTimeMillis
    const known = yield* ScopedRef.get(held)
    if (known !== undefined && nowMs < known.untilMs) return known.value
    yield* ScopedRef.set(
      held,
      Effect.map(secrets.resolve(secret), (value): Held => ({ value, untilMs: nowMs + secretForMs }))
    )
    return (yield* ScopedRef.get(held))!.value
  }))

  const deliver = Effect.fn("Webhooks.deliver")(function*({ attempt, body, channel, id, messages, orgId }: Delivery) {
    const value = yield* Effect.mapError(secretNow, failed)
    const seconds = Math.floor((yield* Clock.currentTimeMillis) / 1_000)
    const { status } = yield* Effect.mapError(
      outbound.request({
        method: "POST",
        url: url.replaceAll("{orgId}", encodeURIComponent(orgId ?? "")),
        headers: {
          "content-type": "application/x-ndjson",
          "user-agent": "smithers-outbox",
          "smithers-delivery": id,
          "smithers-channel": channel,
          "smithers-messages": String(messages),
          "smithers-attempt": String(attempt),
          ...(orgId === null ? {} : { "smithers-organization": orgId }),
          "smithers-signature": signature(value, seconds, body)
        },
        body
      }),
      failed
    )
    if (status < 200 || status > 299) {
      return yield* new DeliveryFailed({ detail: `The receiver answered with status ${status}.` })
    }
  })
  return { deliver }
})

/** Deliveries as signed POSTs to the webhooks of `WebhookConfig`; any 2xx takes one, everything else does not. */
export const layer = Layer.merge(
  Layer.scoped(AuditRowSink, makeSink("audit")),
  Layer.scoped(BillingSink, makeSink("billing"))
)

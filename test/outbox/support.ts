import { NodeContext } from "@effect/platform-node"
import { Effect, Layer, Option, Queue, Redacted } from "effect"
import { createHmac, timingSafeEqual } from "node:crypto"
import http from "node:http"
import type { AddressInfo } from "node:net"
import { Audit } from "../../src/audit/index.ts"
import { ControlPlane } from "../../src/control-plane/index.ts"
import { Outbound, OutboundConfig } from "../../src/outbound/index.ts"
import { Courier, DeadLetters, Feeds, Outbox, OutboxConfig, WebhookConfig, Webhooks } from "../../src/outbox/index.ts"
import { Persistence } from "../../src/persistence/index.ts"
import { MemoryProvider, SecretGuard, SecretProviders, Secrets } from "../../src/secrets/index.ts"
import { turn } from "../support/Home.ts"

export const signingSecret = "a-signing-secret-for-tests"

export interface Received {
  readonly path: string
  readonly headers: http.IncomingHttpHeaders
  readonly body: string
  /** Answers with this status; a delivery waits for it. */
  readonly answer: (status: number, headers?: http.OutgoingHttpHeaders, body?: string) => void
}

/** A real server on loopback that hands out what it is sent, and answers as the test says. */
export const makeReceiver = Effect.gen(function*() {
  const received = yield* Queue.unbounded<Received>()
  const server = yield* Effect.acquireRelease(
    Effect.async<http.Server>((resume) => {
      const server = http.createServer((request, response) => {
        const chunks: Array<Buffer> = []
        request.on("data", (chunk: Buffer) => chunks.push(chunk))
        request.on("end", () =>
          received.unsafeOffer({
            path: request.url!,
            headers: request.headers,
            body: Buffer.concat(chunks).toString("utf8"),
            answer: (status, headers, body) => response.writeHead(status, headers).end(body)
          }))
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.async<void>((resume) => {
        server.closeAllConnections()
        server.close(() => resume(Effect.void))
      })
  )
  const { port } = server.address() as AddressInfo
  return { url: `http://127.0.0.1:${port}`, take: Queue.take(received), size: Queue.size(received) }
})

export type Receiver = Effect.Effect.Success<typeof makeReceiver>

interface Line {
  readonly kind: string
  readonly orgId: string | null
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look at what the wire says, member by member
  readonly data: any
}

export const linesOf = ({ body }: Received): ReadonlyArray<Line> =>
  body.split("\n").slice(0, -1).map((line) => JSON.parse(line) as Line)

/** Fails unless the signature is what the README tells a receiver to compute. */
export const checkSignature = ({ body, headers }: Received): number => {
  const [, seconds, given] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(headers["smithers-signature"]))!
  const computed = createHmac("sha256", signingSecret).update(`${seconds}.${body}`).digest()
  if (!timingSafeEqual(Buffer.from(given!, "hex"), computed)) throw new Error("The signature is wrong")
  return Number(seconds)
}

const secrets = Secrets.layer.pipe(
  Layer.provide(SecretProviders.layer([MemoryProvider.make({ signing: Redacted.make(signingSecret) })])),
  Layer.provideMerge(SecretGuard.layer)
)

/** The ground floor: a database, and an outbox with these settings. */
export const storing = (settings: Partial<OutboxConfig.Settings>) =>
  Layer.mergeAll(ControlPlane.layer, DeadLetters.layer).pipe(
    Layer.provideMerge(Audit.layer),
    Layer.provideMerge(Feeds.layer),
    Layer.provideMerge(Outbox.layer),
    Layer.provideMerge(Layer.succeed(OutboxConfig.OutboxConfig, { ...OutboxConfig.defaults, ...settings }))
  )

/** A service that delivers to `url` over HTTP. */
export const delivering = (url: string, settings: Partial<OutboxConfig.Settings> = {}) => {
  const destination = Option.some({ url, secret: { provider: "memory", name: "signing" } })
  return Courier.layer.pipe(
    Layer.provide(Webhooks.layer),
    Layer.provide(Layer.succeed(WebhookConfig.WebhookConfig, { audit: destination, billing: destination })),
    Layer.provide(Outbound.layer),
    Layer.provide(Layer.succeed(OutboundConfig.OutboundConfig, { allowed: ["127.0.0.0/8"] })),
    Layer.provide(secrets),
    Layer.provideMerge(storing({ channels: ["billing"], ...settings }))
  )
}

export const onTemp = Layer.provideMerge(Persistence.layerTemp, NodeContext.layer)

/** An organization that a test measures. */
export const org = (orgId: string) =>
  Effect.flatMap(ControlPlane.ControlPlane, (plane) => plane.createOrg({ orgId, slug: orgId, name: orgId }))

export const use = (orgId: string, quantity: number) =>
  Effect.flatMap(
    ControlPlane.ControlPlane,
    (plane) => plane.recordUsage({ orgId, metric: "tokens", quantity })
  )

export const quantities = (received: Received) => linesOf(received).map(({ data }) => data.quantity as number)

/** Lets the event loop turn until the outbox looks so. */
export const untilListed = (
  fits: (batches: ReadonlyArray<Outbox.BatchSummary>) => boolean
): Effect.Effect<ReadonlyArray<Outbox.BatchSummary>, never, DeadLetters.DeadLetters> =>
  Effect.gen(function*() {
    const letters = yield* DeadLetters.DeadLetters
    for (;;) {
      const batches = yield* Effect.orDie(letters.list({ limit: 1_000 }))
      if (fits(batches)) return batches
      yield* turn
    }
  })

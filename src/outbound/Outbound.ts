import { Context, Duration, Effect, Layer, type Scope, Stream } from "effect"
import { isIP } from "node:net"
import { type Body, collect, exchange, resolve } from "./internal/Exchange.ts"
import { OutboundConfig } from "./OutboundConfig.ts"
import { OutboundFailed } from "./OutboundError.ts"
import { isPublic, isWithin } from "./PublicAddress.ts"

export interface Request {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE"
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  /** Streamed, it has a length that is known. */
  readonly body?: Body
  /** For name, connection and the whole answer; 10 seconds unless given. */
  readonly timeout?: Duration.DurationInput
  /** Bytes of the answer's body; 65,536 unless given. */
  readonly maxBytes?: number
}

/** Whatever its status; a redirect is an answer like any other, and not followed. */
export interface Response {
  readonly status: number
  /** Names in lower case; several of one name separated by commas. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  /** The body as UTF-8. */
  readonly text: string
}

/** An answer whose body has not been read yet: it comes as fast as it is read, once. */
export interface Opened extends Pick<Response, "status" | "headers"> {
  readonly body: Stream.Stream<Uint8Array, OutboundFailed>
}

/**
 * Requests to URLs that the service was given: https, or http to loopback, without credentials in the URL, and only to
 * public addresses and the allowed networks. What is connected to is the very address that was examined. Redirects are
 * not followed, proxies not used. Each request has a connection of its own, which is closed when it is interrupted.
 */
export class Outbound extends Context.Tag("smithers-orchestrator/outbound/Outbound")<Outbound, {
  readonly request: (request: Request) => Effect.Effect<Response, OutboundFailed>
  /**
   * The same, for answers of any length, while the scope is open: `timeout` is for the head of the answer with all that is
   * sent before it, and again for each piece of its body.
   */
  readonly open: (request: Omit<Request, "maxBytes">) => Effect.Effect<Opened, OutboundFailed, Scope.Scope>
}>() {}

const usualTimeout = "10 seconds"

const loopback = ["127.0.0.0/8", "::1/128"]

const parse = (text: string): Effect.Effect<URL, OutboundFailed> => {
  const bad = (detail: string) => new OutboundFailed({ reason: "BadUrl", detail })
  if (!URL.canParse(text)) return bad("It is no URL.")
  const url = new URL(text)
  if (url.protocol !== "https:" && url.protocol !== "http:") return bad("Its URL is neither https nor http.")
  return url.username === "" && url.password === "" ? Effect.succeed(url) : bad("Its URL holds credentials.")
}

const make = Effect.gen(function*() {
  const { allowed } = yield* OutboundConfig

  /** An address of the host that may be connected to. */
  const admit = Effect.fnUntraced(function*({ hostname, protocol }: URL) {
    const host = hostname.replace(/^\[|\]$/g, "")
    const addresses = isIP(host) === 0 ? yield* resolve(host) : [host]
    if (addresses.length === 0) {
      return yield* new OutboundFailed({ reason: "Unreachable", detail: `${host} has no address.` })
    }
    const reachable = addresses.filter((address) => isPublic(address) || isWithin(address, allowed))
    const [address] = protocol === "https:" ? reachable : reachable.filter((address) => isWithin(address, loopback))
    if (address !== undefined) return address
    return yield* reachable.length > 0
      ? new OutboundFailed({ reason: "BadUrl", detail: `${host} is not loopback: only https may be used.` })
      : new OutboundFailed({
        reason: "PrivateAddress",
        detail: `${host} is in no public network, and in none of SMITHERS_OUTBOUND_ALLOW.`
      })
  })

  const begin = (request: Omit<Request, "maxBytes">) =>
    Effect.flatMap(
      parse(request.url),
      (url) => Effect.flatMap(admit(url), (address) => exchange(url, address, request))
    )

  const timedOut = (timeout: Duration.DurationInput) => () =>
    new OutboundFailed({
      reason: "TimedOut",
      detail: `There was no answer within ${Duration.format(Duration.decode(timeout))}.`
    })

  return Outbound.of({
    request: Effect.fn("Outbound.request")(
      function*({ maxBytes = 65_536, ...request }: Request) {
        return yield* collect(yield* begin(request), maxBytes, new URL(request.url).hostname)
      },
      Effect.scoped,
      (effect, { timeout = usualTimeout }) =>
        Effect.timeoutFail(effect, { duration: timeout, onTimeout: timedOut(timeout) })
    ),
    open: Effect.fn("Outbound.open")(
      function*(request: Omit<Request, "maxBytes">) {
        const { timeout = usualTimeout } = request
        const answer = yield* Effect.timeoutFail(begin(request), { duration: timeout, onTimeout: timedOut(timeout) })
        return { ...answer, body: Stream.timeoutFail(answer.body, timedOut(timeout), timeout) }
      }
    )
  })
})

/** As `OutboundConfig` says. */
export const layer = Layer.effect(Outbound, make)

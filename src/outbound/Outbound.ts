import { Context, Duration, Effect, Layer } from "effect"
import { isIP } from "node:net"
import { exchange, resolve } from "./internal/Exchange.ts"
import { OutboundConfig } from "./OutboundConfig.ts"
import { OutboundFailed } from "./OutboundError.ts"
import { isPublic, isWithin } from "./PublicAddress.ts"

export interface Request {
  readonly method: "GET" | "HEAD" | "POST" | "PUT" | "DELETE"
  readonly url: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
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

/**
 * Requests to URLs that the service was given: https, or http to loopback, without credentials in the URL, and only to
 * public addresses and the allowed networks. What is connected to is the very address that was examined. Redirects are
 * not followed, proxies not used. Each request has a connection of its own, which is closed when it is interrupted.
 */
export class Outbound extends Context.Tag("smithers-orchestrator/outbound/Outbound")<Outbound, {
  readonly request: (request: Request) => Effect.Effect<Response, OutboundFailed>
}>() {}

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

  return Outbound.of({
    request: Effect.fn("Outbound.request")(
      function*({ maxBytes = 65_536, ...request }) {
        const url = yield* parse(request.url)
        return yield* exchange(url, yield* admit(url), request, maxBytes)
      },
      (effect, { timeout = "10 seconds" }) =>
        Effect.timeoutFail(effect, {
          duration: timeout,
          onTimeout: () =>
            new OutboundFailed({
              reason: "TimedOut",
              detail: `There was no answer within ${Duration.format(Duration.decode(timeout))}.`
            })
        })
    )
  })
})

/** As `OutboundConfig` says. */
export const layer = Layer.effect(Outbound, make)

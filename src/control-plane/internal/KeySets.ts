import { Clock, Effect, Fiber, Schema, type Scope } from "effect"
import { createLocalJWKSet, type JWTVerifyGetKey } from "jose"
import { IdentityRefused } from "../../access/index.ts"
import type { Outbound } from "../../outbound/index.ts"

/** How long keys are used before they are fetched again, and how long at most when they cannot be. */
const freshMs = 10 * 60_000
const staleMs = 60 * 60_000
/** How long after a fetch, good or bad, the next one may begin: a flood of unknown keys is one fetch. */
const pauseMs = 30_000
const keySets = 1_000
const documentBytes = 262_144
const keysOfSet = 100

interface Entry {
  keys: JWTVerifyGetKey | undefined
  keysAtMs: number
  triedAtMs: number
  failure: string
  /** Goes on when whoever asked first goes away. */
  pending: Fiber.Fiber<void> | undefined
}

const Discovery = Schema.parseJson(Schema.Struct({ issuer: Schema.String, jwks_uri: Schema.String }))
const KeySet = Schema.parseJson(Schema.Struct({
  keys: Schema.mutable(Schema.Array(Schema.mutable(
    Schema.Struct({ kty: Schema.String }, { key: Schema.String, value: Schema.Unknown })
  ))).pipe(Schema.maxItems(keysOfSet))
}))

const unavailable = (detail: string) => new IdentityRefused({ reason: "KeysUnavailable", detail })

/** The published keys of identity providers: fetched when they are needed, kept for ten minutes, at most a thousand sets. */
export const makeKeySets = (outbound: Outbound.Outbound["Type"], scope: Scope.Scope) => {
  const known = new Map<string, Entry>()

  const document = <A>(url: string, schema: Schema.Schema<A, string>) =>
    outbound.request({ method: "GET", url, timeout: "5 seconds", maxBytes: documentBytes }).pipe(
      Effect.mapError(({ message }) => unavailable(message)),
      Effect.filterOrFail(
        ({ status }) => status === 200,
        ({ status }) => unavailable(`The provider answered with status ${status}.`)
      ),
      Effect.flatMap(({ text }) =>
        Effect.mapError(
          Schema.decode(schema)(text),
          () => unavailable("The provider's answer is not what it should be.")
        )
      )
    )

  const discover = Effect.fnUntraced(function*(issuer: string) {
    const found = yield* document(`${issuer.replace(/\/$/, "")}/.well-known/openid-configuration`, Discovery)
    return found.issuer === issuer ? found.jwks_uri : yield* unavailable("The provider says that it is another one.")
  })

  const fetch = Effect.fnUntraced(function*(issuer: string, jwksUrl: string | null) {
    const { keys } = yield* document(jwksUrl ?? (yield* discover(issuer)), KeySet)
    return createLocalJWKSet({ keys })
  })

  const entryOf = (id: string): Entry => {
    const entry = known.get(id) ?? {
      keys: undefined,
      keysAtMs: -Infinity,
      triedAtMs: -Infinity,
      failure: "",
      pending: undefined
    }
    // The last one used is the last one in the map.
    known.delete(id)
    known.set(id, entry)
    const [oldest] = known.keys()
    if (known.size > keySets && oldest !== undefined) known.delete(oldest)
    return entry
  }

  const renew = (entry: Entry, issuer: string, jwksUrl: string | null, nowMs: number): Effect.Effect<void> =>
    Effect.match(fetch(issuer, jwksUrl), {
      onFailure: ({ message }) => {
        entry.failure = message
        if (nowMs - entry.keysAtMs >= staleMs) entry.keys = undefined
      },
      onSuccess: (keys) => {
        entry.keys = keys
        entry.keysAtMs = nowMs
      }
    }).pipe(Effect.ensuring(Effect.sync(() => {
      entry.pending = undefined
    })))

  /** The keys of a provider; with those that did not do, fetched again if that may be. The same ones: it may not. */
  return (issuer: string, jwksUrl: string | null, seen?: JWTVerifyGetKey) =>
    Effect.gen(function*() {
      const entry = entryOf(`${issuer} ${jwksUrl ?? ""}`)
      const nowMs = yield* Clock.currentTimeMillis
      const wanted = entry.keys === undefined || nowMs - entry.keysAtMs >= freshMs || entry.keys === seen
      if (wanted && entry.pending === undefined && nowMs - entry.triedAtMs >= pauseMs) {
        entry.triedAtMs = nowMs
        entry.pending = yield* Effect.forkIn(renew(entry, issuer, jwksUrl, nowMs), scope)
      }
      if (wanted && entry.pending !== undefined) yield* Fiber.await(entry.pending)
      return entry.keys ?? (yield* unavailable(entry.failure))
    })
}

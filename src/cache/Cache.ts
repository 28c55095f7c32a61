import { Clock, Context, Effect, Layer, Number, type ParseResult, type Schema } from "effect"
import { Bounds, codecOf } from "../model/index.ts"
import { Persistence, type PersistenceError, Write } from "../persistence/index.ts"
import { CacheConfig } from "./CacheConfig.ts"
import type { Entry, Filter, Position, Purged } from "./Entry.ts"
import { explain, explainKey, type Explanation } from "./Explanation.ts"
import { CurrentIdentity } from "./Identity.ts"
import * as Entries from "./internal/Entries.ts"
import { Flights } from "./internal/Flights.ts"
import { HitLog } from "./internal/HitLog.ts"
import { Housekeeper } from "./internal/Housekeeper.ts"
import * as Lookups from "./internal/Lookups.ts"
import * as Metrics from "./internal/Metrics.ts"
import { keyOfParts, type Parts, type Request } from "./Key.ts"
import type { Hit, Landed, Miss, Result, Ticket } from "./Lookup.ts"
import { migrations } from "./migrations.ts"
import type { Policy } from "./Policy.ts"

/** Executions in the background at once; a stale hit beyond them leaves the refreshing to a later one. */
const maxRefreshing = 64

/**
 * Reuse of results.
 *
 * A result is used again only by a request whose key is the same part by part, and only after it has been decoded by the
 * request's own output schema. Nothing here fails a caller for the cache's sake: what cannot be read is a miss.
 */
export class Cache extends Context.Tag("smithers-orchestrator/cache/Cache")<Cache, {
  /** A stored result that may be used, or why there is none. One read, no slot, no commit. */
  readonly lookup: <A, I>(request: Request<A, I>) => Effect.Effect<Hit<A> | Miss>
  /**
   * The result as a unit, to be joined with whatever completes the execution. Its commit gives the result to all who
   * wait in `flight`. A result beyond `maxEntryBytes` is given to them and not stored.
   */
  readonly store: (ticket: Ticket, result: Result) => Write.Write<unknown>
  /** Why `store` would not keep this result, if it would not. */
  readonly refusal: (ticket: Ticket, text: string | null) => string | null
  /**
   * One execution at a time per key in this process: the first executes `lead`, which is to commit `store`; the others
   * wait for that commit and go on with `follow`. When an execution ends without it, others execute: one after a
   * cancellation, two and then ever more after failures.
   */
  readonly flight: <A, E, R, E2, R2>(ticket: Ticket, options: {
    readonly lead: Effect.Effect<A, E, R>
    readonly follow: (landed: Landed) => Effect.Effect<A, E2, R2>
  }) => Effect.Effect<A, E | E2, R | R2>
  /** The execution has failed, though its `lead` goes on, perhaps to a pause: the others need not wait for it. */
  readonly abandon: (ticket: Ticket) => Effect.Effect<void>
  /** Executes for a stale hit in the background of the layer, unless an equal execution is under way. */
  readonly refresh: <A, E, R>(ticket: Ticket, lead: Effect.Effect<A, E, R>) => Effect.Effect<void, never, R>
  /** Commits `store` by itself. */
  readonly put: (ticket: Ticket, result: Result) => Effect.Effect<void, PersistenceError>
  /** Removes what a run stored in frames after this one. What it replaced then is gone too: a miss, never a wrong hit. */
  readonly undo: (runId: string, frameNo: number) => Write.Write<number>
  /** Removes what a run stored for itself alone (scope `run`): for whoever removes the run. */
  readonly forget: (runId: string) => Write.Write<number>

  /** Newest first; at most `Bounds.pageRows`, 50 unless given. */
  readonly list: (filter: Filter, page?: {
    readonly limit?: number | undefined
    readonly after?: Position | undefined
  }) => Effect.Effect<ReadonlyArray<Entry>, PersistenceError>
  /** Why the request would hit or miss, part by part. Counts as no lookup. */
  readonly explain: <A, I>(request: Request<A, I>) => Effect.Effect<Explanation, PersistenceError>
  /**
   * The same for a key of the past, from the parts that a miss had. With the time of the miss, it is compared with what
   * had been stored by then: not with the result of its own execution.
   */
  readonly explainParts: (parts: Parts, missedAtMs?: number) => Effect.Effect<Explanation, PersistenceError>
  /** The same for a key whose parts are known to its entry only: a miss when there is no such entry any more. */
  readonly explainKey: (key: string) => Effect.Effect<Explanation, PersistenceError>
  /** Removes entries; a dry run only says how much it would be. */
  readonly purge: (filter: Filter, options?: { readonly dryRun?: boolean }) => Effect.Effect<Purged, PersistenceError>
  /** Sweeps and evicts now, as the layer does at intervals. */
  readonly tidy: Effect.Effect<void, PersistenceError>
}>() {}

const makeCache = Effect.gen(function*() {
  const persistence = yield* Persistence.Persistence
  const settings = yield* CacheConfig
  const scope = yield* Effect.scope
  yield* persistence.migrate(migrations)
  const entries = Entries.make(persistence)
  const hits = new HitLog(entries)
  const housekeeper = new Housekeeper(entries, hits, settings)
  const flights = new Flights()
  /** Results stored by this process. */
  let stored = 0
  let refreshing = 0

  const store = (ticket: Ticket, result: Result): Write.Write<unknown> => {
    const { bytes, unit } = Entries.insert(ticket, result)
    const fits = bytes <= settings.maxEntryBytes
    return (fits ? unit : Write.none).pipe(
      Write.map(() => undefined),
      Write.tapCommitted(() => {
        if (fits) {
          stored++
          housekeeper.stored(bytes)
        }
        flights.land(ticket.key, Lookups.landed(ticket, result))
      })
    )
  }

  const flight: Cache["Type"]["flight"] = (ticket, { follow, lead }) =>
    flights.fly(ticket, {
      lead,
      follow: (landed) => {
        Metrics.add(Metrics.shared, 1)
        return follow(landed)
      },
      again: Effect.suspend(() => ticket.seen === stored ? Effect.succeed(undefined) : Lookups.again(entries, ticket))
    })

  yield* Effect.addFinalizer(() => hits.flush)
  yield* Effect.forkScoped(hits.loop)
  yield* Effect.forkScoped(housekeeper.loop)

  return Cache.of({
    lookup: (request) =>
      Effect.suspend(() =>
        Effect.map(Lookups.lookup(entries, request, stored), ({ found, nowMs }) => {
          Lookups.count(found)
          if (found._tag === "Hit") hits.note(found.key, nowMs)
          return found
        })
      ),
    store,
    refusal: (ticket, text) => {
      const bytes = Entries.sizeOf(JSON.stringify(ticket.parts), text)
      return bytes <= settings.maxEntryBytes
        ? null
        : `The result and its key have ${bytes} bytes, at most ${settings.maxEntryBytes} are cached.`
    },
    flight,
    abandon: (ticket) => Effect.sync(() => flights.end(ticket, true)),
    refresh: (ticket, lead) =>
      Effect.suspend(() => {
        if (refreshing >= maxRefreshing || flights.has(ticket.key)) return Effect.void
        refreshing++
        return flight(ticket, { lead: Effect.asVoid(lead), follow: () => Effect.void }).pipe(
          Effect.catchAllCause((cause) => Effect.logWarning("A stale result of the cache was not replaced", cause)),
          Effect.ensuring(Effect.sync(() => {
            refreshing--
          })),
          Effect.interruptible,
          Effect.forkIn(scope),
          Effect.asVoid
        )
      }),
    put: (ticket, result) => Effect.asVoid(persistence.write(store(ticket, result))),
    undo: Entries.undo,
    forget: Entries.forget,
    list: Effect.fn("Cache.list")(function*(filter, page = {}) {
      const limit = Number.clamp(page.limit ?? 50, { minimum: 0, maximum: Bounds.pageRows })
      return yield* entries.list(filter, yield* Clock.currentTimeMillis, limit, page.after)
    }),
    explain: Effect.fn("Cache.explain")(function*(request) {
      const { found, key } = yield* Lookups.lookup(entries, request, stored)
      return yield* explain(entries, key, found)
    }),
    explainParts: Effect.fn("Cache.explainParts")((parts, missedAtMs) =>
      explain(entries, { key: keyOfParts(parts), parts }, undefined, missedAtMs)
    ),
    explainKey: Effect.fn("Cache.explainKey")((key) => explainKey(entries, key)),
    purge: Effect.fn("Cache.purge")(function*(filter, options = {}) {
      const now = yield* Clock.currentTimeMillis
      return yield* options.dryRun === true ? entries.count(filter, now) : entries.purge(filter, now)
    }),
    tidy: housekeeper.tidy
  })
})

/** The cache in the one database; migrates its table. */
export const layer = Layer.scoped(Cache, makeCache)

export interface Options<A, I, E, R> {
  /** Names the result; plain data. What cannot be a key is executed each time. */
  readonly key: unknown
  readonly output: Schema.Schema<A, I>
  readonly policy?: Omit<Policy, "key">
  readonly execute: Effect.Effect<A, E, R>
}

/**
 * `execute`, or the result that an equal execution gave before. The caller sees what a later hit will see: the result
 * encoded and decoded by `output`; one that does not encode is a `ParseError`. A cache that cannot be written is logged.
 */
export const make = <A, I, E, R>(
  options: Options<A, I, E, R>
): Effect.Effect<A, E | ParseResult.ParseError, R | Cache> =>
  Effect.gen(function*() {
    const cache = yield* Cache
    const codec = codecOf(options.output)
    const execute = (ticket: Ticket | null) =>
      Effect.gen(function*() {
        const startedAtMs = yield* Clock.currentTimeMillis
        const text = yield* Effect.flatMap(options.execute, codec.encode)
        const atMs = yield* Clock.currentTimeMillis
        if (ticket !== null) {
          yield* Effect.catchAll(
            cache.put(ticket, { text, atMs, durationMs: atMs - startedAtMs }),
            (error) => Effect.logWarning("A result was not cached", error)
          )
        }
        return yield* codec.decode(text)
      })
    const found = yield* cache.lookup({
      identity: yield* CurrentIdentity,
      policy: { ...options.policy, key: options.key },
      nodeId: "",
      iteration: 0,
      output: options.output
    })
    if (found._tag === "Hit") {
      if (found.stale !== null) yield* cache.refresh(found.stale, execute(found.stale))
      return found.value
    }
    const { ticket } = found
    return yield* ticket === null ? execute(null) : cache.flight(ticket, {
      lead: execute(ticket),
      follow: ({ text }) => Effect.orElse(codec.decode(text), () => execute(ticket))
    })
  })

export { sensitive } from "./Sensitive.ts"

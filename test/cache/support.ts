import { NodeContext } from "@effect/platform-node"
import { Clock, Effect, Layer, Schema } from "effect"
import { Cache, CacheConfig, type Identity, type Policy, type Request } from "../../src/cache/index.ts"
import { Persistence, Write } from "../../src/persistence/index.ts"

/** The cache on a database of its own, with nothing else than persistence and platform. */
export const cacheLayer = Cache.layer.pipe(
  Layer.provideMerge(Persistence.layerTemp),
  Layer.provide(NodeContext.layer)
)

/** The same with other settings. */
export const cacheWith = (settings: Partial<CacheConfig.Settings>) =>
  Layer.provide(cacheLayer, Layer.succeed(CacheConfig.CacheConfig, { ...CacheConfig.defaults, ...settings }))

export const identity: Identity = {
  tenant: "acme/site",
  workflow: "w",
  runId: "r1",
  writer: "grant:1",
  writeGlobal: true
}

export const Output = Schema.Struct({ n: Schema.Number })

export interface Asked {
  readonly who?: Partial<Identity>
  readonly policy?: Policy
  readonly nodeId?: string
  readonly iteration?: number
  readonly output?: Schema.Schema.AnyNoContext
}

export const request = (asked: Asked = {}): Request<unknown, unknown> => ({
  identity: { ...identity, ...asked.who },
  policy: asked.policy ?? {},
  nodeId: asked.nodeId ?? "task",
  iteration: asked.iteration ?? 0,
  output: (asked.output ?? Output) as Schema.Schema<unknown, unknown>
})

export const lookup = (asked: Asked = {}) => Effect.flatMap(Cache.Cache, (cache) => cache.lookup(request(asked)))

/** What a task does: looks up, and on a miss executes and stores; answers the reason of the miss, or `hit`. */
export const perform = (asked: Asked = {}, text = `{"n":1}`) =>
  Effect.gen(function*() {
    const cache = yield* Cache.Cache
    const found = yield* cache.lookup(request(asked))
    if (found._tag === "Hit") return "hit"
    if (found.ticket !== null) {
      yield* cache.put(found.ticket, { text, atMs: yield* Clock.currentTimeMillis, durationMs: 7 })
    }
    return found.reason
  })

/** What `perform` did, without what it would store. */
export const verdict = (asked: Asked = {}) =>
  Effect.map(lookup(asked), (found) => found._tag === "Hit" ? "hit" : found.reason)

export const commit = <A, E>(unit: Write.Write<A, E>) =>
  Effect.flatMap(Persistence.Persistence, (persistence) => persistence.write(unit))

/** Changes rows behind the cache's back. */
export const tamper = (text: string, ...params: ReadonlyArray<Write.SqlValue>) => commit(Write.run(text, params))

export const turn = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/** Lets background fibers and the writer go on until the condition holds. */
export const until = <E, R>(condition: Effect.Effect<boolean, E, R>) =>
  Effect.repeat(Effect.zipRight(turn, condition), { until: (holds) => holds, times: 2_000 }).pipe(
    Effect.filterOrDieMessage((holds) => holds, "It did not happen.")
  )

/** All entries. */
export const entries = Effect.flatMap(Cache.Cache, (cache) => cache.list({}, { limit: 1_000 }))

import { Effect } from "effect"
import { Cache } from "../cache/index.ts"
import { TaskCache } from "../engine/index.ts"
import { Authorized, Caller } from "./Caller.ts"
import { CacheRpcs, ExplainCache, ListCache, PurgeCache } from "./contract.ts"
import { failAs } from "./internal/wireErrors.ts"

/** Answers `CacheRpcs` from the cache and what the engine says of it. */
export const layer = CacheRpcs.middleware(Authorized).toLayer(Effect.gen(function*() {
  const cache = yield* Cache.Cache
  const taskCache = yield* TaskCache.TaskCache
  const listing = failAs(ListCache.errorSchema)
  const explaining = failAs(ExplainCache.errorSchema)
  const purging = failAs(PurgeCache.errorSchema)

  return {
    "cache.list": ({ after, limit, ...filter }) => listing(cache.list(filter, { limit, after })),

    "cache.explain": ({ iteration, nodeId, runId }) =>
      taskCache.explain(runId, nodeId, iteration).pipe(
        Effect.map((explanation) => ({ runId, nodeId, iteration, ...explanation })),
        explaining
      ),

    "cache.purge": ({ dryRun, ...filter }) =>
      Effect.gen(function*() {
        const { actor } = yield* Caller
        return { ...yield* taskCache.purge(filter, { dryRun, actor }), dryRun }
      }).pipe(purging)
  }
}))

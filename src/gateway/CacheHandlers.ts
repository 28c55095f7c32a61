import { Effect } from "effect"
import { Cache, type Filter } from "../cache/index.ts"
import { TaskCache } from "../engine/index.ts"
import type { Reach } from "../model/index.ts"
import { Authorized, Caller } from "./Caller.ts"
import { CacheRpcs, ExplainCache, ListCache, PurgeCache } from "./contract.ts"
import { failAs } from "./internal/wireErrors.ts"

/** Which entries a caller may know of. */
const within = (reach: Reach | null): Filter =>
  reach === null ? {} : {
    orgId: reach.orgId,
    ...(reach.projectIds !== null && { projectIds: reach.projectIds }),
    ...(reach.except.length > 0 && { exceptProjectIds: reach.except })
  }

/** Answers `CacheRpcs` from the cache and what the engine says of it. */
export const layer = CacheRpcs.middleware(Authorized).toLayer(Effect.gen(function*() {
  const cache = yield* Cache.Cache
  const taskCache = yield* TaskCache.TaskCache
  const listing = failAs(ListCache.errorSchema)
  const explaining = failAs(ExplainCache.errorSchema)
  const purging = failAs(PurgeCache.errorSchema)

  return {
    "cache.list": ({ after, limit, ...filter }) =>
      listing(Effect.flatMap(Caller, ({ reach }) => cache.list({ ...filter, ...within(reach) }, { limit, after }))),

    "cache.explain": ({ iteration, nodeId, runId }) =>
      taskCache.explain(runId, nodeId, iteration).pipe(
        Effect.map((explanation) => ({ runId, nodeId, iteration, ...explanation })),
        explaining
      ),

    "cache.purge": ({ dryRun, ...filter }) =>
      Effect.gen(function*() {
        const { actor, reach } = yield* Caller
        return { ...yield* taskCache.purge({ ...filter, ...within(reach) }, { dryRun, actor }), dryRun }
      }).pipe(purging)
  }
}))

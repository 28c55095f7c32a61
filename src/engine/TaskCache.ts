import { Context, Effect, Layer, Option, Schema } from "effect"
import { Audit } from "../audit/index.ts"
import { Cache, type Explanation, type Filter, type Purged } from "../cache/index.ts"
import { Journal, RunStore } from "../journal/index.ts"
import { type Actor, CacheHitData, CacheMissData, type RunEvent } from "../model/index.ts"
import { PersistenceError } from "../persistence/index.ts"
import { NodeNotFound } from "./EngineError.ts"

/** What the last lookup of a node said. */
export type Said =
  | { readonly type: "CacheHit"; readonly atMs: number; readonly attempt: number; readonly data: CacheHitData }
  | { readonly type: "CacheMiss"; readonly atMs: number; readonly attempt: number; readonly data: CacheMissData }

export interface NodeExplanation {
  /** Null: the node has looked nothing up, for want of a policy or because it has not begun. */
  readonly said: Said | null
  /** Why its result was not stored although it was to be. */
  readonly notCached: string | null
  /** What the same lookup would find now; null when it had no key. */
  readonly now: Explanation | null
}

/** What operators ask of the results that tasks share. */
export class TaskCache extends Context.Tag("smithers-orchestrator/engine/TaskCache")<TaskCache, {
  /** Why a node hit or missed: as its last event says, and part by part against what is left of what was stored then. */
  readonly explain: (
    runId: string,
    nodeId: string,
    iteration: number
  ) => Effect.Effect<NodeExplanation, RunStore.RunNotFound | NodeNotFound | PersistenceError>
  /** Removes entries, with an audit row of filter and counts; a dry run only counts, and leaves none. */
  readonly purge: (
    filter: Filter,
    options: { readonly dryRun: boolean; readonly actor: Actor }
  ) => Effect.Effect<Purged, PersistenceError>
}>() {}

const decodeHit = Schema.decodeUnknown(CacheHitData)
const decodeMiss = Schema.decodeUnknown(CacheMissData)

const saidBy = ({ attempt, data, timestampMs, type }: RunEvent): Effect.Effect<Said, PersistenceError> => {
  const at = { atMs: timestampMs, attempt: attempt ?? 1 }
  return PersistenceError.refail("TaskCache.explain")(
    type === "CacheHit"
      ? Effect.map(decodeHit(data), (data): Said => ({ type, ...at, data }))
      : Effect.map(decodeMiss(data), (data): Said => ({ type: "CacheMiss", ...at, data }))
  )
}

const make = Effect.gen(function*() {
  const cache = yield* Cache.Cache
  const journal = yield* Journal.Journal
  const runs = yield* RunStore.RunStore
  const audit = yield* Audit.Audit

  const now = (said: Said): Effect.Effect<Explanation | null, PersistenceError> =>
    said.type === "CacheHit"
      ? cache.explainKey(said.data.key)
      : said.data.parts === null
      ? Effect.succeed(null)
      : cache.explainParts(said.data.parts, said.atMs)

  return TaskCache.of({
    explain: Effect.fn("TaskCache.explain")(function*(runId, nodeId, iteration) {
      const node = { runId, nodeId, iteration }
      const looked = Option.getOrUndefined(yield* journal.latestOf(node, ["CacheHit", "CacheMiss"]))
      if (looked === undefined) {
        yield* runs.get(runId)
        if (Option.isNone(yield* runs.findNode(runId, nodeId, iteration))) return yield* new NodeNotFound(node)
        return { said: null, notCached: null, now: null }
      }
      const said = yield* saidBy(looked)
      const finished = Option.getOrUndefined(yield* journal.latestOf(node, ["NodeFinished"]))
      const notCached = finished !== undefined && finished.seq > looked.seq ? finished.data["notCached"] : undefined
      return { said, notCached: typeof notCached === "string" ? notCached : null, now: yield* now(said) }
    }),

    purge: Effect.fn("TaskCache.purge")(function*(filter, { actor, dryRun }) {
      if (dryRun) return yield* cache.purge(filter, { dryRun })
      const operation = { actor, action: "cache.purge", target: null, runId: null }
      const given = Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined))
      // In chunks, each of them a commit: what an interruption or a failure leaves is not all there was.
      return yield* Effect.uninterruptible(Effect.tapBoth(cache.purge(filter), {
        onFailure: ({ message }) => audit.record({ ...operation, outcome: "failed", reason: message, detail: given }),
        onSuccess: (purged) =>
          audit.record({ ...operation, outcome: "ok", reason: null, detail: { ...given, ...purged } })
      }))
    })
  })
})

export const layer = Layer.effect(TaskCache, make)

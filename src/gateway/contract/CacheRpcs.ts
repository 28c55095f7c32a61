import { Rpc, RpcGroup } from "@effect/rpc"
import { Schema } from "effect"
import {
  Bounds,
  CacheHitData,
  CacheMissData,
  Iteration,
  NodeId,
  RunId,
  TimestampMs,
  WorkflowName
} from "../../model/index.ts"
import { ForTenants, RequiredScope } from "./Annotations.ts"
import { failures } from "./Failure.ts"

const NullableString = Schema.NullOr(Schema.String)
const NullableTime = Schema.NullOr(TimestampMs)
const Key = Schema.String.pipe(Schema.pattern(/^[0-9a-f]{64}$/), Schema.annotations({ identifier: "CacheKey" }))
const Parts = Schema.Record({ key: Schema.String, value: Schema.String })

/** A stored result, without the result. */
export const CacheEntryRow = Schema.Struct({
  key: Schema.String,
  scope: Schema.Literal("run", "workflow", "global"),
  /** The policy's `key`, else the node id. */
  task: Schema.String,
  /** What the key is made of. */
  parts: Parts,
  tags: Schema.Array(Schema.String),
  /** Workflow, run, frame and node that produced it. */
  workflow: NullableString,
  runId: NullableString,
  frameNo: Schema.NullOr(Schema.Int),
  nodeId: Schema.String,
  iteration: Schema.Int,
  writer: Schema.String,
  bytes: Schema.Int,
  durationMs: Schema.Int,
  createdAtMs: TimestampMs,
  expiresAtMs: NullableTime,
  lastHitAtMs: NullableTime,
  hits: Schema.Int
})
export type CacheEntryRow = typeof CacheEntryRow.Type

const filter = {
  workflow: Schema.optional(WorkflowName),
  /** Task id or policy key. */
  task: Schema.optional(Schema.String),
  tag: Schema.optional(Schema.String),
  runId: Schema.optional(RunId),
  /** Stored longer ago than this. */
  olderThanMs: Schema.optional(Schema.NonNegativeInt)
}

/** Newest first; `after` is the last entry of the page before. */
export const ListCache = Rpc.make("cache.list", {
  payload: {
    ...filter,
    limit: Schema.optional(Schema.Int.pipe(Schema.between(1, Bounds.pageRows))),
    after: Schema.optional(Schema.Struct({ createdAtMs: TimestampMs, key: Key }))
  },
  success: Schema.Array(CacheEntryRow),
  error: failures()
}).annotate(ForTenants, "own").annotate(RequiredScope, "run:read")

const at = { atMs: TimestampMs, attempt: Schema.Int }

/** Why a node hit or missed. */
export const CacheExplanation = Schema.Struct({
  runId: RunId,
  nodeId: NodeId,
  iteration: Iteration,
  /** As the node's last event has it; null: it looked nothing up. */
  said: Schema.NullOr(Schema.Union(
    Schema.Struct({ type: Schema.Literal("CacheHit"), ...at, data: CacheHitData }),
    Schema.Struct({ type: Schema.Literal("CacheMiss"), ...at, data: CacheMissData })
  )),
  /** Why its result was not stored although it was to be. */
  notCached: NullableString,
  /**
   * The same lookup now; of a miss, part by part against the nearest entry that had been stored by then. Null when it
   * had no key.
   */
  now: Schema.NullOr(Schema.Struct({
    verdict: Schema.Literal("hit", "stale", "miss"),
    reason: Schema.String,
    key: NullableString,
    parts: Schema.Array(Schema.Struct({
      name: Schema.String,
      asked: NullableString,
      stored: NullableString,
      same: Schema.Boolean
    })),
    nearest: Schema.NullOr(CacheEntryRow)
  }))
})
export type CacheExplanation = typeof CacheExplanation.Type

export const ExplainCache = Rpc.make("cache.explain", {
  payload: Schema.Struct({
    runId: RunId,
    nodeId: NodeId,
    iteration: Schema.optionalWith(Iteration, { default: () => 0 })
  }),
  success: CacheExplanation,
  error: failures("NOT_FOUND", "NodeNotFound")
}).annotate(ForTenants, "run").annotate(RequiredScope, "run:read")

/** Removes what the filter says, everything without one; a dry run only counts. */
export const PurgeCache = Rpc.make("cache.purge", {
  payload: Schema.Struct({ ...filter, dryRun: Schema.optionalWith(Schema.Boolean, { default: () => false }) }),
  success: Schema.Struct({ entries: Schema.Int, bytes: Schema.Int, dryRun: Schema.Boolean }),
  error: failures()
}).annotate(ForTenants, "own").annotate(RequiredScope, "run:admin")

/** Results that tasks share; ours. */
export const CacheRpcs = RpcGroup.make(ListCache, ExplainCache, PurgeCache)

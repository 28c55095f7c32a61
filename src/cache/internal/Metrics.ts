import { Metric } from "effect"

export const hits = Metric.counter("smithers_cache_hits_total", { description: "Lookups answered from the cache" })

export const stale = Metric.counter("smithers_cache_stale_hits_total", {
  description: "Hits past their ttl, given out while they are replaced"
})

export const misses = Metric.counter("smithers_cache_misses_total", { description: "Lookups that led to an execution" })

export const mismatches = Metric.counter("smithers_cache_mismatches_total", {
  description: "Misses whose entry did not decode or was not what had been stored"
})

export const shared = Metric.counter("smithers_cache_shared_total", {
  description: "Executions saved because an equal one was under way"
})

export const savedMs = Metric.counter("smithers_cache_saved_ms_total", {
  description: "Milliseconds that the executions behind the hits took"
})

export const removed = Metric.counter("smithers_cache_removed_total", {
  description: "Entries that expired or were evicted"
})

export const add = (counter: Metric.Metric.Counter<number>, amount: number): void => counter.unsafeUpdate(amount, [])

import { Effect } from "effect"
import type { PersistenceError } from "../persistence/index.ts"
import type { Entry } from "./Entry.ts"
import type { Entries } from "./internal/Entries.ts"
import { type Key, type Parts, taskOf, tenantOf } from "./Key.ts"
import type { Hit, Miss } from "./Lookup.ts"

/** One part of the key beside the same part of the nearest entry; null where there is none. */
export interface PartComparison {
  readonly name: string
  readonly asked: string | null
  readonly stored: string | null
  readonly same: boolean
}

/** Why a lookup hits or misses. */
export interface Explanation {
  readonly verdict: "hit" | "stale" | "miss"
  /** In words; a miss names the parts that differ. */
  readonly reason: string
  readonly key: string | null
  readonly parts: ReadonlyArray<PartComparison>
  /** The entry of this key, else the one of the tenant that has most parts in common with it. */
  readonly nearest: Entry | null
}

/** Entries that are compared. */
const maxCandidates = 200

const compare = (asked: Parts, stored: Parts): ReadonlyArray<PartComparison> =>
  [...new Set([...Object.keys(asked), ...Object.keys(stored)])].map((name) => {
    const ours = asked[name] ?? null
    const theirs = stored[name] ?? null
    return { name, asked: ours, stored: theirs, same: ours === theirs }
  })

const sharedParts = (asked: Parts, { parts }: Entry): number =>
  Object.entries(asked).filter(([name, text]) => parts[name] === text).length

/** The newest of those that have most parts in common. */
const nearestOf = (asked: Parts, newestFirst: ReadonlyArray<Entry>): Entry | null => {
  let nearest: Entry | null = null
  let most = -1
  for (const candidate of newestFirst) {
    const shared = sharedParts(asked, candidate)
    if (shared > most) {
      nearest = candidate
      most = shared
    }
  }
  return nearest
}

const differences = (parts: ReadonlyArray<PartComparison>): string =>
  parts.filter(({ same }) => !same)
    .map(({ asked, name, stored }) => `${name} is ${asked ?? "absent"}, was ${stored ?? "absent"}`)
    .join("; ")

/** The nearest entry of another key: of the same task, else of the same tenant. Another tenant's is never shown. */
const findNearest = (
  entries: Entries,
  { key, parts }: Key,
  storedBeforeMs: number
): Effect.Effect<Entry | null, PersistenceError> =>
  Effect.gen(function*() {
    const tenant = tenantOf(parts)
    const others = Effect.map((found: ReadonlyArray<Entry>) => found.filter((entry) => entry.key !== key))
    const ofTask = yield* others(entries.ofTask(tenant, taskOf(parts), storedBeforeMs, maxCandidates))
    return nearestOf(
      parts,
      ofTask.length > 0 ? ofTask : yield* others(entries.ofTenant(tenant, storedBeforeMs, maxCandidates))
    )
  })

/**
 * Explains what a lookup found; without one, whether there is an entry of the key, and, for a lookup of the past, what
 * it could have found then.
 */
export const explain = Effect.fnUntraced(
  function*<A>(entries: Entries, key: Key | null, found?: Hit<A> | Miss, storedBeforeMs = Number.MAX_SAFE_INTEGER) {
    if (key === null) {
      const reason = found?._tag === "Miss" ? found.detail : ""
      return { verdict: "miss", reason, key: null, parts: [], nearest: null } satisfies Explanation
    }
    const [own] = yield* entries.byKey(key.key)
    const comparable = own !== undefined && own.createdAtMs < storedBeforeMs
    const nearest = comparable ? own : yield* findNearest(entries, key, storedBeforeMs)
    const parts = nearest === null ? compare(key.parts, {}) : compare(key.parts, nearest.parts)
    const explained = (verdict: Explanation["verdict"], reason: string): Explanation => ({
      verdict,
      reason,
      key: key.key,
      parts,
      nearest
    })
    if (found?._tag === "Hit") {
      return explained(
        found.stale === null ? "hit" : "stale",
        `Stored ${found.ageMs} ms ago by node ${found.producer.nodeId} of run ${found.producer.runId ?? "-"}.`
      )
    }
    if (found !== undefined && found.reason !== "Absent") return explained("miss", found.detail)
    if (comparable) return explained("hit", "There is an entry of this key.")
    const compared = nearest === null
      ? "Nothing to compare with is stored for this tenant."
      : `Compared with the nearest entry, ${differences(parts)}.`
    return own === undefined
      ? explained("miss", compared)
      : explained("hit", `There is an entry of this key now, stored later. ${compared}`)
  }
)

/** The entry of a key compared with itself, if it is still there. */
export const explainKey = (entries: Entries, key: string): Effect.Effect<Explanation, PersistenceError> =>
  Effect.flatMap(entries.byKey(key), ([own]): Effect.Effect<Explanation, PersistenceError> =>
    own === undefined
      ? Effect.succeed({ verdict: "miss", reason: "The entry of this key is gone.", key, parts: [], nearest: null })
      : explain(entries, { key, parts: own.parts }))

import { Effect } from "effect"
import type { Entries } from "./Entries.ts"

/** Entries whose hits are noted before the next flush; hits of further ones are counted by the metric only. */
const maxKeys = 10_000

/** Hits gather so long before they are written: a hit costs no commit. */
const pause = "5 seconds"

/** Hits since the last flush, written together. What a crash loses of them is order of eviction, not results. */
export class HitLog {
  private uses = new Map<string, { hits: number; atMs: number }>()
  private readonly dirty = Effect.unsafeMakeLatch(false)
  private readonly entries: Entries

  constructor(entries: Entries) {
    this.entries = entries
  }

  note(key: string, atMs: number): void {
    const known = this.uses.get(key)
    if (known !== undefined) {
      known.hits++
      known.atMs = Math.max(known.atMs, atMs)
    } else if (this.uses.size < maxKeys) {
      this.uses.set(key, { hits: 1, atMs })
      this.dirty.unsafeOpen()
    }
  }

  get flush(): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.uses.size === 0) return Effect.void
      const uses = Array.from(this.uses, ([key, { atMs, hits }]) => [key, hits, atMs] as const)
      this.uses = new Map()
      this.dirty.unsafeClose()
      return Effect.catchAll(
        this.entries.noteHits(uses),
        (error) => Effect.logWarning("Hits of the cache were not noted", error)
      )
    })
  }

  /** For ever; idle when nothing is hit. */
  get loop(): Effect.Effect<never> {
    return Effect.forever(
      Effect.zipRight(this.dirty.await, Effect.zipRight(Effect.sleep(pause), this.flush))
    )
  }
}

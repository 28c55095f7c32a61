import { Clock, Effect } from "effect"
import type { PersistenceError } from "../../persistence/index.ts"
import type { Settings } from "../CacheConfig.ts"
import type { Entries } from "./Entries.ts"
import type { HitLog } from "./HitLog.ts"
import * as Metrics from "./Metrics.ts"

/** After an eviction a tenth of the bounds is free, so that not every further entry needs one. */
const slack = 10

/**
 * Keeps the cache within its bounds: sweeps what has expired at intervals, and evicts the least recently used when the
 * bounds are passed. Between two looks at the table it counts what was stored, never less than there is.
 */
export class Housekeeper {
  private entriesAtMost = 0
  private bytesAtMost = 0
  private readonly full = Effect.unsafeMakeLatch(false)
  private readonly entries: Entries
  private readonly hits: HitLog
  private readonly settings: Settings

  constructor(entries: Entries, hits: HitLog, settings: Settings) {
    this.entries = entries
    this.hits = hits
    this.settings = settings
  }

  stored(bytes: number): void {
    this.entriesAtMost++
    this.bytesAtMost += bytes
    if (this.overfull) this.full.unsafeOpen()
  }

  private get overfull(): boolean {
    return this.entriesAtMost > this.settings.maxEntries || this.bytesAtMost > this.settings.maxBytes
  }

  private get count(): Effect.Effect<void, PersistenceError> {
    return Effect.map(this.entries.totals, ({ bytes, entries }) => {
      this.entriesAtMost = entries
      this.bytesAtMost = bytes
    })
  }

  private get evict(): Effect.Effect<void, PersistenceError> {
    const { maxBytes, maxEntries } = this.settings
    const entriesLeft = maxEntries - Math.floor(maxEntries / slack)
    const bytesLeft = maxBytes - Math.floor(maxBytes / slack)
    return Effect.whileLoop({
      while: () => this.entriesAtMost > entriesLeft || this.bytesAtMost > bytesLeft,
      body: () =>
        Effect.flatMap(this.entries.oldest, (oldest) => {
          let [entries, bytes] = [this.entriesAtMost, this.bytesAtMost]
          const going = oldest.filter((entry) => {
            const goes = entries > entriesLeft || bytes > bytesLeft
            if (goes) {
              entries--
              bytes -= entry.bytes
            }
            return goes
          })
          return Effect.zipRight(
            Effect.map(
              this.entries.evict(going.map(({ key }) => key), going.at(-1)?.usedAtMs ?? 0),
              (removed) => Metrics.add(Metrics.removed, removed.entries)
            ),
            this.count
          )
        }),
      step: () => undefined
    })
  }

  /** One round: expired ones go, then, if there are too many, the least recently used. */
  get tidy(): Effect.Effect<void, PersistenceError> {
    return Effect.gen(this, function*() {
      const { entries } = yield* this.entries.sweep(yield* Clock.currentTimeMillis)
      Metrics.add(Metrics.removed, entries)
      this.full.unsafeClose()
      yield* this.count
      if (!this.overfull) return
      yield* this.hits.flush
      yield* this.evict
    })
  }

  /** For ever: at once, then at every interval and whenever the bounds are passed. */
  get loop(): Effect.Effect<never> {
    return this.tidy.pipe(
      Effect.catchAll((error) => Effect.logWarning("The cache was not tidied", error)),
      Effect.zipRight(Effect.timeoutOption(this.full.await, this.settings.sweepInterval)),
      Effect.forever
    )
  }
}

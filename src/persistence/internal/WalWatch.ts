import { FileSystem } from "@effect/platform"
import type { Database } from "better-sqlite3"
import { Effect, Metric } from "effect"

/** How long after a commit the size of the write-ahead log is looked at, and the size beyond which it is emptied or reported. */
const checkEvery = "30 seconds"
const bound = 64 * 1024 * 1024

const walBytes = Metric.gauge("smithers_persistence_wal_bytes", {
  description: "Size of the write-ahead log's file, looked at every 30 seconds while something is written"
})

/**
 * Keeps the write-ahead log small, and says so when it cannot.
 *
 * SQLite itself checkpoints at a commit when the log holds 4,096 pages (16 MiB), but starts the log over only when no
 * reader is in it: under a steady reader the file grows. Beyond the bound it is checkpointed and cut to nothing; when a reader prevents that, a
 * warning is logged at every look, because nothing but ending that reader helps.
 *
 * `written` is opened by every commit: where nothing is written and the log is within its bound, nothing wakes up.
 */
export const keepWalBounded = (db: Database, file: string, written: Effect.Latch) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const measure = Effect.gen(function*() {
      const size = yield* Effect.match(fs.stat(`${file}-wal`), {
        onFailure: () => 0,
        onSuccess: (info) => Number(info.size)
      })
      yield* Metric.set(walBytes, size)
      return size
    })
    const look = Effect.gen(function*() {
      if ((yield* measure) <= bound) return
      // Synchronous and on the write connection: no batch can be in the middle of its transaction here. It does not wait.
      yield* Effect.catchAll(
        Effect.try(() => db.pragma("wal_checkpoint(TRUNCATE)")),
        (error) => Effect.logWarning("The write-ahead log could not be checkpointed.", error.cause)
      )
      const left = yield* measure
      if (left > bound) {
        yield* Effect.logWarning(
          `The write-ahead log holds ${left} bytes (bound ${bound}): a reader of ${file} keeps it from being emptied. ` +
            "Look for a forgotten sqlite3 shell or a long backup."
        )
        yield* written.open
      }
    })
    const round = written.await.pipe(
      Effect.zipRight(Effect.sleep(checkEvery)),
      Effect.zipRight(written.close),
      Effect.zipRight(look)
    )
    yield* Effect.forkScoped(Effect.forever(round))
  })

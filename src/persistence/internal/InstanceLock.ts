import { FileSystem, Path } from "@effect/platform"
import Sqlite from "better-sqlite3"
import { Clock, DateTime, Effect, Option, Schema } from "effect"
import { StartRefused } from "../PersistenceError.ts"

const Holder = Schema.parseJson(Schema.Struct({ pid: Schema.Int, startedAtMs: Schema.Int }))

/**
 * One process per home. The lock is an exclusive SQLite transaction on a file of its own, which the operating system
 * releases when the process dies, however it dies; the note beside it only serves to name the holder in a message.
 */
export const acquireInstanceLock = Effect.fnUntraced(function*(home: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const note = path.join(home, "instance.json")
  yield* Effect.acquireRelease(
    Effect.gen(function*() {
      const db = yield* Effect.try({
        try: () => new Sqlite(path.join(home, "instance.lock")),
        catch: (cause) =>
          new StartRefused({
            reason: "Open",
            detail: `Cannot open the lock file in ${home}: ${cause instanceof Error ? cause.message : String(cause)}.`,
            fix: "Check that the directory is writable."
          })
      })
      return yield* Effect.try({
        try: () => {
          db.pragma("busy_timeout = 0")
          db.prepare("BEGIN EXCLUSIVE").run()
          return db
        },
        catch: () => undefined
      }).pipe(Effect.catchAll(() =>
        Effect.gen(function*() {
          db.close()
          const holder = yield* Effect.option(Effect.flatMap(fs.readFileString(note), Schema.decode(Holder)))
          return yield* new StartRefused({
            reason: "InstanceLocked",
            detail: `${home} is in use by ${
              Option.match(holder, {
                onNone: () => "another process",
                onSome: (h) => `process ${h.pid} (since ${DateTime.formatIso(DateTime.unsafeMake(h.startedAtMs))})`
              })
            }.`,
            fix: "Stop it first, or choose another SMITHERS_HOME."
          })
        })
      ))
    }),
    (db) =>
      Effect.sync(() => {
        db.close()
      })
  )
  yield* Effect.flatMap(
    Schema.encode(Holder)({ pid: process.pid, startedAtMs: yield* Clock.currentTimeMillis }),
    (text) => fs.writeFileString(note, text)
  ).pipe(
    Effect.catchAll((cause) =>
      new StartRefused({
        reason: "Open",
        detail: `Cannot write ${note}: ${cause.message}.`,
        fix: "Check that the directory is writable."
      })
    )
  )
})

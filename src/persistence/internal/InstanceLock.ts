import { FileSystem } from "@effect/platform"
import Sqlite from "better-sqlite3"
import { Clock, DateTime, Effect, Option, Schema } from "effect"
import { StartRefused } from "../PersistenceError.ts"
import { homeFiles } from "./HomeFiles.ts"

const Holder = Schema.parseJson(Schema.Struct({ pid: Schema.Int, startedAtMs: Schema.Int }))

const messageOf = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause)

const notWritable = (home: string) => (cause: unknown) =>
  new StartRefused({
    reason: "Open",
    detail: `Cannot take the lock of ${home}: ${messageOf(cause)}.`,
    fix: "Check that the directory is writable and that its instance.lock may be locked."
  })

/**
 * One process per home. The lock is an exclusive SQLite transaction on a file of its own, which the operating system
 * releases when the process dies, however it dies; the note beside it only serves to name the holder in a message.
 * Nobody may open `instance.lock` by other means within the process: closing it would release the lock (POSIX).
 */
export const acquireInstanceLock = Effect.fnUntraced(function*(home: string) {
  const fs = yield* FileSystem.FileSystem
  const files = yield* homeFiles(home)
  const db = yield* Effect.acquireRelease(
    Effect.try({ try: () => new Sqlite(files.lock, { timeout: 0 }), catch: notWritable(files.root) }),
    (db) => Effect.sync(() => db.close())
  )
  const taken = yield* Effect.try({
    try: () => {
      // Does not wait.
      db.prepare("BEGIN EXCLUSIVE").run()
      return true
    },
    catch: (cause) =>
      cause instanceof Sqlite.SqliteError && cause.code.startsWith("SQLITE_BUSY")
        ? "held"
        : notWritable(files.root)(cause)
  }).pipe(Effect.catchAll((error) => error === "held" ? Effect.succeed(false) : error))
  if (!taken) {
    const holder = yield* Effect.option(Effect.flatMap(fs.readFileString(files.holder), Schema.decode(Holder)))
    const name = Option.match(holder, {
      onNone: () => "another process",
      onSome: (h) => `process ${h.pid} (since ${DateTime.formatIso(DateTime.unsafeMake(h.startedAtMs))})`
    })
    return yield* new StartRefused({
      reason: "InstanceLocked",
      detail: `${files.root} is in use by ${name}.`,
      fix: "Stop it first, or choose another SMITHERS_HOME."
    })
  }
  const note = yield* Effect.orDie(
    Schema.encode(Holder)({ pid: process.pid, startedAtMs: yield* Clock.currentTimeMillis })
  )
  yield* Effect.acquireRelease(
    Effect.mapError(fs.writeFileString(files.holder, note), notWritable(files.root)),
    () => Effect.ignore(fs.remove(files.holder))
  )
})

import Sqlite, { type Database } from "better-sqlite3"
import { Effect } from "effect"
import { StartRefused } from "../PersistenceError.ts"

/** Bumped with every release that changes any table: a program refuses a file of a later generation before touching it. */
export const schemaGeneration = 1

/** SQLite below 3.51.3 can lose a committed transaction when a checkpoint races a WAL reset. */
const oldestSqlite = [3, 51, 3] as const

const atLeast = (version: string, oldest: readonly [number, number, number]): boolean => {
  const parts = version.split(".").map(Number)
  for (let i = 0; i < 3; i++) {
    const part = parts[i] ?? 0
    if (part !== oldest[i]) return part > oldest[i]!
  }
  return true
}

/** Refuses a SQLite library with the WAL-reset bug (sqlite.org/wal.html#the_wal_reset_bug). */
export const checkSqliteVersion = (version: string): Effect.Effect<void, StartRefused> =>
  atLeast(version, oldestSqlite)
    ? Effect.void
    : new StartRefused({
      reason: "SqliteVersion",
      detail: `SQLite ${version} can lose committed transactions (the WAL-reset bug).`,
      fix: `Install a better-sqlite3 that bundles SQLite ${oldestSqlite.join(".")} or newer.`
    })

const openRefused = (file: string) => (cause: unknown) =>
  new StartRefused({
    reason: "Open",
    detail: `Cannot open ${file}: ${cause instanceof Error ? cause.message : String(cause)}.`,
    fix: "Check the path, its permissions and that it is a SQLite database."
  })

/**
 * Opens the write connection: pragmas set, then read back after the first statement, because better-sqlite3 is built to
 * fall back to `synchronous=NORMAL` there; a mismatch refuses the start.
 */
export const openForWriting = (
  file: string,
  synchronous: "full" | "normal"
): Effect.Effect<Database, StartRefused> =>
  Effect.gen(function*() {
    const db = yield* Effect.try({ try: () => new Sqlite(file), catch: openRefused(file) })
    const close = Effect.sync(() => db.close())
    return yield* Effect.gen(function*() {
      const first = yield* Effect.try({
        try: () => ({
          version: db.prepare("SELECT sqlite_version()").pluck().get() as string,
          generation: db.pragma("user_version", { simple: true }) as number
        }),
        catch: openRefused(file)
      })
      yield* checkSqliteVersion(first.version)
      if (first.generation > schemaGeneration) {
        return yield* new StartRefused({
          reason: "NewerDatabase",
          detail: `${file} was written by a newer version (generation ${first.generation}, this one knows ${schemaGeneration}).`,
          fix: "Start the newer version, or restore a backup of the older one."
        })
      }
      const level = synchronous === "full" ? 2 : 1
      const wanted: ReadonlyArray<readonly [string, string | number]> = [
        ["journal_mode", "wal"],
        ["synchronous", level],
        ["foreign_keys", 1],
        // An operator's own sqlite3 may hold the lock: the writer retries without blocking the event loop.
        ["busy_timeout", 0],
        ["wal_autocheckpoint", 1_000],
        ["trusted_schema", 0]
      ]
      const found = yield* Effect.try({
        try: () => {
          for (const [name, value] of wanted) db.pragma(`${name} = ${value}`)
          if (first.generation !== schemaGeneration) db.pragma(`user_version = ${schemaGeneration}`)
          db.prepare("SELECT COUNT(*) FROM sqlite_master").get()
          return wanted.map(([name, value]) => ({ name, value, is: db.pragma(name, { simple: true }) }))
        },
        catch: openRefused(file)
      })
      for (const { is, name, value } of found) {
        if (is !== value) {
          return yield* new StartRefused({
            reason: "PragmaMismatch",
            detail: `PRAGMA ${name} reads ${String(is)} after it was set to ${value}.`,
            fix: "The durability that was asked for is not in force; use a local file system and the pinned driver."
          })
        }
      }
      return db
    }).pipe(Effect.onError(() => close))
  })

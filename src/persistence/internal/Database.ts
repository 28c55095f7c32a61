import Sqlite, { type Database } from "better-sqlite3"
import { Effect, type Scope } from "effect"
import { StartRefused } from "../PersistenceError.ts"

/** Bumped with every release that changes any table: a program refuses a file of a later generation before touching it. */
export const schemaGeneration = 1

/** `SMTH`: marks the file as ours in its header. */
export const applicationId = 0x534d5448

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

/**
 * Refuses a SQLite library with the WAL-reset bug (sqlite.org/wal.html#the_wal_reset_bug).
 *
 * @internal
 */
export const checkSqliteVersion = (version: string): Effect.Effect<void, StartRefused> =>
  atLeast(version, oldestSqlite)
    ? Effect.void
    : new StartRefused({
      reason: "SqliteVersion",
      detail: `SQLite ${version} can lose committed transactions (the WAL-reset bug).`,
      fix: `Install a better-sqlite3 that bundles SQLite ${oldestSqlite.join(".")} or newer.`
    })

/** From this version on Node aborts the process when the pinned driver's objects are collected (WiseLibs/better-sqlite3#1515). */
const firstBadNode = [24, 19, 0] as const

/**
 * Refuses a Node under which better-sqlite3 12 ends the process with a failed assertion, sooner or later.
 *
 * @internal
 */
export const checkNodeVersion = (version: string): Effect.Effect<void, StartRefused> =>
  !atLeast(version, firstBadNode)
    ? Effect.void
    : new StartRefused({
      reason: "NodeVersion",
      detail: `Node ${version} aborts the process when better-sqlite3 12 frees a statement.`,
      fix: "Use Node 20.19 or newer, 22, or 24 up to 24.18."
    })

const openRefused = (file: string) => (cause: unknown) =>
  new StartRefused({
    reason: "Open",
    detail: `Cannot open ${file}: ${cause instanceof Error ? cause.message : String(cause)}.`,
    fix: "Check the path, its permissions and that it is a SQLite database."
  })

const open = (file: string, options: Sqlite.Options) =>
  Effect.acquireRelease(
    Effect.try({ try: () => new Sqlite(file, options), catch: openRefused(file) }),
    (db) => Effect.sync(() => db.close())
  )

/**
 * Refuses an existing file that this program must not write to: of a later version, or of another program. Read-only,
 * so that not a byte of the file or of its log changes: the last writer to close a database moves its log into it.
 */
export const checkOwnership = (file: string): Effect.Effect<void, StartRefused> =>
  Effect.scoped(Effect.gen(function*() {
    const db = yield* open(file, { readonly: true, fileMustExist: true })
    const found = yield* Effect.try({
      try: () => ({
        generation: db.pragma("user_version", { simple: true }) as number,
        application: db.pragma("application_id", { simple: true }) as number,
        tables: db.prepare("SELECT COUNT(*) FROM sqlite_schema").pluck().get() as number
      }),
      catch: openRefused(file)
    })
    if (found.tables > 0 && found.application !== applicationId) {
      return yield* new StartRefused({
        reason: "ForeignDatabase",
        detail: `${file} holds tables of another program.`,
        fix: "Choose another SMITHERS_HOME, or move the file away."
      })
    }
    if (found.generation > schemaGeneration) {
      return yield* new StartRefused({
        reason: "NewerDatabase",
        detail:
          `${file} was written by a newer version (generation ${found.generation}, this one knows ${schemaGeneration}).`,
        fix: "Start the newer version, or restore a backup of the older one."
      })
    }
  }))

/**
 * Opens the write connection: pragmas set, then read back after the first statement, because better-sqlite3 is built to
 * fall back to `synchronous=NORMAL` there; a mismatch refuses the start.
 */
export const openForWriting = (
  file: string,
  synchronous: "full" | "normal"
): Effect.Effect<Database, StartRefused, Scope.Scope> =>
  Effect.gen(function*() {
    yield* checkNodeVersion(process.versions.node)
    const db = yield* open(file, {})
    const version = yield* Effect.try({
      try: () => db.prepare("SELECT sqlite_version()").pluck().get() as string,
      catch: openRefused(file)
    })
    yield* checkSqliteVersion(version)
    const wanted: ReadonlyArray<readonly [string, string | number]> = [
      ["journal_mode", "wal"],
      ["synchronous", synchronous === "full" ? 2 : 1],
      ["foreign_keys", 1],
      // An operator's own sqlite3 may hold the lock: the writer retries without blocking the event loop.
      ["busy_timeout", 0],
      // 16 MiB: a checkpoint writes and syncs the database itself, so one serves several thousand small commits.
      ["wal_autocheckpoint", 4_096],
      ["trusted_schema", 0]
    ]
    const marks = [["application_id", applicationId], ["user_version", schemaGeneration]] as const
    const found = yield* Effect.try({
      try: () => {
        for (const [name, value] of wanted) db.pragma(`${name} = ${value}`)
        // These are stored in the file: written once, not at every start.
        for (const [name, value] of marks) {
          if (db.pragma(name, { simple: true }) !== value) db.pragma(`${name} = ${value}`)
        }
        db.prepare("SELECT COUNT(*) FROM sqlite_schema").get()
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
  })

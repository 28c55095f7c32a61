import { Migrator, type SqlClient, SqlClient as Client, type SqlError } from "@effect/sql"
import { Effect, Schedule } from "effect"
import { StartRefused } from "./PersistenceError.ts"

/** The tables of one owner and how they came to be; released migrations are never edited, numbers only grow. */
export interface Migrations {
  /** The ledger table of the owner. */
  readonly table: string
  /** By `0001_name`; all missing ones run in one transaction, in the order of their numbers. */
  readonly steps: Readonly<Record<string, Effect.Effect<void, SqlError.SqlError, SqlClient.SqlClient>>>
}

/** Runs DDL statements in order. */
export const statements = (
  ...texts: ReadonlyArray<string>
): Effect.Effect<void, SqlError.SqlError, SqlClient.SqlClient> =>
  Effect.flatMap(
    Client.SqlClient,
    (sql) => Effect.forEach(texts, (text) => sql.unsafe(text).unprepared, { discard: true })
  )

/** Adds a column unless the table has it, as a step that is repeated finds it. */
export const addColumn = (
  table: string,
  column: string,
  definition: string
): Effect.Effect<void, SqlError.SqlError, SqlClient.SqlClient> =>
  Effect.flatMap(Client.SqlClient, (sql) =>
    Effect.flatMap(
      sql.unsafe("SELECT 1 FROM pragma_table_info(?) WHERE name = ?", [table, column]),
      (present) =>
        present.length > 0
          ? Effect.void
          : Effect.asVoid(sql.unsafe(`ALTER TABLE ${table} ADD COLUMN ${column} ${definition}`).unprepared)
    ))

/** How long a step that another process is applying may take to become visible. */
const visibleWithin = { spaced: "100 millis", times: 100 } as const

const idOf = (name: string): number => Number.parseInt(name, 10)

/** What the ledger says has been applied; nothing when there is none yet. */
const appliedIds = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, table: string) {
  const present = yield* sql.unsafe("SELECT name FROM sqlite_schema WHERE type = 'table' AND name = ?", [table])
  if (present.length === 0) return new Set<number>()
  const rows = yield* sql.unsafe<{ id: number }>(`SELECT migration_id AS id FROM ${table}`)
  return new Set(rows.map((row) => row.id))
})

/** The messages of an error and of what caused it. */
const describe = (error: Error): string =>
  error.cause instanceof Error ? `${error.message}: ${describe(error.cause)}` : error.message

const failed = (table: string, cause: unknown) =>
  new StartRefused({
    reason: "MigrationFailed",
    detail: `${table}: ${cause instanceof Error ? describe(cause) : String(cause)}.`,
    fix: "Nothing of this step was kept. Report it with this message; the previous version still starts."
  })

/**
 * Applies what is missing on `sql`, then waits until every step is in the ledger: the stock migrator reports success
 * while another process is still at work, and passes silently over a step whose number is lower than one already
 * applied. A ledger that is ahead of this program is refused before anything is touched.
 */
export const apply = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, migrations: Migrations) {
  const ids = Object.keys(migrations.steps).map(idOf)
  const last = Math.max(0, ...ids)
  const ahead = [...yield* appliedIds(sql, migrations.table)].filter((id) => id > last)
  if (ahead.length > 0) {
    return yield* new StartRefused({
      reason: "NewerDatabase",
      detail: `The database is at step ${Math.max(...ahead)} of ${migrations.table}, this program knows ${last}.`,
      fix: "Start the newer version, or restore a backup of the older one."
    })
  }
  yield* Migrator.make({})({ table: migrations.table, loader: Migrator.fromRecord(migrations.steps) }).pipe(
    Effect.provideService(Client.SqlClient, sql),
    Effect.catchTag("MigrationError", (error) => failed(migrations.table, error)),
    // The stock migrator makes a defect of a step that fails; its transaction has been undone by then.
    Effect.catchAllDefect((defect) => failed(migrations.table, defect))
  )
  const missing = Effect.map(
    appliedIds(sql, migrations.table),
    (applied) => Object.keys(migrations.steps).filter((name) => !applied.has(idOf(name)))
  )
  const left = yield* Effect.repeat(missing, {
    until: (names) => names.length === 0,
    schedule: Schedule.intersect(Schedule.spaced(visibleWithin.spaced), Schedule.recurs(visibleWithin.times))
  }).pipe(Effect.zipRight(missing))
  if (left.length > 0) {
    return yield* new StartRefused({
      reason: "MigrationsPending",
      detail: `${migrations.table} does not show ${left.join(", ")}.`,
      fix: "Stop other processes on this home and start again; a step must have a higher number than those before it."
    })
  }
})

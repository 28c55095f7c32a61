import { Migrator, type SqlClient, SqlClient as Client, type SqlError } from "@effect/sql"
import { Effect, Layer } from "effect"
import { StartRefused } from "./PersistenceError.ts"

/** The tables of one owner and how they came to be; released migrations are never edited, numbers only grow. */
export interface Migrations {
  /** The ledger table of the owner. */
  readonly table: string
  /** By `0001_name`. Every statement is written so that a repetition does no harm. */
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

const lastId = (migrations: Migrations): number =>
  Math.max(0, ...Object.keys(migrations.steps).map((name) => Number.parseInt(name, 10)))

const appliedId = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, table: string) {
  const present = yield* sql.unsafe("SELECT name FROM sqlite_master WHERE type = 'table' AND name = ?", [table])
  if (present.length === 0) return 0
  const [row] = yield* sql.unsafe<{ id: number | null }>(`SELECT MAX(migration_id) AS id FROM ${table}`)
  return row?.id ?? 0
})

/**
 * Applies what is missing on `sql`, then looks whether the last step is visible: the stock migrator reports success
 * while another process is still at work. A ledger that is ahead of this program is refused before anything is touched.
 */
export const apply = Effect.fnUntraced(function*(sql: SqlClient.SqlClient, migrations: Migrations) {
  const last = lastId(migrations)
  const before = yield* appliedId(sql, migrations.table)
  if (before > last) {
    return yield* new StartRefused({
      reason: "NewerDatabase",
      detail: `The database is at step ${before} of ${migrations.table}, this program knows ${last}.`,
      fix: "Start the newer version, or restore a backup of the older one."
    })
  }
  yield* Migrator.make({})({ table: migrations.table, loader: Migrator.fromRecord(migrations.steps) }).pipe(
    Effect.provide(Layer.succeed(Client.SqlClient, sql)),
    Effect.catchTag("MigrationError", (error) =>
      new StartRefused({
        reason: "MigrationsPending",
        detail: `${migrations.table}: ${error.message}`,
        fix: "Stop other processes on this home and start again."
      }))
  )
  const after = yield* appliedId(sql, migrations.table)
  if (after !== last) {
    return yield* new StartRefused({
      reason: "MigrationsPending",
      detail: `${migrations.table} stands at step ${after}, step ${last} is not visible yet.`,
      fix: "Stop other processes on this home and start again."
    })
  }
})

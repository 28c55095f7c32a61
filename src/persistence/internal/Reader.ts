import Sqlite, { type Statement as Prepared } from "better-sqlite3"
import { Effect } from "effect"
import { PersistenceError } from "../PersistenceError.ts"
import type { Row, SqlValue } from "../Write.ts"

/**
 * Queries of constant text on a read-only connection, without the price of a general client (span, semaphore, cache of
 * statements by time): what every request asks takes microseconds.
 */
export const makeReader = (file: string) =>
  Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => {
        const db = new Sqlite(file, { readonly: true })
        db.pragma("busy_timeout = 50")
        return db
      }),
      (db) => Effect.sync(() => db.close())
    ),
    (db) => {
      const prepared = new Map<string, Prepared>()
      return (text: string, params: ReadonlyArray<SqlValue>): Effect.Effect<ReadonlyArray<Row>, PersistenceError> =>
        Effect.try({
          try: () => {
            let statement = prepared.get(text)
            if (statement === undefined) {
              statement = db.prepare(text)
              prepared.set(text, statement)
            }
            return statement.all(params) as ReadonlyArray<Row>
          },
          catch: (cause) => new PersistenceError({ operation: "read", reason: "Sql", cause })
        })
    }
  )

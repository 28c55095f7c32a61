import Sqlite, { type Statement as Prepared } from "better-sqlite3"
import { Effect } from "effect"
import { PersistenceError } from "../PersistenceError.ts"
import type { Row, SqlValue } from "../Write.ts"

/**
 * Queries of constant text on a read-only connection, without the price of a general client (span, semaphore, cache of
 * statements by time): what every request asks takes microseconds.
 *
 * The queries of one turn of the event loop share one snapshot, because taking and giving up the locks of one costs more
 * than a query. `renew` ends it: whoever has seen a commit answered reads what was committed.
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
      const begin = db.prepare("BEGIN")
      const commit = db.prepare("COMMIT")
      const renew = () => {
        if (db.open && db.inTransaction) commit.run()
      }
      const query = (text: string, params: ReadonlyArray<SqlValue>): ReadonlyArray<Row> => {
        let statement = prepared.get(text)
        if (statement === undefined) {
          statement = db.prepare(text)
          prepared.set(text, statement)
        }
        if (!db.inTransaction) {
          begin.run()
          setImmediate(renew)
        }
        return statement.all(params) as ReadonlyArray<Row>
      }
      return {
        renew,
        read: (
          text: string,
          params: ReadonlyArray<SqlValue>
        ): Effect.Effect<ReadonlyArray<Row>, PersistenceError> =>
          Effect.try({
            try: () => query(text, params),
            catch: (cause) => new PersistenceError({ operation: "read", reason: "Sql", cause })
          })
      }
    }
  )

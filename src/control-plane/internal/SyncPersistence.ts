import { Effect } from "effect"
import { Persistence, PersistenceError, type Write } from "../../persistence/index.ts"

/** What is needed of a better-sqlite3 `Database`. */
export interface SqliteDatabase {
  readonly inTransaction: boolean
  readonly exec: (text: string) => unknown
  readonly pragma: (text: string, options?: { readonly simple?: boolean }) => unknown
  readonly prepare: (text: string) => unknown
}

interface SqliteStatement {
  readonly reader: boolean
  readonly all: (...params: Array<unknown>) => ReadonlyArray<unknown>
  readonly run: (...params: Array<unknown>) => { readonly changes: number }
}

/** Thrown out of a unit by a guard that touched no row. */
class Aborted {
  readonly error: unknown
  constructor(error: unknown) {
    this.error = error
  }
}

const reasonOf = (cause: unknown): PersistenceError["reason"] => {
  const code = typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : ""
  return code.startsWith("SQLITE_CONSTRAINT")
    ? "Constraint"
    : code.startsWith("SQLITE_BUSY")
    ? "Busy"
    : code === "SQLITE_FULL"
    ? "Full"
    : "Sql"
}

const failed = (operation: string, cause: unknown) =>
  new PersistenceError({ operation, reason: reasonOf(cause), cause })

/**
 * Persistence on a database of somebody else, unit by unit and at once: each is a transaction of its own, or a savepoint
 * in the caller's. Waits for the lock of another process as long as the database's `busy_timeout` says, with the event
 * loop standing still.
 */
export const onDatabase = (db: SqliteDatabase): Persistence.Persistence["Type"] => {
  const prepared = new Map<string, SqliteStatement>()
  const statement = (text: string): SqliteStatement => {
    let found = prepared.get(text)
    if (found === undefined) {
      // How the driver types a statement depends on parameters that it cannot know.
      found = db.prepare(text) as SqliteStatement
      prepared.set(text, found)
    }
    return found
  }

  const execute = (unit: Write.Write<unknown, unknown>): ReadonlyArray<Write.StatementResult> => {
    const results: Array<Write.StatementResult> = []
    for (const { otherwise, params, text } of unit.statements) {
      const values = typeof params === "function" ? params(results, 0) : params
      const found = statement(text)
      const result: Write.StatementResult = found.reader
        ? { rows: found.all(values) as Write.StatementResult["rows"], changes: 0 }
        : { rows: [], changes: found.run(values).changes }
      if (otherwise !== undefined && result.changes === 0 && result.rows.length === 0) throw new Aborted(otherwise())
      results.push(result)
    }
    return results
  }

  const commit = <A, E>(unit: Write.Write<A, E>): A => {
    const nested = db.inTransaction
    db.exec(nested ? "SAVEPOINT smithers_unit" : "BEGIN IMMEDIATE")
    try {
      const results = execute(unit)
      db.exec(nested ? "RELEASE smithers_unit" : "COMMIT")
      for (const hook of unit.committed) hook(results, 0)
      return unit.decode(results, 0)
    } catch (cause) {
      if (db.inTransaction) db.exec(nested ? "ROLLBACK TO smithers_unit; RELEASE smithers_unit" : "ROLLBACK")
      throw cause
    }
  }

  const write = <A, E>(unit: Write.Write<A, E>): Effect.Effect<A, E | PersistenceError> =>
    Effect.try({
      try: () => commit(unit),
      // A guard aborts with the error that its unit declares.
      catch: (cause) => cause instanceof Aborted ? cause.error as E : failed("write", cause)
    })

  return Persistence.Persistence.of({
    write,
    submit: (make) => Effect.map(Effect.exit(write(make())), (answer) => ({ answer, withdraw: () => false })),
    read: (text, params) =>
      Effect.try({
        try: () => statement(text).all(params) as ReadonlyArray<Write.Row>,
        catch: (cause) => failed("read", cause)
      }),
    // Nobody here reads through it.
    get sql(): never {
      throw new Error("a database of somebody else has no SqlClient")
    },
    migrate: () => Effect.void,
    home: "",
    file: ""
  })
}

import Sqlite, { type Database } from "better-sqlite3"
import { Chunk, Effect, Option, Predicate, Stream } from "effect"
import { PersistenceError } from "./PersistenceError.ts"
import type { Row, SqlValue } from "./Write.ts"

/** One text of a database and where it stands. */
export interface Text {
  readonly table: string
  /** The row's primary key, its parts joined by `/`; its rowid if it has none. */
  readonly key: string
  readonly column: string
  readonly text: string
}

/** A page ends with the row by which it has this many rows or characters; so memory is bounded by a page and one row. */
const pageRows = 256
const pageChars = 4_194_304

interface Table {
  readonly name: string
  readonly columns: ReadonlyArray<string>
  readonly primaryKey: ReadonlyArray<string>
  /** What its rows are read by: not the primary key of a table with rowids, which may be null. */
  readonly order: ReadonlyArray<string>
}

const quoted = (name: string): string => `"${name.replaceAll("\"", "\"\"")}"`

const refailed = Effect.mapError((cause: unknown) => new PersistenceError({ operation: "texts", reason: "Sql", cause }))

const tablesOf = (db: Database): ReadonlyArray<Table> =>
  (db.prepare("SELECT name, wr FROM pragma_table_list WHERE schema = 'main' AND type = 'table' ORDER BY name")
    .all() as ReadonlyArray<{ readonly name: string; readonly wr: number }>)
    .filter(({ name }) => name !== "sqlite_schema")
    .map(({ name, wr }) => {
      const columns = db.prepare("SELECT name, pk FROM pragma_table_info(?) ORDER BY cid")
        .all(name) as ReadonlyArray<{ readonly name: string; readonly pk: number }>
      const parts = columns.filter(({ pk }) => pk > 0).sort((left, right) => left.pk - right.pk)
      const primaryKey = parts.map((column) => column.name)
      return {
        name,
        columns: columns.map((column) => column.name),
        primaryKey,
        order: wr === 1 ? primaryKey : ["rowid"]
      }
    })

const textOf = (value: unknown): string | undefined =>
  typeof value === "string" ? value : Predicate.isUint8Array(value) ? Buffer.from(value).toString("utf8") : undefined

/** The texts of one page, in the order of the key, and the key of its last row if there may be another page. */
const pageOf = (
  db: Database,
  { columns, name, order, primaryKey }: Table,
  after: ReadonlyArray<SqlValue> | undefined
) => {
  const by = order.map(quoted).join(", ")
  const shown = primaryKey.length === 0 ? order : primaryKey
  const where = after === undefined ? "" : `WHERE (${by}) > (${order.map(() => "?").join(", ")})`
  const selected = [...order, ...shown, ...columns].map(quoted).join(", ")
  const rows = db.prepare(
    `SELECT ${selected} FROM ${quoted(name)} ${where} ORDER BY ${by} LIMIT ${pageRows}`
  ).raw(true).iterate(...after ?? []) as IterableIterator<ReadonlyArray<Row[string]>>
  const texts: Array<Text> = []
  let read = 0
  let chars = 0
  let last: ReadonlyArray<SqlValue> | undefined
  for (const row of rows) {
    last = row.slice(0, order.length) as ReadonlyArray<SqlValue>
    const values = row.slice(order.length)
    const key = values.slice(0, shown.length).map(String).join("/")
    for (const [index, column] of columns.entries()) {
      const text = textOf(values[shown.length + index])
      if (text === undefined || text === "") continue
      chars += text.length
      texts.push({ table: name, key, column, text })
    }
    if (++read === pageRows || chars >= pageChars) return { texts, last }
  }
  return { texts, last: undefined }
}

/**
 * Every text (and every BLOB, read as UTF-8) of a SQLite file, whoever made it: all tables, what is in the write-ahead log
 * too. Reads pages by key on a read-only connection of its own, so that a service may go on writing meanwhile; a row that
 * is written while it reads may be missed. Fails for a file that is no database.
 */
export const stream = (file: string): Stream.Stream<Text, PersistenceError> =>
  Stream.acquireRelease(
    refailed(Effect.try(() => {
      const db = new Sqlite(file, { readonly: true, fileMustExist: true })
      db.pragma("busy_timeout = 1000")
      return db
    })),
    (db) => Effect.sync(() => db.close())
  ).pipe(
    Stream.flatMap((db) =>
      Stream.fromIterableEffect(refailed(Effect.try(() => tablesOf(db)))).pipe(
        Stream.flatMap((table) =>
          Stream.paginateChunkEffect(undefined as ReadonlyArray<SqlValue> | undefined, (after) =>
            Effect.map(
              refailed(Effect.try(() => pageOf(db, table, after))),
              ({ last, texts }) => [Chunk.fromIterable(texts), Option.fromNullable(last)] as const
            ))
        )
      )
    )
  )

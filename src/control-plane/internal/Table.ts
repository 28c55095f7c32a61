import { Effect, Schema } from "effect"
import { type Persistence, PersistenceError, Write } from "../../persistence/index.ts"
import { orgWide } from "../Fields.ts"

type Params = ReadonlyArray<Write.SqlValue>

/** `createdAtMs` is `created_at_ms`, `metadata` is `metadata_json`. */
const columnOf = (field: string): string =>
  field === "metadata"
    ? "metadata_json"
    : `"${field.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}"`

export interface JsonRow {
  readonly id: number
  readonly json: string
}

/** The rows of a table as the records of a schema whose fields are its columns. */
export interface Table<A> {
  readonly name: string
  /** For `SELECT` and `RETURNING`. */
  readonly columns: string
  readonly insert: (record: A) => Write.Write<number>
  /** Writes anew what has the same key; what `kept` names stays as it is. Answers the row as it is now. */
  readonly upsert: (record: A) => Write.Write<ReadonlyArray<Write.Row>>
  /** The rows of `SELECT columns FROM name` with this behind it. */
  readonly select: (tail: string, params: Params) => Effect.Effect<ReadonlyArray<A>, PersistenceError>
  /** The same rows, each as its id and the JSON text of the record, made by the database: for what nobody here looks at. */
  readonly selectJson: (tail: string, params: Params) => Effect.Effect<ReadonlyArray<JsonRow>, PersistenceError>
  /** The record of the one row that a statement answered. */
  readonly one: (rows: ReadonlyArray<Write.Row>) => Effect.Effect<A, PersistenceError>
}

export const makeTable = <Fields extends Schema.Struct.Fields, A>(
  { read }: Persistence.Persistence["Type"],
  name: string,
  schema: Schema.Struct<Fields> & Schema.Schema<A, A>,
  options: {
    readonly key: ReadonlyArray<keyof A & string>
    readonly kept?: ReadonlyArray<keyof A & string>
    /** The key has the project's id in it, or what stands for none. */
    readonly byProjectKey?: boolean
    /** Given by the database. */
    readonly generated?: ReadonlyArray<keyof A & string>
  }
): Table<A> => {
  const { byProjectKey = false, generated = [], kept = [], key } = options
  // The fields of the struct are the members of its records.
  const fields = Object.keys(schema.fields) as unknown as ReadonlyArray<keyof A & string>
  const columns = fields.map((field) => `${columnOf(field)} AS "${field}"`).join(", ")
  const jsonText = `json_object(${
    fields.map((field) => `'${field}', ${field === "metadata" ? "json(metadata_json)" : columnOf(field)}`).join(", ")
  }) AS json`
  const written = fields.filter((field) => !generated.includes(field))
  const insertText = `INSERT INTO ${name} (${
    [...written.map(columnOf), ...(byProjectKey ? ["project_key"] : [])].join(", ")
  })
    VALUES (${[...written, ...(byProjectKey ? ["project_key"] : [])].map(() => "?").join(", ")})`
  const keyColumns = key.map((field) => byProjectKey && field === "projectId" ? "project_key" : columnOf(field))
  const changed = written.filter((field) => !key.includes(field) && !kept.includes(field)).map(columnOf)
  const upsertText = `${insertText} ON CONFLICT (${keyColumns.join(", ")}) DO UPDATE SET ${
    changed.map((column) => `${column} = excluded.${column}`).join(", ")
  } RETURNING ${columns}`
  const metadata = Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.Unknown }))
  const stored = "metadata" in schema.fields ? Schema.Struct({ ...schema.fields, metadata }) : schema
  // The struct is the given one but for its metadata, which is JSON in its column.
  const decodeRows = Schema.decodeUnknown(Schema.Array(stored as unknown as Schema.Schema<A, unknown>))
  const decode = (rows: ReadonlyArray<Write.Row>) => PersistenceError.refail(`ControlPlane: ${name}`)(decodeRows(rows))
  const params = (record: A): Params => {
    const values = written.map((field) =>
      field === "metadata" ? JSON.stringify(record[field]) : record[field] as Write.SqlValue
    )
    return byProjectKey ? [...values, (record["projectId" as keyof A] ?? orgWide) as string] : values
  }
  return {
    name,
    columns,
    insert: (record) => Write.run(insertText, params(record)),
    upsert: (record) => Write.rows(upsertText, params(record)),
    select: (tail, values) => Effect.flatMap(read(`SELECT ${columns} FROM ${name} ${tail}`, values), decode),
    selectJson: (tail, values) =>
      Effect.map(
        read(`SELECT id, ${jsonText} FROM ${name} ${tail}`, values),
        // A STRICT table; the other column is made here.
        (rows) => rows as unknown as ReadonlyArray<JsonRow>
      ),
    one: (rows) => Effect.map(decode(rows), ([record]) => record!)
  }
}

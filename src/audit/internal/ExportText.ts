import { DateTime, Option, Schema } from "effect"
import { AuditFilter } from "../../model/index.ts"
import { SignedStatement } from "../Statement.ts"
import { columns, type Content } from "./Chain.ts"

const Id = Schema.Int.pipe(Schema.nonNegative())
const Sha256 = Schema.String.pipe(Schema.pattern(/^[0-9a-f]{64}$/))
/** The lines of an NDJSON export besides rows, in this order: `audit`, `statement`…, rows or `skip`…, `end`. */
const ExportLine = Schema.Union(
  Schema.Struct({
    type: Schema.Literal("audit"),
    format: Schema.Literal(1),
    log: Schema.String,
    /** The rows that follow come after this one, which has this hash. */
    afterId: Id,
    afterHash: Sha256,
    throughId: Id,
    filter: AuditFilter
  }),
  Schema.Struct({ type: Schema.Literal("statement"), ...SignedStatement.fields }),
  /** Digests of the rows from `fromId` on, which the filter left out. */
  Schema.Struct({ type: Schema.Literal("skip"), fromId: Id, digests: Schema.Array(Sha256) }),
  Schema.Struct({ type: Schema.Literal("end"), lastId: Id })
)
type ExportLine = typeof ExportLine.Type

const decodeLine = Schema.decodeUnknownOption(Schema.parseJson(ExportLine))
const parseJson = Option.liftThrowable(JSON.parse as (text: string) => unknown)

const encode = Schema.encodeSync(Schema.parseJson(ExportLine))
export const lineText = (line: ExportLine): string => `${encode(line)}\n`

/** Columns of a row in the order of `columns`, then the two hashes. */
export type StoredRow = ReadonlyArray<string | number | null>

const names = [...columns, "previous_hash", "hash"] as const
/** Content, hash of the row before, own hash. */
export const splitRow = (row: StoredRow): [content: Content, previous: string, hash: string] => [
  row.slice(0, columns.length),
  String(row[columns.length]),
  String(row[columns.length + 1])
]

export const selected = names.join(", ")

const toText = JSON.stringify as (value: unknown) => string

/** Not through the schema: a row has the types of its columns, and there are many. */
export const rowText = (row: StoredRow): string => {
  let text = "{\"type\":\"row\""
  for (let i = 0; i < names.length; i++) text += `,"${names[i]!}":${toText(row[i])}`
  return `${text}}\n`
}

/** A row of an export, by the names of its columns and verbatim: the bytes that were hashed. */
interface RowLine {
  readonly type: "row"
  readonly row: StoredRow
}

const isCell = (value: unknown): value is string | number | null =>
  value === null || typeof value === "string" || Number.isSafeInteger(value)

const rowStart = "{\"type\":\"row\""

/** Not through the schema either: an export has many. */
const rowOfText = (text: string): Option.Option<RowLine> =>
  Option.filterMap(parseJson(text), (value) => {
    const row = names.map((name) => (value as Readonly<Record<string, unknown>>)[name])
    return row.every(isCell) && Number.isSafeInteger(row[0])
      ? Option.some({ type: "row" as const, row })
      : Option.none()
  })

export const lineOfText = (text: string): Option.Option<ExportLine | RowLine> =>
  text.startsWith(rowStart) ? rowOfText(text) : decodeLine(text)

export type Header = Extract<ExportLine, { readonly type: "audit" }>

export const csvHeader = `${names.join(",")}\r\n`

const csvField = (value: string | number | null): string => {
  if (value === null) return ""
  if (typeof value === "number") return String(value)
  const text = /^[=+\-@\t\r]/.test(value) ? `'${value}` : value
  return /[",\r\n]/.test(text) ? `"${text.replaceAll("\"", "\"\"")}"` : text
}

export const csvText = (row: StoredRow): string => `${row.map(csvField).join(",")}\r\n`

const readVerbs = new Set(["read", "list", "verify", "export", "resolve", "authenticate"])
const createVerbs = new Set(["issue", "create", "launch", "start"])
const deleteVerbs = new Set(["delete", "revoke", "purge", "prune"])

/** Create, read, update, delete as OCSF counts them; 99: other. */
const activityOf = (action: string): number => {
  const verb = action.slice(action.indexOf(".") + 1)
  if (createVerbs.has(verb)) return 1
  if (readVerbs.has(verb)) return 2
  if (deleteVerbs.has(verb)) return 4
  return action.includes(".") ? 99 : 0
}

const decodeDetail = JSON.parse as (text: string) => unknown

export const ocsfText = (row: StoredRow): string => {
  const of = Object.fromEntries(names.map((name, i) => [name, row[i] ?? null]))
  const action = of["action"] as string
  const activity = activityOf(action)
  const time = of["at_ms"] as number
  const resource = of["target"] ?? of["run_id"]
  return `${
    toText({
      class_uid: 6003,
      class_name: "API Activity",
      category_uid: 6,
      category_name: "Application Activity",
      activity_id: activity,
      type_uid: 600_300 + activity,
      severity_id: of["outcome"] === "ok" ? 1 : 2,
      status_id: of["outcome"] === "ok" ? 1 : 2,
      status: of["outcome"],
      status_detail: of["reason"] ?? undefined,
      time,
      time_dt: DateTime.formatIso(DateTime.unsafeMake(time)),
      metadata: {
        version: "1.3.0",
        uid: String(of["id"]),
        correlation_uid: of["trace_id"] ?? undefined,
        product: { name: "Smithers", vendor_name: "Smithers", version: of["deployment"] ?? undefined }
      },
      actor: {
        user: {
          name: of["actor"],
          uid: of["actor"],
          type: of["role"],
          credential_uid: of["token_id"] ?? undefined,
          org: of["org_id"] === null ? undefined : { uid: of["org_id"] }
        }
      },
      api: { operation: action, request: { uid: of["request_id"] ?? "" }, service: { name: "smithers" } },
      src_endpoint: { svc_name: "smithers" },
      resources: resource === null ? [] : [{ uid: resource, type: action.slice(0, Math.max(0, action.indexOf("."))) }],
      unmapped: {
        run_id: of["run_id"],
        project_id: of["project_id"],
        module_revision: of["module_revision"],
        detail: decodeDetail(of["detail_json"] as string),
        previous_hash: of["previous_hash"],
        hash: of["hash"]
      }
    })
  }\n`
}

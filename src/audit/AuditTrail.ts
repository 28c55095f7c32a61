import type { Statement as SqlStatement } from "@effect/sql"
import { Context, Effect, Layer, Option, Schema } from "effect"
import type {
  AuditCursor,
  AuditFilter,
  AuditFormat,
  AuditPage,
  AuditProblem,
  AuditVerification
} from "../model/index.ts"
import { Persistence, PersistenceError } from "../persistence/index.ts"
import { Audit } from "./Audit.ts"
import type { AuditUnavailable } from "./AuditError.ts"
import { Checkpoints } from "./Checkpoints.ts"
import { columns, digestOf } from "./internal/Chain.ts"
import { ChainCheck } from "./internal/ChainCheck.ts"
import { conditionsOf } from "./internal/Conditions.ts"
import {
  csvHeader,
  csvText,
  lineText,
  ocsfText,
  rowText,
  selected,
  splitRow,
  type StoredRow
} from "./internal/ExportText.ts"
import { publicKeyOf } from "./internal/Signature.ts"
import { StatementCheck } from "./internal/StatementCheck.ts"
import { SignedStatement } from "./Statement.ts"

/**
 * The audit as an examiner wants it: verified, and exported. Both read in pages of a thousand rows and let the service
 * work between two of them.
 */
export class AuditTrail extends Context.Tag("smithers-orchestrator/audit/AuditTrail")<AuditTrail, {
  /**
   * Examines every row and every statement, against the file beside the database and the signing key of the home. Signs
   * nothing: what was changed must not get a signature by being examined.
   */
  readonly verify: Effect.Effect<AuditVerification, AuditUnavailable | PersistenceError>
  /**
   * The next part of an export, from its beginning without a cursor. The beginning signs a checkpoint first, so that the
   * export can be verified to its end; rows that are appended later are not part of it.
   */
  readonly exportPage: (request: {
    readonly format: AuditFormat
    readonly filter: AuditFilter
    readonly cursor?: AuditCursor | undefined
  }) => Effect.Effect<AuditPage, AuditUnavailable | PersistenceError>
}>() {}

/** Rows and statements that one query reads. */
const pageRows = 1_000

/** An export's page of NDJSON ends when its text is so long: rows are bounded, but not small. */
const pageChars = 1_048_576

const column = { id: 0, atMs: 1, actor: 2, orgId: 5, runId: 7, action: 8, previousHash: 17, hash: 18 } as const

const matches = (row: StoredRow, { action, actor, orgId, runId, sinceMs, untilMs }: AuditFilter): boolean =>
  (action === undefined || row[column.action] === action) &&
  (actor === undefined || row[column.actor] === actor) &&
  (orgId === undefined || row[column.orgId] === orgId) &&
  (runId === undefined || row[column.runId] === runId) &&
  (sinceMs === undefined || (row[column.atMs] as number) >= sinceMs) &&
  (untilMs === undefined || (row[column.atMs] as number) < untilMs)

const decodeStatements = Schema.decodeUnknown(Schema.Array(Schema.Struct({ n: Schema.Int, ...SignedStatement.fields })))

const make = Effect.gen(function*() {
  const persistence = yield* Persistence.Persistence
  const { sql } = persistence
  const audit = yield* Audit
  const checkpoints = yield* Checkpoints
  const refail = PersistenceError.refail("AuditTrail.read")

  const statements = (afterN: number) =>
    refail(Effect.flatMap(
      sql`SELECT n, statement, key_id AS "keyId", signature FROM _smithers_audit_statements
        WHERE n > ${afterN} ORDER BY n LIMIT ${pageRows}`,
      decodeStatements
    ))

  const rowsAfter = (id: number, throughId: number, also: ReadonlyArray<SqlStatement.Fragment>) =>
    refail(
      Effect.map(
        sql`SELECT ${sql.literal(selected)} FROM _smithers_audit
        WHERE ${sql.and([sql`id > ${id}`, sql`id <= ${throughId}`, ...also])} ORDER BY id LIMIT ${pageRows}`.values,
        // A STRICT table: the columns hold nothing else.
        (rows) => rows as ReadonlyArray<StoredRow>
      )
    )

  const numberOf = (query: SqlStatement.Statement<{ readonly found: number | null }>) =>
    refail(Effect.map(query, (rows) => rows[0]?.found ?? null))

  const sealedThrough = numberOf(
    sql`SELECT MAX(through_id) AS found FROM _smithers_audit_statements WHERE through_id IS NOT NULL`
  )

  /** The statements of the database, compared with those beside it, which may know more. */
  const checkStatements = Effect.gen(function*() {
    const beside = yield* checkpoints.beside
    const check = new StatementCheck(audit.logId)
    const file = Option.getOrElse(beside, () => [])
    let n = 0
    let differs: AuditProblem | undefined
    for (;;) {
      const page = yield* statements(n)
      for (const stored of page) {
        check.add(stored)
        const other = file[n]
        if (other?.statement !== stored.statement) {
          differs ??= {
            kind: "Statement",
            id: null,
            n: stored.n,
            detail: other === undefined
              ? `Checkpoint ${stored.n} is not in the file beside the database.`
              : `Checkpoint ${stored.n} is not the one that lies beside the database.`
          }
        }
        n++
      }
      if (page.length < pageRows) break
    }
    for (const signed of file.slice(n)) check.add(signed)
    const key = publicKeyOf(yield* checkpoints.publicKey)
    if (Option.isSome(key)) check.finish(key.value)
    return { check, differs, unknown: file.length > n ? n : null }
  })

  const examine = Effect.gen(function*() {
    const { check, differs, unknown } = yield* checkpoints.still(checkStatements)
    const throughId = (yield* numberOf(sql`SELECT MAX(id) AS found FROM _smithers_audit`)) ?? 0
    const chain = new ChainCheck(check.sealed, check.marks)
    let id = check.sealed.id
    while (!chain.done) {
      const rows = yield* rowsAfter(id, throughId, [])
      for (const row of rows) chain.row(...splitRow(row))
      if (rows.length < pageRows) break
      id = rows.at(-1)![column.id] as number
    }
    const rowProblem = chain.finish()
    const older = rowProblem?.kind === "Truncated" && unknown !== null && (rowProblem.n ?? 0) > unknown
      ? { ...rowProblem, kind: "OlderDatabase" as const }
      : rowProblem
    const verification: AuditVerification = {
      problem: older ?? check.problem ?? differs ?? null,
      log: audit.logId,
      rows: chain.rows,
      firstId: chain.firstId,
      lastId: chain.rows === 0 ? null : chain.id,
      headHash: chain.hash,
      statements: check.count,
      signedThroughId: check.last?.id ?? 0,
      signedAtMs: check.last?.atMs ?? null,
      sealedThroughId: check.sealed.id,
      restores: check.restores,
      keyIds: check.keyIds
    }
    return verification
  })

  /** Rows that are pruned meanwhile are not missing: then all is read again. */
  const verify: Effect.Effect<AuditVerification, AuditUnavailable | PersistenceError> = Effect.gen(function*() {
    const before = yield* sealedThrough
    const found = yield* examine
    return found.problem !== null && (yield* sealedThrough) !== before ? yield* verify : found
  })

  const begin = Effect.fnUntraced(function*(format: AuditFormat, filter: AuditFilter) {
    yield* checkpoints.take
    const { sinceMs, untilMs } = filter
    const sealed = (yield* sealedThrough) ?? 0
    const first = sinceMs === undefined
      ? sealed + 1
      : yield* numberOf(sql`SELECT MIN(id) AS found FROM _smithers_audit WHERE at_ms >= ${sinceMs} AND id > ${sealed}`)
    const last = untilMs === undefined
      ? audit.lastId()
      : yield* numberOf(sql`SELECT MAX(id) AS found FROM _smithers_audit WHERE at_ms < ${untilMs}`)
    const { check } = yield* checkpoints.still(checkStatements)
    const throughId = check.marks.find(({ id }) => id >= (last ?? 0))?.id ?? 0
    const fromId = Math.min(first ?? throughId + 1, throughId + 1)
    if (format !== "ndjson") {
      return { text: format === "csv" ? csvHeader : "", rows: 0, next: { after: { id: fromId - 1 }, throughId } }
    }
    const [before] = yield* rowsAfter(fromId - 1, fromId, [])
    const [end] = before === undefined ? yield* rowsAfter(fromId - 2, fromId - 1, []) : []
    const afterHash = before?.[column.previousHash] ?? end?.[column.hash] ?? audit.genesis.hash
    const header = lineText({
      type: "audit",
      format: 1,
      log: audit.logId,
      afterId: fromId - 1,
      afterHash: afterHash as string,
      throughId,
      filter
    })
    return { text: header, rows: 0, next: { after: { n: 0, fromId }, throughId } }
  })

  const statementPage = Effect.fnUntraced(function*(n: number, fromId: number, throughId: number) {
    const page = yield* statements(n)
    const text = page.map(({ keyId, signature, statement }) =>
      lineText({ type: "statement", statement, keyId, signature })
    ).join("")
    const after = page.length < pageRows ? { id: fromId - 1 } : { n: page.at(-1)!.n, fromId }
    return { text, rows: 0, next: { after, throughId } }
  })

  /** Rows that match, verbatim; of the others the digests. */
  const provenPage = Effect.fnUntraced(function*(filter: AuditFilter, id: number, throughId: number) {
    const page = yield* rowsAfter(id, throughId, [])
    let text = ""
    let rows = 0
    let lastId = id
    let skipped: Array<string> = []
    const flush = () => {
      if (skipped.length > 0) {
        text += lineText({ type: "skip", fromId: lastId - skipped.length + 1, digests: skipped })
      }
      skipped = []
    }
    for (const row of page) {
      if (matches(row, filter)) {
        flush()
        text += rowText(row)
        rows++
      } else {
        skipped.push(digestOf(row.slice(0, columns.length)))
      }
      lastId = row[column.id] as number
      if (text.length >= pageChars) break
    }
    flush()
    if (lastId < throughId && page.length > 0) return { text, rows, next: { after: { id: lastId }, throughId } }
    return { text: text + lineText({ type: "end", lastId }), rows, next: null }
  })

  const plainPage = Effect.fnUntraced(
    function*(toText: (row: StoredRow) => string, filter: AuditFilter, id: number, throughId: number) {
      const page = yield* rowsAfter(id, throughId, conditionsOf(sql, filter))
      let text = ""
      let rows = 0
      for (const row of page) {
        text += toText(row)
        rows++
        if (text.length >= pageChars) break
      }
      const last = page[rows - 1]
      const more = last !== undefined && (rows < page.length || page.length === pageRows)
      return { text, rows, next: more ? { after: { id: last[column.id] as number }, throughId } : null }
    }
  )

  return AuditTrail.of({
    verify: Effect.withSpan(verify, "AuditTrail.verify"),
    exportPage: Effect.fn("AuditTrail.exportPage")(({ cursor, filter, format }) => {
      if (cursor === undefined) return begin(format, filter)
      const { after, throughId } = cursor
      if ("n" in after) return statementPage(after.n, after.fromId, throughId)
      if (format === "ndjson") return provenPage(filter, after.id, throughId)
      return plainPage(format === "csv" ? csvText : ocsfText, filter, after.id, throughId)
    })
  })
})

export const layer = Layer.effect(AuditTrail, make)

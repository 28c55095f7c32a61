import { SqlSchema } from "@effect/sql"
import { Clock, Context, Effect, Layer, Number, Record, Schema } from "effect"
import { actorName, Bounds } from "../model/index.ts"
import { Persistence, PersistenceError, Write } from "../persistence/index.ts"
import { AuditDetail, type AuditEntry, AuditRecord } from "./AuditEntry.ts"
import { migrations } from "./migrations.ts"

/**
 * The append-only record of who did what.
 *
 * Nothing that is a secret may be put into an entry. Texts longer than `Bounds.failureMessageChars` are cut.
 */
export class Audit extends Context.Tag("smithers-orchestrator/audit/Audit")<Audit, {
  /**
   * The entry as a write unit, to be joined with the change it speaks of (`Write.all`), so that both are committed or
   * neither is.
   */
  readonly append: (entry: AuditEntry) => Write.Write<void>
  /** Writes one entry by itself, at the time of the clock: for what was refused or failed, and so changed nothing. */
  readonly record: (entry: Omit<AuditEntry, "atMs">) => Effect.Effect<void, PersistenceError>
  /**
   * One page, newest first. `afterId` is the last id of the previous page; a page holds at most `limit` rows, and never
   * more than `Bounds.pageRows`.
   */
  readonly list: (query: {
    readonly afterId?: number | undefined
    readonly action?: string | undefined
    readonly runId?: string | undefined
    readonly actor?: string | undefined
    readonly limit: number
  }) => Effect.Effect<ReadonlyArray<AuditRecord>, PersistenceError>
}>() {}

const insert = `INSERT INTO _smithers_audit
  (at_ms, actor, token_id, role, action, target, run_id, outcome, reason, detail_json)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`

const encodeDetail = Schema.encodeSync(Schema.parseJson(AuditDetail))

const cutText = (text: string): string =>
  text.length <= Bounds.failureMessageChars ? text : `${text.slice(0, Bounds.failureMessageChars - 1)}…`

const cutDetail = (detail: AuditDetail): AuditDetail =>
  Record.map(
    detail,
    (value) => typeof value === "string" ? cutText(value) : Array.isArray(value) ? value.map(cutText) : value
  )

const append = (entry: AuditEntry): Write.Write<void> =>
  Write.map(() => undefined)(Write.run(insert, [
    entry.atMs,
    actorName(entry.actor),
    entry.actor.tokenId,
    entry.actor.role,
    entry.action,
    entry.target === null ? null : cutText(entry.target),
    entry.runId,
    entry.outcome,
    entry.reason === null ? null : cutText(entry.reason),
    encodeDetail(cutDetail(entry.detail))
  ]))

const StoredRecord = Schema.Struct({ ...AuditRecord.fields, detail: Schema.parseJson(AuditDetail) })

const make = Effect.gen(function*() {
  const persistence = yield* Persistence.Persistence
  const { sql } = persistence
  yield* persistence.migrate(migrations)

  const page = SqlSchema.findAll({
    Request: Schema.Struct({
      afterId: Schema.UndefinedOr(Schema.Int),
      action: Schema.UndefinedOr(Schema.String),
      runId: Schema.UndefinedOr(Schema.String),
      actor: Schema.UndefinedOr(Schema.String),
      limit: Schema.Int
    }),
    Result: StoredRecord,
    execute: ({ action, actor, afterId, limit, runId }) =>
      sql`SELECT id, at_ms AS "atMs", actor, token_id AS "tokenId", role, action, target, run_id AS "runId", outcome,
        reason, detail_json AS "detail" FROM _smithers_audit
        WHERE ${
        sql.and([
          ...(afterId === undefined ? [] : [sql`id < ${afterId}`]),
          ...(action === undefined ? [] : [sql`action = ${action}`]),
          ...(runId === undefined ? [] : [sql`run_id = ${runId}`]),
          ...(actor === undefined ? [] : [sql`actor = ${actor}`])
        ])
      } ORDER BY id DESC LIMIT ${limit}`
  })

  return Audit.of({
    append,
    record: Effect.fn("Audit.record")(function*(entry) {
      yield* persistence.write(append({ ...entry, atMs: yield* Clock.currentTimeMillis }))
    }),
    list: Effect.fn("Audit.list")(({ action, actor, afterId, limit, runId }) =>
      page({ action, actor, afterId, runId, limit: Number.clamp(limit, { minimum: 0, maximum: Bounds.pageRows }) })
        .pipe(
          PersistenceError.refail("Audit.list")
        )
    )
  })
})

/** The audit table of the deployment's database. */
export const layer = Layer.effect(Audit, make)

import { SqlSchema } from "@effect/sql"
import { Clock, Context, Effect, Layer, Number, Record, Schema } from "effect"
import { actorName, AuditDetail, AuditFilter, AuditRecord, Bounds, Reach } from "../model/index.ts"
import { Persistence, PersistenceError, Write } from "../persistence/index.ts"
import type { AuditEntry } from "./AuditEntry.ts"
import { AuditFeed } from "./AuditFeed.ts"
import { Deployment } from "./Deployment.ts"
import { columns, type Content, digestOf, genesisOf, headText, link } from "./internal/Chain.ts"
import { conditionsOf } from "./internal/Conditions.ts"
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
  /** Names this log: a database of another service has another one. */
  readonly logId: string
  /** What the first row follows. */
  readonly genesis: { readonly id: number; readonly hash: string }
  /** The last row that was committed. */
  readonly lastId: () => number
  /** Waits until the row with this id, or a later one, has been committed. */
  readonly reached: (id: number) => Effect.Effect<void>
  /**
   * One page, newest first. `afterId` is the last id of the previous page; a page holds at most `limit` rows, and never
   * more than `Bounds.pageRows`.
   */
  readonly list: (
    query: {
      readonly afterId?: number | undefined
      readonly limit: number
      /** Rows of what is within it; all of them unless given. */
      readonly reach?: Reach | null | undefined
    } & AuditFilter
  ) => Effect.Effect<ReadonlyArray<AuditRecord>, PersistenceError>
}>() {}

const insert = `INSERT INTO _smithers_audit (${columns.join(", ")}, previous_hash, hash)
  VALUES (${columns.map(() => "?").join(", ")}, ?, ?)`

const encodeDetail = Schema.encodeSync(Schema.parseJson(AuditDetail))

const cutText = (text: string): string =>
  text.length <= Bounds.failureMessageChars ? text : `${text.slice(0, Bounds.failureMessageChars - 1)}…`

const cutDetail = (detail: AuditDetail): AuditDetail =>
  Record.map(
    detail,
    (value) => typeof value === "string" ? cutText(value) : Array.isArray(value) ? value.map(cutText) : value
  )

/** The row of an entry without its place in the chain. */
const contentOf = (entry: AuditEntry, deployment: string | null): Content => {
  const { actor } = entry
  return [
    entry.atMs,
    actorName(actor),
    actor.tokenId,
    actor.role,
    entry.orgId ?? actor.reach?.orgId ?? null,
    entry.projectId ?? null,
    entry.runId,
    entry.action,
    entry.target === null ? null : cutText(entry.target),
    entry.outcome,
    entry.reason === null ? null : cutText(entry.reason),
    actor.requestId ?? null,
    actor.traceId ?? null,
    deployment,
    entry.moduleRevision ?? null,
    encodeDetail(cutDetail(entry.detail))
  ]
}

/** The row as it reads back. */
const recordOf = (entry: AuditEntry, row: Content, previousHash: string, hash: string): AuditRecord => {
  const text = (column: typeof columns[number]) => row[columns.indexOf(column)] as string
  const nullable = (column: typeof columns[number]) => row[columns.indexOf(column)] as string | null
  return {
    id: row[0] as number,
    atMs: entry.atMs,
    actor: text("actor"),
    tokenId: nullable("token_id"),
    role: text("role"),
    orgId: nullable("org_id"),
    projectId: nullable("project_id"),
    runId: nullable("run_id"),
    action: text("action"),
    target: nullable("target"),
    outcome: entry.outcome,
    reason: nullable("reason"),
    detail: cutDetail(entry.detail),
    requestId: nullable("request_id"),
    traceId: nullable("trace_id"),
    deployment: nullable("deployment"),
    moduleRevision: nullable("module_revision"),
    previousHash,
    hash
  }
}

const readLogId = ({ read }: Persistence.Persistence["Type"]) =>
  Effect.map(read("SELECT log_id AS id FROM _smithers_audit_log", []), (rows) => rows[0]!["id"] as string)

const StoredRecord = Schema.Struct({ ...AuditRecord.fields, detail: Schema.parseJson(AuditDetail) })

const make = Effect.gen(function*() {
  const persistence = yield* Persistence.Persistence
  const { sql } = persistence
  const deployment = yield* Deployment
  const feed = yield* AuditFeed
  yield* persistence.migrate(migrations)
  const logId = yield* readLogId(persistence)
  const genesis = { id: 0, hash: genesisOf(logId) }
  const [head] = yield* persistence.read(headText, [])
  let lastId = (head?.["id"] as number | undefined) ?? 0
  let awaited = { id: Infinity, latch: Effect.unsafeMakeLatch() }

  const committed = (id: number) => {
    lastId = id
    if (id >= awaited.id) awaited.latch.unsafeOpen()
  }

  const reached = (id: number): Effect.Effect<void> =>
    Effect.suspend(() => {
      if (lastId >= id) return Effect.void
      // One waits at a time, for one row: the checkpoints.
      awaited = { id, latch: Effect.unsafeMakeLatch() }
      return awaited.latch.await
    })

  /** Joins the chain behind whatever precedes it in its transaction, units of the same group commit included. */
  const append = (entry: AuditEntry): Write.Write<void> => {
    const content = contentOf(entry, deployment)
    const chained = ([last]: ReadonlyArray<Write.Row>) => {
      const { hash: previous, id } = last === undefined ? genesis : last as typeof genesis
      const row = [id + 1, ...content]
      return { row, previous, hash: link(previous, digestOf(row)) }
    }
    const unit = Write.rows(headText, []).pipe(
      Write.next(insert, (head) => {
        const { hash, previous, row } = chained(head)
        return [...row, previous, hash]
      })
    )
    const fed = feed === null || (entry.orgId ?? null) === null ? unit : unit.pipe(feed.post((head) => {
      const { hash, previous, row } = chained(head)
      return recordOf(entry, row, previous, hash)
    }))
    return fed.pipe(
      Write.map(([last]) => (last === undefined ? 0 : last["id"] as number) + 1),
      Write.tapCommitted(committed),
      Write.map(() => undefined)
    )
  }

  const page = SqlSchema.findAll({
    Request: Schema.Struct({
      ...AuditFilter.fields,
      afterId: Schema.optional(Schema.Int),
      limit: Schema.Int,
      reach: Schema.optional(Schema.NullOr(Reach))
    }),
    Result: StoredRecord,
    execute: ({ afterId, limit, reach = null, ...filter }) =>
      sql`SELECT id, at_ms AS "atMs", actor, token_id AS "tokenId", role, org_id AS "orgId", project_id AS "projectId",
        action, target, run_id AS "runId", outcome, reason, request_id AS "requestId", trace_id AS "traceId",
        deployment, module_revision AS "moduleRevision", detail_json AS "detail", previous_hash AS "previousHash", hash
        FROM _smithers_audit
        WHERE ${
        sql.and([
          ...(afterId === undefined ? [] : [sql`id < ${afterId}`]),
          ...(reach === null ? [] : [sql`org_id = ${reach.orgId}`]),
          ...(reach === null || reach.projectIds === null ? [] : [sql.in("project_id", reach.projectIds)]),
          ...(reach === null || reach.except.length === 0
            ? []
            : [sql`NOT (${sql.in("COALESCE(project_id, '')", reach.except)})`]),
          ...conditionsOf(sql, filter)
        ])
      } ORDER BY id DESC LIMIT ${limit}`
  })

  return Audit.of({
    append,
    logId,
    genesis,
    lastId: () => lastId,
    reached,
    record: Effect.fn("Audit.record")(function*(entry) {
      yield* persistence.write(append({ ...entry, atMs: yield* Clock.currentTimeMillis }))
    }),
    list: Effect.fn("Audit.list")(({ limit, ...query }) =>
      page({ ...query, limit: Number.clamp(limit, { minimum: 0, maximum: Bounds.pageRows }) })
        .pipe(
          PersistenceError.refail("Audit.list")
        )
    )
  })
})

/** The audit table of the deployment's database. */
export const layer = Layer.effect(Audit, make)

import { SqlSchema } from "@effect/sql"
import { Context, Effect, Layer, type Option, Schema } from "effect"
import { reachedConditions } from "../journal/index.ts"
import { Approval, Bounds, type Reach } from "../model/index.ts"
import { Persistence, PersistenceError, Write } from "../persistence/index.ts"
import { migrations } from "./migrations.ts"

/** What an approver is asked. */
export interface NewApproval {
  readonly runId: string
  readonly workflow: string
  readonly nodeId: string
  readonly iteration: number
  readonly title: string
  readonly summary: string | null
  readonly payloadJson: string
  readonly payloadSha256: string
  readonly owner: string | null
  readonly fallbackOwner: string | null
  readonly allowedScopes: ReadonlyArray<string>
  readonly allowedUsers: ReadonlyArray<string>
  readonly requestedAtMs: number
}

/** A place in a workflow that asks for approval, and who answers for it. */
export const ApprovalPath = Schema.Struct({
  workflow: Schema.String,
  nodeId: Schema.String,
  owner: Schema.NullOr(Schema.String),
  fallbackOwner: Schema.NullOr(Schema.String),
  requestedAtMs: Schema.Int
})
export type ApprovalPath = typeof ApprovalPath.Type

/** Rows of approvals; every change is a unit. */
export class ApprovalStore extends Context.Tag("smithers-orchestrator/engine/ApprovalStore")<
  ApprovalStore,
  {
    /** Asks, or asks anew when the payload changed while nobody had decided. */
    readonly request: (approval: NewApproval) => Write.Write<unknown>
    /** Decides if nobody has and the hash is the one that was shown; otherwise the unit fails with `otherwise`. */
    readonly decide: <E>(
      decision: {
        readonly runId: string
        readonly nodeId: string
        readonly iteration: number
        readonly payloadSha256: string
        readonly approved: boolean
        readonly decidedAtMs: number
        readonly decidedBy: string
        readonly note: string | null
        readonly decisionJson: string | null
      },
      otherwise: () => E
    ) => Write.Write<unknown, E>
    /** Withdraws one question, if nobody has answered it. */
    readonly cancel: (runId: string, nodeId: string, iteration: number) => Write.Write<number>
    /** Withdraws what a run still asks for. */
    readonly cancelAll: (runId: string) => Write.Write<number>
    readonly find: (
      runId: string,
      nodeId: string,
      iteration: number
    ) => Effect.Effect<Option.Option<Approval>, PersistenceError>
    /** Of each node that ever asked the newest request, at most 10,000. Reads all approvals there are. */
    readonly paths: Effect.Effect<ReadonlyArray<ApprovalPath>, PersistenceError>
    /** Pending ones, oldest first; `limit` at most `Bounds.pageRows`, 50 unless given. */
    readonly pending: (
      filter: {
        readonly runId?: string | undefined
        readonly workflow?: string | undefined
        readonly orgId?: string | undefined
        readonly projectId?: string | undefined
        /** Of runs that are within it; all of them unless given. */
        readonly reach?: Reach | null | undefined
        readonly limit?: number | undefined
      }
    ) => Effect.Effect<ReadonlyArray<Approval>, PersistenceError>
  }
>() {}

const Strings = Schema.parseJson(Schema.Array(Schema.String))
const encodeStrings = Schema.encodeSync(Strings)
const ApprovalRow = Schema.Struct({
  ...Approval.fields,
  payload: Schema.parseJson(Schema.Unknown),
  allowedScopes: Strings,
  allowedUsers: Strings,
  decision: Schema.NullOr(Schema.parseJson(Schema.Unknown))
})

const columns = `run_id AS "runId", workflow, node_id AS "nodeId", iteration, title, summary, payload_json AS payload,
  payload_sha256 AS "payloadSha256", owner, fallback_owner AS "fallbackOwner", allowed_scopes_json AS "allowedScopes",
  allowed_users_json AS "allowedUsers", status, requested_at_ms AS "requestedAtMs", decided_at_ms AS "decidedAtMs",
  decided_by AS "decidedBy", note, decision_json AS decision`

const make = Effect.gen(function*() {
  const persistence = yield* Persistence.Persistence
  yield* persistence.migrate(migrations)
  const { sql } = persistence

  const findOne = SqlSchema.findOne({
    Request: Schema.Struct({ runId: Schema.String, nodeId: Schema.String, iteration: Schema.Int }),
    Result: ApprovalRow,
    execute: ({ iteration, nodeId, runId }) =>
      sql`SELECT ${sql.literal(columns)} FROM _smithers_approvals
        WHERE run_id = ${runId} AND node_id = ${nodeId} AND iteration = ${iteration}`
  })
  const decodeRows = Schema.decodeUnknown(Schema.Array(ApprovalRow))

  const findPaths = SqlSchema.findAll({
    Request: Schema.Void,
    Result: ApprovalPath,
    execute: () =>
      sql`SELECT workflow, node_id AS "nodeId", owner, fallback_owner AS "fallbackOwner",
          requested_at_ms AS "requestedAtMs"
        FROM (SELECT workflow, node_id, owner, fallback_owner, requested_at_ms, ROW_NUMBER() OVER (PARTITION BY workflow, node_id ORDER BY requested_at_ms DESC, run_id) AS place
          FROM _smithers_approvals) AS ranked
        WHERE place = 1 ORDER BY workflow, node_id LIMIT 10000`
  })

  return ApprovalStore.of({
    paths: findPaths(undefined).pipe(PersistenceError.refail("ApprovalStore.paths")),
    request: (approval) =>
      Write.run(
        `INSERT INTO _smithers_approvals (run_id, node_id, iteration, workflow, title, summary, payload_json,
            payload_sha256, owner, fallback_owner, allowed_scopes_json, allowed_users_json, status, requested_at_ms,
            org_id, project_id)
          VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'requested', ?,
            (SELECT org_id FROM _smithers_runs WHERE run_id = ?), (SELECT project_id FROM _smithers_runs WHERE run_id = ?))
          ON CONFLICT (run_id, node_id, iteration) DO UPDATE SET title = excluded.title, summary = excluded.summary,
            payload_json = excluded.payload_json, payload_sha256 = excluded.payload_sha256, owner = excluded.owner,
            fallback_owner = excluded.fallback_owner, allowed_scopes_json = excluded.allowed_scopes_json,
            allowed_users_json = excluded.allowed_users_json, requested_at_ms = excluded.requested_at_ms,
            status = 'requested'
          WHERE status IN ('requested', 'cancelled')`,
        [
          approval.runId,
          approval.nodeId,
          approval.iteration,
          approval.workflow,
          approval.title,
          approval.summary,
          approval.payloadJson,
          approval.payloadSha256,
          approval.owner,
          approval.fallbackOwner,
          encodeStrings(approval.allowedScopes),
          encodeStrings(approval.allowedUsers),
          approval.requestedAtMs,
          approval.runId,
          approval.runId
        ]
      ),
    decide: (decision, otherwise) =>
      Write.guard(
        `UPDATE _smithers_approvals SET status = ?, decided_at_ms = ?, decided_by = ?, note = ?, decision_json = ?
          WHERE run_id = ? AND node_id = ? AND iteration = ? AND status = 'requested' AND payload_sha256 = ?
          RETURNING run_id`,
        [
          decision.approved ? "approved" : "denied",
          decision.decidedAtMs,
          decision.decidedBy,
          decision.note,
          decision.decisionJson,
          decision.runId,
          decision.nodeId,
          decision.iteration,
          decision.payloadSha256
        ],
        otherwise
      ),
    cancel: (runId, nodeId, iteration) =>
      Write.run(
        `UPDATE _smithers_approvals SET status = 'cancelled'
          WHERE run_id = ? AND node_id = ? AND iteration = ? AND status = 'requested'`,
        [runId, nodeId, iteration]
      ),
    cancelAll: (runId) =>
      Write.run(
        "UPDATE _smithers_approvals SET status = 'cancelled' WHERE run_id = ? AND status = 'requested'",
        [runId]
      ),
    find: (runId, nodeId, iteration) =>
      findOne({ runId, nodeId, iteration }).pipe(PersistenceError.refail("ApprovalStore.find")),
    pending: (filter) =>
      Effect.suspend(() => {
        const conditions = [...reachedConditions(filter.reach)]
        if (filter.runId !== undefined) conditions.push(["run_id = ?", filter.runId])
        if (filter.workflow !== undefined) conditions.push(["workflow = ?", filter.workflow])
        if (filter.orgId !== undefined) conditions.push(["org_id = ?", filter.orgId])
        if (filter.projectId !== undefined) conditions.push(["project_id = ?", filter.projectId])
        return Effect.flatMap(
          persistence.read(
            `SELECT ${columns} FROM _smithers_approvals
              WHERE ${["status = 'requested'", ...conditions.map(([text]) => text)].join(" AND ")}
              ORDER BY requested_at_ms, run_id LIMIT ?`,
            [...conditions.map(([, value]) => value), Math.min(filter.limit ?? 50, Bounds.pageRows)]
          ),
          (rows) => PersistenceError.refail("ApprovalStore.pending")(decodeRows(rows))
        )
      })
  })
})

/** Approvals in the one database; the journal's tables must be there first. */
export const layer = Layer.effect(ApprovalStore, make)

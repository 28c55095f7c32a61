import { SqlSchema } from "@effect/sql"
import { Context, Effect, Layer, Option, Schema } from "effect"
import {
  type Attempt,
  Bounds,
  type FailureRecord,
  type Hold,
  type Node,
  type NodeState,
  type Run,
  type RunStatus,
  type Tenant,
  tenantOf
} from "../model/index.ts"
import { Persistence, PersistenceError, Write } from "../persistence/index.ts"
import {
  AttemptRow,
  decodeSummary,
  encodeActor,
  encodeFailure,
  encodeHold,
  encodeStartedBy,
  findByKeyText,
  findText,
  insertText,
  inspectText,
  nodeColumns,
  nodeParams,
  NodeRow,
  putAttemptText,
  putNodeText,
  runColumns,
  runOf,
  runsOf,
  StoredNodeRow,
  summaryText,
  tenantsText,
  tenantText,
  unendedStatuses,
  unfinishedNodeText,
  waitingStatuses,
  waitingText
} from "./internal/RunRows.ts"
import { migrations } from "./migrations.ts"
import { reachedConditions } from "./Reached.ts"
import { NodeCompleted, RunChanged, RunExists, RunNotFound, StaleEpoch } from "./RunError.ts"
import { RunLeftovers } from "./RunLeftovers.ts"
import type { AttemptRecord, Claim, NewRun, NodeRecord, RunFilter, StoredNode, WaitingNode } from "./RunRecords.ts"

export { NodeCompleted, RunChanged, RunExists, RunNotFound, StaleEpoch } from "./RunError.ts"
export type { AttemptRecord, Claim, NewRun, NodeRecord, RunFilter, StoredNode, WaitingNode } from "./RunRecords.ts"

/** A run, and how many of its nodes are in which state. */
interface Inspected {
  readonly run: Run
  readonly summary: Readonly<Record<string, number>>
}

/**
 * Rows of runs, nodes and attempts. Changes are units for the caller to join with the events that tell of them;
 * whatever belongs to an executing run is joined with `fence`, so that an owner that lost the run changes nothing.
 */
export class RunStore extends Context.Tag("smithers-orchestrator/journal/RunStore")<
  RunStore,
  {
    /** A new running run under epoch 1. */
    readonly insert: (run: NewRun) => Write.Write<unknown, RunExists>
    /** Fails `StaleEpoch` unless the run is owned under this epoch. */
    readonly fence: (runId: string, epoch: number) => Write.Write<unknown, StaleEpoch>
    /** Passes when the run has this status. */
    readonly inStatus: (runId: string, status: RunStatus) => Write.Write<unknown, RunChanged>
    /** Passes when the run has not ended. */
    readonly unended: (runId: string) => Write.Write<unknown, RunChanged>
    /** Passes when the run ended before that time. */
    readonly stillEndedBefore: (runId: string, beforeMs: number) => Write.Write<unknown, RunChanged>
    /** Passes when nobody asked to cancel the run, and, if it is to pause, the request to pause still stands. */
    readonly mayPark: (runId: string, paused: boolean) => Write.Write<unknown, RunChanged>
    /** Makes a run that is to go on running, and `ownerId` its owner under the next epoch. */
    readonly claim: (runId: string, ownerId: string, atMs: number) => Write.Write<Claim, RunChanged>
    readonly setStatus: (
      runId: string,
      status: RunStatus,
      changes?: {
        readonly outputJson?: string
        readonly error?: FailureRecord | null
        readonly hold?: Hold | null
        readonly finishedAtMs?: number | null
        readonly ownerId?: string | null
        /** Resets what an operator's resume or retry starts anew. */
        readonly resumesWithoutProgress?: 0
        readonly pauseRequestedAtMs?: null
        readonly cancelRequestedAtMs?: null
      }
    ) => Write.Write<unknown>
    readonly noteProgress: (runId: string, atMs: number) => Write.Write<unknown>
    /** A parked run is running again with it, so that whoever looks after runs finds it. */
    readonly requestCancel: (runId: string, atMs: number) => Write.Write<unknown, RunChanged>
    readonly requestPause: (runId: string, atMs: number | null) => Write.Write<number>
    /** Removes the run and, by cascade, everything that hangs on it; `RunLeftovers` remembers what it left elsewhere. */
    readonly remove: (runId: string) => Write.Write<number>
    readonly putNode: (node: NodeRecord) => Write.Write<unknown>
    /** Makes a node wait, unless what it waits for has come already. */
    readonly openNode: (node: NodeRecord) => Write.Write<unknown, NodeCompleted>
    /** Gives a node its result once, whether it waits for it yet or not. */
    readonly completeNode: (node: NodeRecord) => Write.Write<unknown, NodeCompleted>
    /** Passes when the node still waits; fails with `NodeCompleted` otherwise. */
    readonly stillWaiting: (runId: string, nodeId: string, iteration: number) => Write.Write<unknown, NodeCompleted>
    /** Ends a wait that the run itself gave up. */
    readonly withdrawNode: (runId: string, nodeId: string, iteration: number, atMs: number) => Write.Write<number>
    /** Ends every node that is executing or waiting. */
    readonly cancelNodes: (runId: string, atMs: number) => Write.Write<number>
    /** Makes a failed or cancelled node pending again. */
    readonly resetNode: (runId: string, nodeId: string, iteration: number, atMs: number) => Write.Write<number>
    /** A parked run of one of the waiting states is to go on: its status says so at once, and its count starts anew. */
    readonly wake: (runId: string) => Write.Write<number>
    /** Whatever still holds an older epoch writes nothing more. */
    readonly bumpEpoch: (runId: string) => Write.Write<number>
    /** What this process owns is free, and being stopped in good order does not count against it. */
    readonly releaseOwner: (ownerId: string) => Write.Write<number>
    readonly touchOwned: (ownerId: string, atMs: number) => Write.Write<number>
    /** Recorded when an attempt ends without a result; any other is known by its node's row. */
    readonly putAttempt: (attempt: AttemptRecord) => Write.Write<unknown>
    readonly heartbeat: (
      attempt: Pick<AttemptRecord, "runId" | "nodeId" | "iteration" | "attempt" | "startedAtMs">,
      atMs: number
    ) => Write.Write<unknown>

    readonly find: (runId: string) => Effect.Effect<Option.Option<Run>, PersistenceError>
    readonly get: (runId: string) => Effect.Effect<Run, RunNotFound | PersistenceError>
    readonly findByIdempotencyKey: (
      workflow: string,
      key: string,
      tenant: Tenant | null
    ) => Effect.Effect<Option.Option<Run>, PersistenceError>
    /** Whose a run is, if there is such a run; null: the operator's. */
    readonly tenantOf: (runId: string) => Effect.Effect<Option.Option<Tenant | null>, PersistenceError>
    /** The same of many; of those that are not there nothing is said. */
    readonly tenantsOf: (
      runIds: ReadonlyArray<string>
    ) => Effect.Effect<ReadonlyMap<string, Tenant | null>, PersistenceError>
    /** Newest first; `limit` at most `Bounds.pageRows`, 50 unless given. */
    readonly list: (filter: RunFilter) => Effect.Effect<ReadonlyArray<Run>, PersistenceError>
    /** Ids of runs in one of the states, oldest first: what a supervisor has to look after. */
    readonly idsByStatus: (
      statuses: ReadonlyArray<RunStatus>
    ) => Effect.Effect<ReadonlyArray<string>, PersistenceError>
    /**
     * Ids of runs of an organization that have not ended and that nobody asked to cancel, but for those whose parent is
     * one, too.
     */
    readonly uncancelled: (orgId: string, limit: number) => Effect.Effect<ReadonlyArray<string>, PersistenceError>
    /** Whether a run of the organization has not ended. */
    readonly hasUnended: (orgId: string) => Effect.Effect<boolean, PersistenceError>
    /** Ids of runs that ended before that time, oldest first, unless a parent or child of theirs did not. */
    readonly endedBefore: (beforeMs: number, limit: number) => Effect.Effect<ReadonlyArray<string>, PersistenceError>
    /** How many nodes of a run are in which state. */
    readonly summary: (
      runId: string
    ) => Effect.Effect<Readonly<Record<string, number>>, PersistenceError>
    /** A run and its summary as of one moment. */
    readonly inspect: (runId: string) => Effect.Effect<Inspected, RunNotFound | PersistenceError>
    /** A node that the run waits for, people before events before time, and when its timer fires. */
    readonly waitingNode: (runId: string) => Effect.Effect<Option.Option<WaitingNode>, PersistenceError>
    readonly nodes: (runId: string) => Effect.Effect<ReadonlyArray<Node>, PersistenceError>
    /** Attempts that have ended, and those that gave a heartbeat. */
    readonly attempts: (runId: string) => Effect.Effect<ReadonlyArray<Attempt>, PersistenceError>
    readonly findNode: (
      runId: string,
      nodeId: string,
      iteration: number
    ) => Effect.Effect<Option.Option<Node>, PersistenceError>
    /** Everything that replay can return at once, in one pass. */
    readonly storedNodes: (runId: string) => Effect.Effect<ReadonlyArray<StoredNode>, PersistenceError>
  }
>() {}

/** What the columns of a tenant hold: STRICT, and named so in the queries. */
type TenantColumns = Parameters<typeof tenantOf>[0]

const make = Effect.gen(function*() {
  const persistence = yield* Persistence.Persistence
  const leftovers = yield* RunLeftovers
  yield* persistence.migrate(migrations)
  const { sql } = persistence

  const selectIds = SqlSchema.findAll({
    Request: Schema.Array(Schema.String),
    Result: Schema.Struct({ runId: Schema.String }),
    execute: (statuses) =>
      sql`SELECT run_id AS "runId" FROM _smithers_runs WHERE ${
        sql.in("status", statuses)
      } ORDER BY created_at_ms, run_id`
  })
  const selectNodes = SqlSchema.findAll({
    Request: Schema.String,
    Result: NodeRow,
    execute: (runId) =>
      sql`SELECT ${sql.literal(nodeColumns)} FROM _smithers_nodes WHERE run_id = ${runId} ORDER BY ordinal, node_id`
  })
  const selectNode = SqlSchema.findOne({
    Request: Schema.Struct({ runId: Schema.String, nodeId: Schema.String, iteration: Schema.Int }),
    Result: NodeRow,
    execute: ({ iteration, nodeId, runId }) =>
      sql`SELECT ${sql.literal(nodeColumns)} FROM _smithers_nodes
        WHERE run_id = ${runId} AND node_id = ${nodeId} AND iteration = ${iteration}`
  })
  const selectAttempts = SqlSchema.findAll({
    Request: Schema.String,
    Result: AttemptRow,
    execute: (runId) =>
      sql`SELECT run_id AS "runId", node_id AS "nodeId", iteration, attempt, state, error_json AS error,
          started_at_ms AS "startedAtMs", finished_at_ms AS "finishedAtMs", heartbeat_at_ms AS "heartbeatAtMs", cached
        FROM (
          SELECT run_id, node_id, iteration, attempt, state, error_json, started_at_ms, finished_at_ms,
              heartbeat_at_ms, cached
            FROM _smithers_attempts WHERE run_id = ${runId}
          UNION ALL
          SELECT run_id, node_id, iteration, attempt, state, NULL, started_at_ms, finished_at_ms, NULL, cached
            FROM _smithers_nodes AS n
            WHERE run_id = ${runId} AND state = 'finished' AND kind IN ('task', 'activity') AND NOT EXISTS (
              SELECT 1 FROM _smithers_attempts AS a WHERE a.run_id = n.run_id AND a.node_id = n.node_id
                AND a.iteration = n.iteration AND a.attempt = n.attempt)
        ) AS known ORDER BY started_at_ms, node_id, iteration, attempt`
  })
  const selectStored = SqlSchema.findAll({
    Request: Schema.String,
    Result: StoredNodeRow,
    execute: (runId) =>
      sql`SELECT node_id AS "nodeId", iteration, kind, state, attempt, output_json AS "outputJson",
          error_json AS "errorJson", started_at_ms AS "startedAtMs",
          CASE WHEN state = 'in-progress' THEN (SELECT COUNT(*) FROM _smithers_attempts AS a
            WHERE a.run_id = n.run_id AND a.node_id = n.node_id AND a.iteration = n.iteration AND a.state = 'failed')
          ELSE 0 END AS "failedAttempts"
        FROM _smithers_nodes AS n WHERE run_id = ${runId}`
  })

  const findOne = (text: string, params: ReadonlyArray<string>) =>
    Effect.flatMap(
      persistence.read(text, params),
      ([row]) => row === undefined ? Effect.succeedNone : Effect.asSome(runOf(row))
    )
  const find = (runId: string) => findOne(findText, [runId])

  return RunStore.of({
    insert: (run) =>
      Write.guard(insertText, [
        run.runId,
        run.parentRunId,
        run.workflow,
        run.inputJson,
        run.idempotencyKey,
        encodeActor(run.actor),
        run.startedBy === null ? null : encodeStartedBy(run.startedBy),
        run.moduleRevision,
        run.ownerId,
        run.createdAtMs,
        run.createdAtMs,
        run.createdAtMs,
        run.tenant?.orgId ?? null,
        run.tenant?.projectId ?? null
      ], () => new RunExists({ runId: run.runId })),
    fence: (runId, epoch) =>
      Write.guard(
        "SELECT 1 FROM _smithers_runs WHERE run_id = ? AND epoch = ?",
        [runId, epoch],
        () => new StaleEpoch({ runId, epoch })
      ),
    inStatus: (runId, status) =>
      Write.guard(
        "SELECT 1 FROM _smithers_runs WHERE run_id = ? AND status = ?",
        [runId, status],
        () => new RunChanged({ runId })
      ),
    unended: (runId) =>
      Write.guard(
        "SELECT 1 FROM _smithers_runs WHERE run_id = ? AND finished_at_ms IS NULL",
        [runId],
        () => new RunChanged({ runId })
      ),
    stillEndedBefore: (runId, beforeMs) =>
      Write.guard(
        "SELECT 1 FROM _smithers_runs WHERE run_id = ? AND finished_at_ms < ?",
        [runId, beforeMs],
        () => new RunChanged({ runId })
      ),
    mayPark: (runId, paused) =>
      Write.guard(
        `SELECT 1 FROM _smithers_runs WHERE run_id = ? AND cancel_requested_at_ms IS NULL
          AND (? = 0 OR pause_requested_at_ms IS NOT NULL)`,
        [runId, paused ? 1 : 0],
        () => new RunChanged({ runId })
      ),
    claim: (runId, ownerId, atMs) =>
      Write.guard(
        `UPDATE _smithers_runs SET status = 'running', owner_id = ?, epoch = epoch + 1, heartbeat_at_ms = ?,
          resumes_without_progress = resumes_without_progress + 1
         WHERE run_id = ? AND finished_at_ms IS NULL AND cancel_requested_at_ms IS NULL AND hold_json IS NULL
          AND status <> 'paused'
         RETURNING epoch, resumes_without_progress, pause_requested_at_ms`,
        [ownerId, atMs, runId],
        () => new RunChanged({ runId })
      ).pipe(Write.map((row): Claim => ({
        epoch: row!["epoch"] as number,
        resumesWithoutProgress: row!["resumes_without_progress"] as number,
        pauseRequested: row!["pause_requested_at_ms"] !== null
      }))),
    setStatus: (runId, status, changes = {}) => {
      const sets = ["status = ?"]
      const params: Array<string | number | null> = [status]
      const set = (column: string, value: string | number | null | undefined) => {
        if (value === undefined) return
        sets.push(`${column} = ?`)
        params.push(value)
      }
      set("output_json", changes.outputJson)
      set("error_json", changes.error && encodeFailure(changes.error))
      set("hold_json", changes.hold && encodeHold(changes.hold))
      set("finished_at_ms", changes.finishedAtMs)
      set("owner_id", changes.ownerId)
      set("resumes_without_progress", changes.resumesWithoutProgress)
      set("pause_requested_at_ms", changes.pauseRequestedAtMs)
      set("cancel_requested_at_ms", changes.cancelRequestedAtMs)
      return Write.run(`UPDATE _smithers_runs SET ${sets.join(", ")} WHERE run_id = ?`, [...params, runId]).pipe(
        Write.map(() => undefined)
      )
    },
    noteProgress: (runId, atMs) =>
      Write.run(
        "UPDATE _smithers_runs SET heartbeat_at_ms = ?, resumes_without_progress = 0 WHERE run_id = ?",
        [atMs, runId]
      ),
    requestCancel: (runId, atMs) =>
      Write.guard(
        `UPDATE _smithers_runs SET status = 'running', cancel_requested_at_ms = COALESCE(cancel_requested_at_ms, ?)
          WHERE run_id = ? AND finished_at_ms IS NULL`,
        [atMs, runId],
        () => new RunChanged({ runId })
      ),
    requestPause: (runId, atMs) =>
      Write.run("UPDATE _smithers_runs SET pause_requested_at_ms = ? WHERE run_id = ?", [atMs, runId]),
    remove: (runId) =>
      Write.all([leftovers.remember(runId), Write.run("DELETE FROM _smithers_runs WHERE run_id = ?", [runId])]).pipe(
        Write.map(([, removed]) => removed)
      ),
    putNode: (node) => Write.run(putNodeText, [...nodeParams(node), node.cached === true ? 1 : 0]),
    openNode: (node) => Write.guard(unfinishedNodeText, nodeParams(node), () => new NodeCompleted(node)),
    completeNode: (node) => Write.guard(unfinishedNodeText, nodeParams(node), () => new NodeCompleted(node)),
    stillWaiting: (runId, nodeId, iteration) =>
      Write.guard(
        `SELECT 1 FROM _smithers_nodes WHERE run_id = ? AND node_id = ? AND iteration = ? AND state LIKE 'waiting-%'`,
        [runId, nodeId, iteration],
        () => new NodeCompleted({ runId, nodeId, iteration })
      ),
    withdrawNode: (runId, nodeId, iteration, atMs) =>
      Write.run(
        `UPDATE _smithers_nodes SET state = 'cancelled', finished_at_ms = ?, updated_at_ms = ?
          WHERE run_id = ? AND node_id = ? AND iteration = ? AND state LIKE 'waiting-%'`,
        [atMs, atMs, runId, nodeId, iteration]
      ),
    cancelNodes: (runId, atMs) =>
      Write.run(
        `UPDATE _smithers_nodes SET state = 'cancelled', finished_at_ms = ?, updated_at_ms = ?
          WHERE run_id = ? AND (state = 'in-progress' OR state LIKE 'waiting-%')`,
        [atMs, atMs, runId]
      ),
    resetNode: (runId, nodeId, iteration, atMs) =>
      Write.run(
        `UPDATE _smithers_nodes SET state = 'pending', output_json = NULL, error_json = NULL, finished_at_ms = NULL,
            updated_at_ms = ?
          WHERE run_id = ? AND node_id = ? AND iteration = ? AND state IN ('failed', 'cancelled')`,
        [atMs, runId, nodeId, iteration]
      ),
    wake: (runId) =>
      Write.run(
        `UPDATE _smithers_runs SET status = 'running', resumes_without_progress = 0
          WHERE run_id = ? AND status IN ${waitingStatuses}`,
        [runId]
      ),
    bumpEpoch: (runId) => Write.run("UPDATE _smithers_runs SET epoch = epoch + 1 WHERE run_id = ?", [runId]),
    releaseOwner: (ownerId) =>
      Write.run(
        `UPDATE _smithers_runs SET owner_id = NULL, resumes_without_progress = MAX(resumes_without_progress - 1, 0)
          WHERE owner_id = ? AND status = 'running'`,
        [ownerId]
      ),
    touchOwned: (ownerId, atMs) =>
      Write.run(
        "UPDATE _smithers_runs SET heartbeat_at_ms = ? WHERE owner_id = ? AND status = 'running'",
        [atMs, ownerId]
      ),
    putAttempt: (attempt) =>
      Write.run(putAttemptText, [
        attempt.runId,
        attempt.nodeId,
        attempt.iteration,
        attempt.attempt,
        attempt.state,
        attempt.error === null ? null : encodeFailure(attempt.error),
        attempt.startedAtMs,
        attempt.finishedAtMs
      ]),
    heartbeat: (attempt, atMs) =>
      Write.run(
        `INSERT INTO _smithers_attempts (run_id, node_id, iteration, attempt, state, started_at_ms, heartbeat_at_ms)
          VALUES (?, ?, ?, ?, 'in-progress', ?, ?)
          ON CONFLICT (run_id, node_id, iteration, attempt) DO UPDATE SET heartbeat_at_ms = excluded.heartbeat_at_ms`,
        [attempt.runId, attempt.nodeId, attempt.iteration, attempt.attempt, attempt.startedAtMs, atMs]
      ),
    find,
    get: (runId) =>
      Effect.flatMap(
        find(runId),
        Effect.catchTag("NoSuchElementException", () => new RunNotFound({ runId }))
      ),
    findByIdempotencyKey: (workflow, key, tenant) =>
      findOne(findByKeyText, [workflow, key, tenant?.orgId ?? "", tenant?.projectId ?? ""]),
    tenantOf: (runId) =>
      Effect.map(
        persistence.read(tenantText, [runId]),
        ([row]) => Option.map(Option.fromNullable(row), (found) => tenantOf(found as TenantColumns))
      ),
    tenantsOf: (runIds) =>
      Effect.map(
        persistence.read(tenantsText, [JSON.stringify(runIds)]),
        (rows) => new Map(rows.map((row) => [row["runId"] as string, tenantOf(row as TenantColumns)] as const))
      ),
    list: (filter) => {
      const conditions = [...reachedConditions(filter.reach)]
      if (filter.orgId !== undefined) conditions.push(["org_id = ?", filter.orgId])
      if (filter.projectId !== undefined) {
        // Of one status there are fewer than of one project, as it is usually asked: the index is that of the status then.
        conditions.push([`${filter.status === undefined ? "" : "+"}project_id = ?`, filter.projectId])
      }
      if (filter.status !== undefined) conditions.push(["status = ?", filter.status])
      if (filter.workflow !== undefined) conditions.push(["workflow = ?", filter.workflow])
      if (filter.parentRunId !== undefined) conditions.push(["parent_run_id = ?", filter.parentRunId])
      const where = conditions.length === 0 ? "" : `WHERE ${conditions.map(([text]) => text).join(" AND ")}`
      return Effect.flatMap(
        persistence.read(
          `SELECT ${runColumns} FROM _smithers_runs ${where} ORDER BY created_at_ms DESC, run_id DESC LIMIT ? OFFSET ?`,
          [...conditions.map(([, value]) => value), Math.min(filter.limit ?? 50, Bounds.pageRows), filter.offset ?? 0]
        ),
        runsOf
      )
    },
    idsByStatus: (statuses) =>
      selectIds(statuses).pipe(
        Effect.map((rows) => rows.map(({ runId }) => runId)),
        PersistenceError.refail("RunStore.idsByStatus")
      ),
    uncancelled: (orgId, limit) =>
      Effect.map(
        persistence.read(
          `SELECT run_id AS "runId" FROM _smithers_runs AS r
            WHERE org_id = ? AND status IN ${unendedStatuses} AND cancel_requested_at_ms IS NULL AND
              NOT EXISTS (SELECT 1 FROM _smithers_runs AS parent WHERE parent.run_id = r.parent_run_id
                AND parent.finished_at_ms IS NULL AND parent.cancel_requested_at_ms IS NULL)
            LIMIT ?`,
          [orgId, limit]
        ),
        (rows) => rows.map((row) => row["runId"] as string)
      ),
    hasUnended: (orgId) =>
      Effect.map(
        persistence.read(`SELECT 1 FROM _smithers_runs WHERE org_id = ? AND status IN ${unendedStatuses} LIMIT 1`, [
          orgId
        ]),
        (rows) => rows.length > 0
      ),
    endedBefore: (beforeMs, limit) =>
      Effect.map(
        // What ended before was made before: the index by creation bounds the look.
        persistence.read(
          `SELECT run_id AS "runId" FROM _smithers_runs AS r
            WHERE created_at_ms < ? AND finished_at_ms < ? AND 
              NOT EXISTS (SELECT 1 FROM _smithers_runs AS parent WHERE parent.run_id = r.parent_run_id
                AND (parent.finished_at_ms IS NULL OR parent.finished_at_ms >= ?)) AND
              NOT EXISTS (SELECT 1 FROM _smithers_runs AS child WHERE child.parent_run_id = r.run_id
                AND (child.finished_at_ms IS NULL OR child.finished_at_ms >= ?))
            ORDER BY created_at_ms, run_id LIMIT ?`,
          [beforeMs, beforeMs, beforeMs, beforeMs, limit]
        ),
        (rows) => rows.map((row) => row["runId"] as string)
      ),
    summary: (runId) => Effect.map(persistence.read(summaryText, [runId]), ([row]) => decodeSummary(row?.["summary"])),
    inspect: (runId) =>
      Effect.flatMap(
        persistence.read(inspectText, [runId, runId]),
        ([row]): Effect.Effect<Inspected, RunNotFound | PersistenceError> => {
          if (row === undefined) return new RunNotFound({ runId })
          const { summary, ...columns } = row
          return Effect.map(runOf(columns), (run) => ({ run, summary: decodeSummary(summary) }))
        }
      ),
    waitingNode: (runId) =>
      // The columns are those of WaitingNode, and their CHECKs hold what its types say.
      Effect.map(persistence.read(waitingText, [runId]), ([row]) =>
        Option.map(Option.fromNullable(row), (waiting): WaitingNode => ({
          nodeId: waiting["nodeId"] as string,
          state: waiting["state"] as NodeState,
          updatedAtMs: waiting["updatedAtMs"] as number
        }))),
    nodes: (runId) => selectNodes(runId).pipe(PersistenceError.refail("RunStore.nodes")),
    attempts: (runId) => selectAttempts(runId).pipe(PersistenceError.refail("RunStore.attempts")),
    findNode: (runId, nodeId, iteration) =>
      selectNode({ runId, nodeId, iteration }).pipe(PersistenceError.refail("RunStore.findNode")),
    storedNodes: (runId) => selectStored(runId).pipe(PersistenceError.refail("RunStore.storedNodes"))
  })
})

/** Rows of runs, nodes and attempts in the one database; migrates the journal's tables. */
export const layer = Layer.effect(RunStore, make)

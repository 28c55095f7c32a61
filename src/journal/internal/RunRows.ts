import { Effect, Schema } from "effect"
import {
  Actor,
  Attempt,
  FailureRecord,
  Hold,
  Node,
  type Run,
  RunStatus,
  StartedBy,
  terminalStatuses
} from "../../model/index.ts"
import { PersistenceError, type Write } from "../../persistence/index.ts"
import type { NodeRecord } from "../RunRecords.ts"

const json = <A, I>(schema: Schema.Schema<A, I>) => Schema.parseJson(schema)
const Unknown = Schema.parseJson(Schema.Unknown)
const orNull = <A, I>(schema: Schema.Schema<A, I>) => Schema.NullOr(schema)
/** A column that holds JSON text or NULL, where NULL means the JSON value null. */
const UnknownOrNull = orNull(Unknown)

const Flag = Schema.transformLiterals([0, false], [1, true])

export const NodeRow = Schema.Struct({
  ...Node.fields,
  output: UnknownOrNull,
  error: orNull(json(FailureRecord)),
  cached: Flag
})
export const AttemptRow = Schema.Struct({
  ...Attempt.fields,
  error: orNull(json(FailureRecord)),
  cached: Flag
})
export const StoredNodeRow = Schema.Struct({
  nodeId: Schema.String,
  iteration: Schema.Int,
  kind: Node.fields.kind,
  state: Node.fields.state,
  attempt: Schema.Int,
  outputJson: Schema.NullOr(Schema.String),
  errorJson: Schema.NullOr(Schema.String),
  startedAtMs: Schema.NullOr(Schema.Int),
  failedAttempts: Schema.Int
})

export const runColumns =
  `run_id AS "runId", parent_run_id AS "parentRunId", org_id AS "orgId", project_id AS "projectId", workflow, status, input_json AS input,
  output_json AS output, error_json AS error, hold_json AS hold, idempotency_key AS "idempotencyKey",
  actor_json AS actor, started_by_json AS "startedBy", module_revision AS "moduleRevision", owner_id AS "ownerId",
  epoch, heartbeat_at_ms AS "heartbeatAtMs", created_at_ms AS "createdAtMs", started_at_ms AS "startedAtMs",
  finished_at_ms AS "finishedAtMs", cancel_requested_at_ms AS "cancelRequestedAtMs",
  pause_requested_at_ms AS "pauseRequestedAtMs"`

export const nodeColumns = `run_id AS "runId", node_id AS "nodeId", iteration, kind, label,
  parent_node_id AS "parentNodeId", state, attempt, output_json AS output, error_json AS error,
  started_at_ms AS "startedAtMs", finished_at_ms AS "finishedAtMs", updated_at_ms AS "updatedAtMs",
  cached`

export const findText = `SELECT ${runColumns} FROM _smithers_runs WHERE run_id = ?`
export const findByKeyText = `SELECT ${runColumns} FROM _smithers_runs WHERE workflow = ? AND idempotency_key = ?
    AND COALESCE(org_id, '') = ? AND COALESCE(project_id, '') = ?`
export const tenantText = `SELECT org_id AS "orgId", project_id AS "projectId" FROM _smithers_runs WHERE run_id = ?`
export const tenantsText = `SELECT run_id AS "runId", org_id AS "orgId", project_id AS "projectId"
  FROM _smithers_runs WHERE run_id IN (SELECT value FROM json_each(?))`
export const waitingText = `SELECT node_id AS "nodeId", state, updated_at_ms AS "updatedAtMs" FROM _smithers_nodes
    WHERE run_id = ? AND state LIKE 'waiting-%' ORDER BY state, updated_at_ms, ordinal LIMIT 1`
/** How many nodes of a run are in which state, as one JSON object. */
export const summaryText = `SELECT json_group_object(state, count) AS summary FROM (
    SELECT state, COUNT(*) AS count FROM _smithers_nodes WHERE run_id = ? GROUP BY state ORDER BY state
  )`
export const inspectText = `SELECT ${runColumns}, (${summaryText}) AS summary FROM _smithers_runs WHERE run_id = ?`

/** The database made the text of counts. */
export const decodeSummary = (text: Write.SqlValue | undefined) =>
  JSON.parse(text as string) as Readonly<Record<string, number>>

/** We made the text of a value; whoever wants more of it than JSON decodes it. */
const decodeInput = (text: unknown): unknown => JSON.parse(text as string)
const decodeError = Schema.decodeUnknownSync(json(FailureRecord))
const decodeHold = Schema.decodeUnknownSync(json(Hold))
const decodeStartedBy = Schema.decodeUnknownSync(json(StartedBy))

/** Runs of one grant carry the same text: it is decoded once. */
const actors = new Map<string, Actor>()
const decodeActorText = Schema.decodeUnknownSync(json(Actor))
const decodeActor = (text: string): Actor => {
  const known = actors.get(text)
  if (known !== undefined) return known
  if (actors.size >= 1_000) actors.clear()
  const actor = decodeActorText(text)
  actors.set(text, actor)
  return actor
}

const orNullWith = <A>(decode: (value: unknown) => A, value: unknown): A | null => value === null ? null : decode(value)

const decodeRun = (row: Write.Row) =>
  ({
    ...row,
    input: decodeInput(row["input"]),
    output: orNullWith(decodeInput, row["output"]),
    error: orNullWith(decodeError, row["error"]),
    hold: orNullWith(decodeHold, row["hold"]),
    actor: decodeActor(row["actor"] as string),
    startedBy: orNullWith(decodeStartedBy, row["startedBy"])
  }) as Run

/** Rows of ours as runs: the plain columns hold what their STRICT types and CHECKs let in, the JSON is decoded. */
export const runsOf = (rows: ReadonlyArray<Write.Row>): Effect.Effect<ReadonlyArray<Run>, PersistenceError> =>
  Effect.try({
    try: () => rows.map(decodeRun),
    catch: (cause) => new PersistenceError({ operation: "RunStore.find", reason: "Decode", cause })
  })

export const runOf = (row: Write.Row): Effect.Effect<Run, PersistenceError> =>
  Effect.map(runsOf([row]), ([run]) => run!)

export const insertText =
  `INSERT INTO _smithers_runs (run_id, parent_run_id, workflow, status, input_json, idempotency_key,
    actor_json, started_by_json, module_revision, owner_id, epoch, heartbeat_at_ms, created_at_ms, started_at_ms,
    org_id, project_id)
  VALUES (?, ?, ?, 'running', ?, ?, ?, ?, ?, ?, 1, ?, ?, ?, ?, ?)
  ON CONFLICT DO NOTHING`

export const putNodeText =
  `INSERT INTO _smithers_nodes (run_id, node_id, iteration, ordinal, kind, label, parent_node_id, state,
    attempt, output_json, error_json, started_at_ms, finished_at_ms, updated_at_ms, cached)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (run_id, node_id, iteration) DO UPDATE SET kind = excluded.kind, label = excluded.label,
    parent_node_id = excluded.parent_node_id, state = excluded.state, attempt = excluded.attempt,
    output_json = excluded.output_json, error_json = excluded.error_json, started_at_ms = excluded.started_at_ms,
    finished_at_ms = excluded.finished_at_ms, updated_at_ms = excluded.updated_at_ms, cached = excluded.cached`

export const putAttemptText = `INSERT INTO _smithers_attempts (run_id, node_id, iteration, attempt, state, error_json,
    started_at_ms, finished_at_ms)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (run_id, node_id, iteration, attempt) DO UPDATE SET state = excluded.state,
    error_json = excluded.error_json, finished_at_ms = excluded.finished_at_ms`

export const unfinishedNodeText =
  `INSERT INTO _smithers_nodes (run_id, node_id, iteration, ordinal, kind, label, parent_node_id, state, attempt,
    output_json, error_json, started_at_ms, finished_at_ms, updated_at_ms)
  VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
  ON CONFLICT (run_id, node_id, iteration) DO UPDATE SET state = excluded.state, output_json = excluded.output_json,
    error_json = excluded.error_json, finished_at_ms = excluded.finished_at_ms, updated_at_ms = excluded.updated_at_ms
  WHERE _smithers_nodes.state <> 'finished'`

/** By these the index of an organization's runs is searched. */
export const unendedStatuses = `(${
  RunStatus.literals.filter((status) => !terminalStatuses.has(status)).map((status) => `'${status}'`).join(", ")
})`
export const waitingStatuses = "('waiting-approval', 'waiting-event', 'waiting-timer', 'waiting-quota')"

const encodeActorText = Schema.encodeSync(json(Actor))
const actorTexts = new WeakMap<Actor, string>()
export const encodeActor = (actor: Actor): string => {
  const known = actorTexts.get(actor)
  if (known !== undefined) return known
  const text = encodeActorText(actor)
  actorTexts.set(actor, text)
  return text
}
export const encodeStartedBy = Schema.encodeSync(json(StartedBy))
export const encodeFailure = Schema.encodeSync(json(FailureRecord))
export const encodeHold = Schema.encodeSync(json(Hold))

export const nodeParams = (node: NodeRecord) => [
  node.runId,
  node.nodeId,
  node.iteration,
  node.ordinal,
  node.kind,
  node.label,
  node.parentNodeId,
  node.state,
  node.attempt,
  node.outputJson,
  node.error === null ? null : encodeFailure(node.error),
  node.startedAtMs,
  node.finishedAtMs,
  node.updatedAtMs
]

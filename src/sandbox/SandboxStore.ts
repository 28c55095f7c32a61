import { Context, Effect, Layer, Schema } from "effect"
import { Persistence, type Persistence as P, PersistenceError, Write } from "../persistence/index.ts"
import { migrations } from "./migrations.ts"
import { Proof } from "./Probe.ts"
import { SandboxPolicy } from "./SandboxPolicy.ts"

/** One attempt at a sandbox, as it is kept. */
export const SandboxRow = Schema.Struct({
  runId: Schema.String,
  sandboxId: Schema.String,
  attempt: Schema.Int,
  runtime: Schema.String,
  status: Schema.Literal("pending", "shipped", "finished", "failed", "cancelled"),
  policy: Schema.parseJson(SandboxPolicy),
  proof: Schema.parseJson(Schema.NullOr(Proof)),
  requestBytes: Schema.Int,
  resultBytes: Schema.NullOr(Schema.Int),
  patchCount: Schema.NullOr(Schema.Int),
  changeSet: Schema.NullOr(Schema.String),
  error: Schema.NullOr(Schema.String),
  createdAtMs: Schema.Int,
  heartbeatAtMs: Schema.NullOr(Schema.Int),
  finishedAtMs: Schema.NullOr(Schema.Int)
})
export type SandboxRow = typeof SandboxRow.Type

/** Which attempt. */
export type Key = Pick<SandboxRow, "runId" | "sandboxId" | "attempt">

/** Where the change set of a node is. */
const NodeDiff = Schema.Struct({
  runId: Schema.String,
  nodeId: Schema.String,
  iteration: Schema.Int,
  /** `Change.digest` of the change set. */
  changeSet: Schema.String,
  /** SHA-256 of its text in the `BlobStore`. */
  blob: Schema.String,
  baseRef: Schema.String
})
export type NodeDiff = typeof NodeDiff.Type

const columns = `run_id AS "runId", sandbox_id AS "sandboxId", attempt, runtime, status, policy_json AS policy,
  proof_json AS proof, request_bytes AS "requestBytes", result_bytes AS "resultBytes", patch_count AS "patchCount",
  change_set AS "changeSet", error, created_at_ms AS "createdAtMs", heartbeat_at_ms AS "heartbeatAtMs",
  finished_at_ms AS "finishedAtMs"`

const insertText = `INSERT INTO _smithers_sandboxes (run_id, sandbox_id, attempt, runtime, status, policy_json,
    proof_json, request_bytes, created_at_ms)
  VALUES (?, ?, ?, ?, 'pending', ?, ?, ?, ?)
  ON CONFLICT (run_id, sandbox_id, attempt) DO UPDATE SET status = excluded.status, created_at_ms = excluded.created_at_ms`

const dropText = "DELETE FROM _smithers_node_diffs WHERE run_id = ? AND node_id = ? AND iteration = ?"

const diffText =
  `INSERT INTO _smithers_node_diffs (run_id, node_id, iteration, change_set, blob, base_ref, created_at_ms)
  VALUES (?, ?, ?, ?, ?, ?, ?)`

const referencesText = `INSERT INTO _smithers_blob_references (sha256, run_id, node_id, iteration)
  SELECT DISTINCT value, ?, ?, ? FROM json_each(?)`

const selectDiff = `SELECT run_id AS "runId", node_id AS "nodeId", iteration, change_set AS "changeSet", blob,
    base_ref AS "baseRef" FROM _smithers_node_diffs`

const encodePolicy = Schema.encodeSync(SandboxRow.fields.policy)
const encodeProof = Schema.encodeSync(SandboxRow.fields.proof)
const encodeHashes = Schema.encodeSync(Schema.parseJson(Schema.Array(Schema.String)))
const decodeRow = Schema.decodeUnknown(SandboxRow)
const decodeDiffs = Schema.decodeUnknown(Schema.Array(NodeDiff))
const decodeKeys = Schema.decodeUnknown(Schema.Array(SandboxRow.pick("runId", "sandboxId", "attempt")))

/** Rows of sandboxes and of the change sets they made. */
export class SandboxStore extends Context.Tag("smithers-orchestrator/sandbox/SandboxStore")<SandboxStore, {
  readonly create: (
    row: Pick<SandboxRow, "runtime" | "policy" | "proof" | "requestBytes" | "createdAtMs"> & Key
  ) => Write.Write<unknown>
  readonly ship: (key: Key, atMs: number) => Write.Write<unknown>
  readonly beat: (key: Key, atMs: number) => Write.Write<unknown>
  readonly end: (
    key: Key,
    end: Pick<SandboxRow, "status" | "resultBytes" | "patchCount" | "changeSet" | "error">,
    atMs: number
  ) => Write.Write<unknown>
  /** What a node came to, instead of what it came to before; `references` are kept by the `BlobStore` as long as it is. */
  readonly putDiff: (
    diff: NodeDiff & { readonly references: ReadonlyArray<string> },
    atMs: number
  ) => Write.Write<unknown>
  /** The node came to no change. */
  readonly dropDiff: (node: Pick<NodeDiff, "runId" | "nodeId" | "iteration">) => Write.Write<unknown>
  /** Those of a run, oldest first. */
  readonly list: (runId: string) => Effect.Effect<ReadonlyArray<SandboxRow>, PersistenceError>
  /** Those that some process was executing when it died. */
  readonly open: Effect.Effect<ReadonlyArray<Key>, PersistenceError>
  /** In the order in which they were made. */
  readonly diffsOf: (runId: string) => Effect.Effect<ReadonlyArray<NodeDiff>, PersistenceError>
  /** Whether a change set speaks of this content. */
  readonly isReferenced: (sha256: string) => Effect.Effect<boolean, PersistenceError>
  /** Where a change set is, whoever made it. */
  readonly findDiff: (runId: string, changeSet: string) => Effect.Effect<NodeDiff | undefined, PersistenceError>
}>() {}

const make = Effect.gen(function*() {
  const persistence: P.Persistence["Type"] = yield* Persistence.Persistence
  yield* persistence.migrate(migrations)
  const where = "WHERE run_id = ? AND sandbox_id = ? AND attempt = ?"
  const of = ({ attempt, runId, sandboxId }: Key) => [runId, sandboxId, attempt]
  const diffs = (text: string, params: ReadonlyArray<string>) =>
    Effect.flatMap(
      persistence.read(text, params),
      (rows) => PersistenceError.refail("SandboxStore.diffs")(decodeDiffs(rows))
    )

  return SandboxStore.of({
    create: (row) =>
      Write.run(insertText, [
        ...of(row),
        row.runtime,
        encodePolicy(row.policy),
        encodeProof(row.proof),
        row.requestBytes,
        row.createdAtMs
      ]),
    ship: (key, atMs) =>
      Write.run(`UPDATE _smithers_sandboxes SET status = 'shipped', heartbeat_at_ms = ? ${where}`, [atMs, ...of(key)]),
    beat: (key, atMs) => Write.run(`UPDATE _smithers_sandboxes SET heartbeat_at_ms = ? ${where}`, [atMs, ...of(key)]),
    end: (key, { changeSet, error, patchCount, resultBytes, status }, atMs) =>
      Write.run(
        `UPDATE _smithers_sandboxes SET status = ?, result_bytes = ?, patch_count = ?, change_set = ?, error = ?,
          finished_at_ms = ? ${where} AND status IN ('pending', 'shipped')`,
        [status, resultBytes, patchCount, changeSet, error, atMs, ...of(key)]
      ),
    putDiff: ({ baseRef, blob, changeSet, iteration, nodeId, references, runId }, atMs) =>
      Write.all([
        Write.run(dropText, [runId, nodeId, iteration]),
        Write.run(diffText, [runId, nodeId, iteration, changeSet, blob, baseRef, atMs]),
        Write.run(referencesText, [runId, nodeId, iteration, encodeHashes(references)])
      ]),
    dropDiff: ({ iteration, nodeId, runId }) => Write.run(dropText, [runId, nodeId, iteration]),
    list: (runId) =>
      Effect.flatMap(
        persistence.read(
          `SELECT ${columns} FROM _smithers_sandboxes WHERE run_id = ? ORDER BY created_at_ms, sandbox_id, attempt LIMIT 1000`,
          [runId]
        ),
        (rows) => PersistenceError.refail("SandboxStore.list")(Effect.forEach(rows, (row) => decodeRow(row)))
      ),
    open: Effect.flatMap(
      persistence.read(
        `SELECT run_id AS "runId", sandbox_id AS "sandboxId", attempt FROM _smithers_sandboxes
          WHERE status IN ('pending', 'shipped')`,
        []
      ),
      (rows) => PersistenceError.refail("SandboxStore.open")(decodeKeys(rows))
    ),
    diffsOf: (runId) => diffs(`${selectDiff} WHERE run_id = ? ORDER BY created_at_ms, node_id, iteration`, [runId]),
    isReferenced: (sha256) =>
      Effect.map(
        persistence.read("SELECT 1 FROM _smithers_blob_references WHERE sha256 = ? LIMIT 1", [sha256]),
        (rows) => rows.length > 0
      ),
    findDiff: (runId, changeSet) =>
      Effect.map(
        diffs(`${selectDiff} WHERE run_id = ? AND change_set = ? LIMIT 1`, [runId, changeSet]),
        ([diff]) => diff
      )
  })
})

/** Rows in the one database; migrates their tables, which hang on the journal's. */
export const layer = Layer.effect(SandboxStore, make)

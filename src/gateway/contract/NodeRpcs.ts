import { Rpc, RpcGroup } from "@effect/rpc"
import { Schema } from "effect"
import { FailureRecord, Iteration, NodeId, NodeKind, NodeState, RunId, TimestampMs } from "../../model/index.ts"
import { Aliases, ForTenants, RequiredScope } from "./Annotations.ts"
import { failures } from "./Failure.ts"

const FirstUnlessGiven = Schema.optionalWith(Iteration, { default: () => 0 })
const NullableTime = Schema.NullOr(TimestampMs)

const OutputField = Schema.Struct({
  name: Schema.String,
  type: Schema.Literal("string", "number", "boolean", "object", "array", "null", "unknown"),
  optional: Schema.Boolean,
  nullable: Schema.Boolean
})
export type OutputField = typeof OutputField.Type

const outputParts = { row: Schema.Unknown, schema: Schema.Struct({ fields: Schema.Array(OutputField) }) }

export const NodeOutput = Schema.Union(
  Schema.Struct({ status: Schema.Literal("produced", "pending"), ...outputParts }),
  Schema.Struct({
    status: Schema.Literal("failed"),
    ...outputParts,
    partial: Schema.Null,
    error: Schema.Struct({ name: Schema.String, message: Schema.String, attempt: Schema.Int })
  })
)
export type NodeOutput = typeof NodeOutput.Type

export const GetNodeOutput = Rpc.make("getNodeOutput", {
  payload: Schema.Struct({ runId: RunId, nodeId: NodeId, iteration: FirstUnlessGiven }),
  success: NodeOutput,
  error: failures("InvalidRunId", "InvalidNodeId", "InvalidIteration", "RunNotFound", "NodeNotFound")
}).annotate(ForTenants, "run").annotate(RequiredScope, "run:read").annotate(Aliases, ["devtools.getNodeOutput"])

export const NodeStateRow = Schema.Struct({
  nodeId: NodeId,
  iteration: Iteration,
  state: NodeState,
  lastAttempt: Schema.Int,
  updatedAtMs: TimestampMs,
  label: Schema.NullOr(Schema.String),
  startedAtMs: NullableTime,
  finishedAtMs: NullableTime,
  /** These are ours: what kind of step it is, the group it stands in, why it failed, and whether it was executed. */
  kind: NodeKind,
  parentNodeId: Schema.NullOr(Schema.String),
  error: Schema.NullOr(FailureRecord),
  cached: Schema.Boolean
})
export type NodeStateRow = typeof NodeStateRow.Type

export const ListNodeStates = Rpc.make("listNodeStates", {
  payload: { runId: RunId },
  success: Schema.Array(NodeStateRow),
  error: failures("NOT_FOUND")
}).annotate(ForTenants, "run").annotate(RequiredScope, "run:read")

export const AttemptRow = Schema.Struct({
  runId: RunId,
  nodeId: NodeId,
  iteration: Iteration,
  attempt: Schema.Int,
  state: NodeState,
  startedAtMs: TimestampMs,
  finishedAtMs: NullableTime,
  heartbeatAtMs: NullableTime,
  heartbeatDataJson: Schema.Null,
  errorJson: Schema.NullOr(Schema.String),
  jjPointer: Schema.Null,
  responseText: Schema.Null,
  jjCwd: Schema.Null,
  cached: Schema.Boolean,
  metaJson: Schema.Null
})
export type AttemptRow = typeof AttemptRow.Type

export const ListAttempts = Rpc.make("attempts.list", {
  payload: { runId: RunId, nodeId: Schema.optional(NodeId), iteration: Schema.optional(Iteration) },
  success: Schema.Array(AttemptRow),
  error: failures("NOT_FOUND")
}).annotate(ForTenants, "run").annotate(RequiredScope, "run:read")

export const RetryTask = Rpc.make("retryTask", {
  payload: Schema.Struct({
    runId: RunId,
    nodeId: NodeId,
    iteration: FirstUnlessGiven,
    resetDependents: Schema.optionalWith(Schema.Boolean, { default: () => true })
  }),
  success: Schema.Struct({
    runId: RunId,
    nodeId: NodeId,
    iteration: Iteration,
    resetNodes: Schema.Array(Schema.String),
    status: Schema.Literal("retry_requested")
  }),
  error: failures("NOT_FOUND", "RUN_ACTIVE", "CONFLICT")
}).annotate(ForTenants, "run").annotate(RequiredScope, "run:write")

/** Nodes: the steps of a run, their attempts and results. */
export const NodeRpcs = RpcGroup.make(GetNodeOutput, ListNodeStates, ListAttempts, RetryTask)

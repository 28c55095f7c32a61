import { Schema } from "effect"
import { FailureRecord, Hold, RunId, RunStatus, StartedBy, TimestampMs, WorkflowName } from "../../model/index.ts"

const NullableString = Schema.NullOr(Schema.String)
const NullableTime = Schema.NullOr(TimestampMs)

/** A run as listed. What this service does not have is null, as clients of the v1 wire expect the member. */
export const RunRow = Schema.Struct({
  runId: RunId,
  parentRunId: Schema.NullOr(RunId),
  workflowName: WorkflowName,
  workflowKey: WorkflowName,
  workflowPath: Schema.Null,
  workflowHash: NullableString,
  status: RunStatus,
  createdAtMs: TimestampMs,
  startedAtMs: NullableTime,
  finishedAtMs: NullableTime,
  heartbeatAtMs: NullableTime,
  runtimeOwnerId: NullableString,
  cancelRequestedAtMs: NullableTime,
  pauseRequestedAtMs: NullableTime,
  hijackRequestedAtMs: Schema.Null,
  hijackTarget: Schema.Null,
  vcsType: Schema.Null,
  vcsRoot: Schema.Null,
  vcsRevision: Schema.Null,
  errorJson: NullableString,
  configJson: Schema.String,
  cancelRequestId: Schema.Null,
  cancelRequestSource: Schema.Null,
  cancelRequestClientIdentity: Schema.Null,
  cancelRequestClientPid: Schema.Null,
  system: Schema.Boolean,
  startedBy: Schema.optional(StartedBy),
  /** Whose it is; null: the operator's. Ours. */
  orgId: NullableString,
  projectId: NullableString,
  /** Why an operator has to look at the run; ours. */
  hold: Schema.NullOr(Hold)
})
export type RunRow = typeof RunRow.Type

const Blocked = Schema.Union(
  Schema.Struct({ kind: Schema.Literal("approval"), nodeId: Schema.String, requestedAt: Schema.String }),
  Schema.Struct({ kind: Schema.Literal("event"), nodeId: Schema.String }),
  Schema.Struct({ kind: Schema.Literal("timer"), nodeId: Schema.String, wakeAt: Schema.String })
)

/** How a run stands, in the words of the v1 wire. */
export const RunState = Schema.Struct({
  runId: RunId,
  computedAt: Schema.String,
  state: Schema.Literal(
    "running",
    "waiting-approval",
    "waiting-event",
    "waiting-timer",
    "waiting-quota",
    "paused",
    "failed",
    "cancelled",
    "succeeded"
  ),
  blocked: Schema.optional(Blocked)
})
export type RunState = typeof RunState.Type

/** A run as inspected; `input`, `output` and `error` are ours. */
export const RunDetail = Schema.Struct({
  ...RunRow.fields,
  summary: Schema.Record({ key: Schema.String, value: Schema.Int }),
  runState: RunState,
  input: Schema.Unknown,
  output: Schema.Unknown,
  error: Schema.NullOr(FailureRecord)
})
export type RunDetail = typeof RunDetail.Type

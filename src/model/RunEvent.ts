import { Schema } from "effect"
import { RunId, Seq, TimestampMs } from "./Ids.ts"

/** Every kind of entry of the per-run journal; names as of `wire-protocol.md` §5.2 where it has one. */
export const RunEventType = Schema.Literal(
  "RunStarted",
  "RunStatusChanged",
  "RunResumed",
  "RunPauseRequested",
  "RunCancelRequested",
  "RunCancelAcknowledged",
  "RunQuarantined",
  "ReplayDiverged",
  "RunFinished",
  "RunFailed",
  "RunCancelled",
  "NodePending",
  "NodeStarted",
  "NodeFinished",
  "NodeFailed",
  "NodeCancelled",
  "NodeRetrying",
  "NodeSkipped",
  "NodeWaitingApproval",
  "NodeWaitingTimer",
  "NodeWaitingEvent",
  "NodeOutput",
  "CacheHit",
  "CacheMiss",
  "TaskHeartbeat",
  "TaskHeartbeatTimeout",
  "ApprovalRequested",
  "ApprovalGranted",
  "ApprovalDenied",
  "TimerCreated",
  "TimerFired",
  "RetryTaskStarted",
  "SandboxCreated",
  "SandboxShipped",
  "SandboxHeartbeat",
  "SandboxBundleReceived",
  "SandboxDiffReviewRequested",
  "SandboxDiffAccepted",
  "SandboxDiffRejected",
  "SandboxCompleted",
  "SandboxFailed"
)
export type RunEventType = typeof RunEventType.Type

/** One entry of a run's journal, durable before anybody sees it. */
export const RunEvent = Schema.Struct({
  runId: RunId,
  seq: Seq,
  /** How many transitions of the node tree were committed up to and including this event. */
  frameNo: Schema.Int,
  type: RunEventType,
  nodeId: Schema.NullOr(Schema.String),
  iteration: Schema.NullOr(Schema.Int),
  attempt: Schema.NullOr(Schema.Int),
  /** What else the event says, by type; never a secret. */
  data: Schema.Record({ key: Schema.String, value: Schema.Unknown }),
  timestampMs: TimestampMs
})
export type RunEvent = typeof RunEvent.Type

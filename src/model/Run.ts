import { Schema } from "effect"
import { Iteration, NodeId, RunId, TimestampMs, WorkflowName } from "./Ids.ts"
import type { Reach } from "./Tenant.ts"

export const RunStatus = Schema.Literal(
  "running",
  "waiting-approval",
  "waiting-event",
  "waiting-timer",
  "waiting-quota",
  "paused",
  "finished",
  "failed",
  "cancelled",
  "continued"
)
export type RunStatus = typeof RunStatus.Type

/** A run in one of these never changes status again, except that a failed run may be retried by an operator. */
export const terminalStatuses: ReadonlySet<RunStatus> = new Set<RunStatus>([
  "finished",
  "failed",
  "cancelled",
  "continued"
])

export const NodeState = Schema.Literal(
  "pending",
  "in-progress",
  "finished",
  "failed",
  "cancelled",
  "skipped",
  "waiting-approval",
  "waiting-event",
  "waiting-timer",
  "waiting-quota",
  "waiting-bound",
  "bound-stale"
)
export type NodeState = typeof NodeState.Type

export const NodeKind = Schema.Literal("task", "group", "approval", "activity", "deferred", "timer", "child")
export type NodeKind = typeof NodeKind.Type

/** What is kept of a failure: redacted text, never the failing payload. */
export const FailureRecord = Schema.Struct({
  /** The `_tag` of a typed error, or the name of a defect. */
  name: Schema.String,
  message: Schema.String,
  /** `true` when the failure was in the declared error channel of the workflow or task. */
  typed: Schema.Boolean,
  /** The failure encoded by the declared error schema, when it was typed. */
  data: Schema.optional(Schema.Unknown)
})
export type FailureRecord = typeof FailureRecord.Type

/** Why an operator has to look at a parked run. */
export const Hold = Schema.Struct({
  kind: Schema.Literal("quarantined", "diverged", "workflow-missing"),
  reason: Schema.String,
  nodeId: Schema.optional(Schema.String)
})
export type Hold = typeof Hold.Type

/** Who did it: as recorded with launches, decisions and administrative operations. */
export const Actor = Schema.Struct({
  userId: Schema.NullOr(Schema.String),
  tokenId: Schema.NullOr(Schema.String),
  role: Schema.String,
  scopes: Schema.Array(Schema.String)
})
/** In the middle of a request it carries which one, and for whom; that is not stored with what the actor did. */
export type Actor = typeof Actor.Type & {
  readonly requestId?: string | undefined
  /** W3C trace id: 32 hexadecimal digits. */
  readonly traceId?: string | undefined
  /** The organization that it acts for; none: the operator's. */
  readonly reach?: Reach | null | undefined
}

/** How the actor is named in decisions and audit rows. */
export const actorName = (actor: Actor): string => actor.userId ?? actor.tokenId ?? actor.role

/** What the service itself does (supervisor, timers). */
export const systemActor: Actor = { userId: null, tokenId: null, role: "system", scopes: [] }

export const StartedBy = Schema.Struct({
  harness: Schema.optional(Schema.String.pipe(Schema.maxLength(64))),
  sessionId: Schema.optional(Schema.String.pipe(Schema.maxLength(256))),
  prompt: Schema.optional(Schema.String),
  detected: Schema.optional(Schema.Literal(true))
})
export type StartedBy = typeof StartedBy.Type

export const Run = Schema.Struct({
  runId: RunId,
  parentRunId: Schema.NullOr(RunId),
  /** Whose it is; null: the operator's. */
  orgId: Schema.NullOr(Schema.String),
  projectId: Schema.NullOr(Schema.String),
  workflow: WorkflowName,
  status: RunStatus,
  input: Schema.Unknown,
  output: Schema.Unknown,
  error: Schema.NullOr(FailureRecord),
  hold: Schema.NullOr(Hold),
  idempotencyKey: Schema.NullOr(Schema.String),
  actor: Actor,
  startedBy: Schema.NullOr(StartedBy),
  moduleRevision: Schema.NullOr(Schema.String),
  /** The process that executes it, and how often ownership was taken: writes of an older epoch are refused. */
  ownerId: Schema.NullOr(Schema.String),
  epoch: Schema.Int,
  heartbeatAtMs: Schema.NullOr(TimestampMs),
  createdAtMs: TimestampMs,
  startedAtMs: Schema.NullOr(TimestampMs),
  finishedAtMs: Schema.NullOr(TimestampMs),
  cancelRequestedAtMs: Schema.NullOr(TimestampMs),
  pauseRequestedAtMs: Schema.NullOr(TimestampMs)
})
export type Run = typeof Run.Type

export const Node = Schema.Struct({
  runId: RunId,
  nodeId: NodeId,
  iteration: Iteration,
  kind: NodeKind,
  label: Schema.NullOr(Schema.String),
  /** The group it stands in, as a node id; null at the top. */
  parentNodeId: Schema.NullOr(Schema.String),
  state: NodeState,
  attempt: Schema.Int,
  output: Schema.Unknown,
  error: Schema.NullOr(FailureRecord),
  startedAtMs: Schema.NullOr(TimestampMs),
  finishedAtMs: Schema.NullOr(TimestampMs),
  updatedAtMs: TimestampMs,
  /** Its result was taken from the cache. */
  cached: Schema.Boolean
})
export type Node = typeof Node.Type

export const Attempt = Schema.Struct({
  runId: RunId,
  nodeId: NodeId,
  iteration: Iteration,
  attempt: Schema.Int,
  state: NodeState,
  error: Schema.NullOr(FailureRecord),
  startedAtMs: TimestampMs,
  finishedAtMs: Schema.NullOr(TimestampMs),
  heartbeatAtMs: Schema.NullOr(TimestampMs),
  /** Its result was taken from the cache; nothing was executed. */
  cached: Schema.Boolean
})
export type Attempt = typeof Attempt.Type

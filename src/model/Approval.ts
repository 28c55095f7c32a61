import { Schema } from "effect"
import { Iteration, NodeId, RunId, TimestampMs, WorkflowName } from "./Ids.ts"

export const ApprovalStatus = Schema.Literal("requested", "approved", "denied", "cancelled")

/** A person's decision that a run waits for, bound to the hash of exactly what was shown. */
export const Approval = Schema.Struct({
  runId: RunId,
  workflow: WorkflowName,
  nodeId: NodeId,
  iteration: Iteration,
  title: Schema.String,
  summary: Schema.NullOr(Schema.String),
  payload: Schema.Unknown,
  /** SHA-256 (hex) of the JSON text of `payload` as stored. */
  payloadSha256: Schema.String,
  owner: Schema.NullOr(Schema.String),
  fallbackOwner: Schema.NullOr(Schema.String),
  allowedScopes: Schema.Array(Schema.String),
  allowedUsers: Schema.Array(Schema.String),
  status: ApprovalStatus,
  requestedAtMs: TimestampMs,
  decidedAtMs: Schema.NullOr(TimestampMs),
  decidedBy: Schema.NullOr(Schema.String),
  note: Schema.NullOr(Schema.String),
  /** The decision value as the approver sent it. */
  decision: Schema.Unknown
})
export type Approval = typeof Approval.Type

/** What `Approval.request` returns to the workflow, and the stored output of its node. */
export const ApprovalOutcome = Schema.Struct({
  approved: Schema.Boolean,
  note: Schema.NullOr(Schema.String),
  decidedBy: Schema.String,
  decidedAt: Schema.String,
  value: Schema.optional(Schema.Unknown)
})
export type ApprovalOutcome = typeof ApprovalOutcome.Type

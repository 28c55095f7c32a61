import { Rpc, RpcGroup } from "@effect/rpc"
import { Schema } from "effect"
import { Bounds, Iteration, NodeId, RunId, TimestampMs, WorkflowName } from "../../model/index.ts"
import { Aliases, ForTenants, RequiredScope } from "./Annotations.ts"
import { failures } from "./Failure.ts"

const NullableString = Schema.NullOr(Schema.String)

export const ApprovalRow = Schema.Struct({
  runId: RunId,
  workflowKey: WorkflowName,
  nodeId: NodeId,
  iteration: Iteration,
  requestTitle: Schema.String,
  requestSummary: NullableString,
  requestedAtMs: TimestampMs,
  approvalMode: Schema.Literal("gate", "decision", "select", "rank"),
  options: Schema.Array(Schema.Struct({ key: Schema.String, label: Schema.String })),
  allowedScopes: Schema.Array(Schema.String),
  allowedUsers: Schema.Array(Schema.String),
  autoApprove: Schema.Null,
  /** The rest is ours: what is to be approved, the hash that binds a decision to it, and whose decision it is. */
  payload: Schema.Unknown,
  payloadSha256: Schema.String,
  owner: NullableString,
  fallbackOwner: NullableString
})
export type ApprovalRow = typeof ApprovalRow.Type

const TenantId = Schema.String.pipe(Schema.maxLength(128))
const limit = Schema.Int.pipe(Schema.between(1, Bounds.pageRows))

const filterFields = {
  runId: Schema.optional(RunId),
  workflow: Schema.optional(WorkflowName),
  /** These two are ours. */
  orgId: Schema.optional(TenantId),
  projectId: Schema.optional(TenantId),
  limit: Schema.optional(limit)
}

export const ListApprovals = Rpc.make("listApprovals", {
  payload: { filter: Schema.optional(Schema.Struct(filterFields)), ...filterFields },
  success: Schema.Array(ApprovalRow),
  error: failures()
}).annotate(ForTenants, "own").annotate(RequiredScope, "approval:read").annotate(Aliases, ["approvals.list"])

const Note = Schema.String.pipe(Schema.maxLength(Bounds.noteChars))

export const SubmitApproval = Rpc.make("submitApproval", {
  payload: Schema.Struct({
    runId: RunId,
    nodeId: NodeId,
    iteration: Schema.optionalWith(Iteration, { default: () => 0 }),
    approved: Schema.optional(Schema.Boolean),
    /** `value`, if there, is what the workflow is handed, else the whole object. */
    decision: Schema.optional(Schema.Struct(
      {
        approved: Schema.optional(Schema.Boolean),
        note: Schema.optional(Note),
        value: Schema.optional(Schema.Unknown)
      },
      { key: Schema.String, value: Schema.Unknown }
    )),
    note: Schema.optional(Note),
    /** When given, the decision holds only for exactly what was shown; ours. */
    payloadSha256: Schema.optional(Schema.String.pipe(Schema.pattern(/^[0-9a-f]{64}$/)))
  }),
  success: Schema.Struct({ runId: RunId, nodeId: NodeId, iteration: Iteration, approved: Schema.Boolean }),
  error: failures("NOT_FOUND", "AlreadyDecided", "CONFLICT")
}).annotate(ForTenants, "run").annotate(RequiredScope, "approval:submit").annotate(Aliases, ["approvals.decide"])

/** Approvals: what waits for a person, and the decision. */
export const ApprovalRpcs = RpcGroup.make(ListApprovals, SubmitApproval)

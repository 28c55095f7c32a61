import { Rpc, RpcGroup } from "@effect/rpc"
import { Schema } from "effect"
import { Bounds, IdempotencyKey, RunId, RunStatus, StartedBy, WorkflowName } from "../../model/index.ts"
import { Aliases, ForTenants, RequiredScope } from "./Annotations.ts"
import { failures } from "./Failure.ts"
import { RunDetail, RunRow } from "./RunRow.ts"

const TenantId = Schema.String.pipe(Schema.maxLength(128))
const positive = Schema.Int.pipe(Schema.positive())

/** An unknown member of `startedBy` is refused, not dropped: it is kept with the run as the caller's word. */
const StrictStartedBy = StartedBy.annotations({ parseOptions: { onExcessProperty: "error" } })

export const LaunchRun = Rpc.make("launchRun", {
  payload: {
    workflow: WorkflowName,
    /** What is not an object counts as `{}`. */
    input: Schema.optional(Schema.Unknown),
    runId: Schema.optional(RunId),
    /** Whose it is to be, and of which project; the caller's own unless given. Ours. */
    orgId: Schema.optional(TenantId),
    projectId: Schema.optional(TenantId),
    options: Schema.optional(Schema.Struct({
      runId: Schema.optional(RunId),
      idempotencyKey: Schema.optional(IdempotencyKey),
      maxConcurrency: Schema.optional(positive),
      allowNetwork: Schema.optional(Schema.Boolean),
      maxOutputBytes: Schema.optional(positive),
      toolTimeoutMs: Schema.optional(positive),
      startedBy: Schema.optional(StrictStartedBy)
    }))
  },
  success: Schema.Struct({
    runId: RunId,
    workflow: WorkflowName,
    system: Schema.Boolean,
    /** The idempotency key named an earlier run, and nothing was started; ours. */
    existing: Schema.Boolean
  }),
  error: failures("NOT_FOUND", "CONFLICT", "QUOTA_EXCEEDED")
}).annotate(ForTenants, "own").annotate(RequiredScope, "run:write").annotate(Aliases, ["runs.create"])

export const GetRun = Rpc.make("getRun", {
  payload: { runId: RunId },
  success: RunDetail,
  error: failures("NOT_FOUND")
}).annotate(ForTenants, "run").annotate(RequiredScope, "run:read").annotate(Aliases, ["runs.get"])

const ListFilter = Schema.Struct({
  status: Schema.optional(RunStatus),
  limit: Schema.optional(Schema.Int.pipe(Schema.between(1, Bounds.pageRows))),
  offset: Schema.optional(Schema.NonNegativeInt),
  workflow: Schema.optional(WorkflowName),
  parentRunId: Schema.optional(RunId),
  /** These two are ours. */
  orgId: Schema.optional(TenantId),
  projectId: Schema.optional(TenantId),
  includeSystem: Schema.optional(Schema.Boolean)
})

export const ListRuns = Rpc.make("listRuns", {
  payload: { filter: Schema.optional(ListFilter) },
  success: Schema.Array(RunRow),
  error: failures()
}).annotate(ForTenants, "own").annotate(RequiredScope, "run:read").annotate(Aliases, ["runs.list"])

export const ListRunDescendants = Rpc.make("listRunDescendants", {
  payload: { runId: RunId, limit: Schema.optional(Schema.Int.pipe(Schema.between(1, Bounds.pageRows))) },
  success: Schema.Array(Schema.Struct({
    runId: RunId,
    parentRunId: Schema.NullOr(RunId),
    depth: Schema.Int
  })),
  error: failures("NOT_FOUND")
}).annotate(ForTenants, "run").annotate(RequiredScope, "run:read").annotate(Aliases, ["runs.descendants"])

export const CancelRun = Rpc.make("cancelRun", {
  payload: { runId: RunId },
  success: Schema.Struct({ runId: RunId, status: Schema.Literal("cancelling", "cancelled", "already-terminal") }),
  error: failures("RunNotFound", "RUN_NOT_ACTIVE")
}).annotate(ForTenants, "run").annotate(RequiredScope, "run:write").annotate(Aliases, ["runs.cancel"])

export const PauseRun = Rpc.make("pauseRun", {
  payload: { runId: RunId },
  success: Schema.Struct({ runId: RunId, status: Schema.Literal("pausing") }),
  error: failures("RunNotFound", "RUN_NOT_ACTIVE")
}).annotate(ForTenants, "run").annotate(RequiredScope, "run:write").annotate(Aliases, ["runs.pause"])

export const ResumeRun = Rpc.make("resumeRun", {
  payload: {
    runId: RunId,
    options: Schema.optional(Schema.Struct({ force: Schema.optional(Schema.Boolean) }))
  },
  success: Schema.Struct({ runId: RunId, status: Schema.Literal("already_terminal", "resume_requested") }),
  error: failures("NOT_FOUND")
}).annotate(ForTenants, "run").annotate(RequiredScope, "run:write")

/** Removes an ended run and everything that hangs on it; ours. */
export const DeleteRun = Rpc.make("runs.delete", {
  payload: { runId: RunId },
  success: Schema.Struct({ runId: RunId, deleted: Schema.Literal(true) }),
  error: failures("NOT_FOUND", "RUN_ACTIVE")
}).annotate(ForTenants, "run").annotate(RequiredScope, "run:admin")

/** Runs: launch, look, steer, remove. */
export const RunRpcs = RpcGroup.make(
  LaunchRun,
  GetRun,
  ListRuns,
  ListRunDescendants,
  CancelRun,
  PauseRun,
  ResumeRun,
  DeleteRun
)

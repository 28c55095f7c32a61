import { Rpc, RpcGroup } from "@effect/rpc"
import { Schema } from "effect"
import { Iteration, NodeId, RunId, TimestampMs } from "../../model/index.ts"
import { Aliases, ForTenants, RequiredScope } from "./Annotations.ts"
import { failures } from "./Failure.ts"

const NullableInt = Schema.NullOr(Schema.Int)
const NullableTime = Schema.NullOr(TimestampMs)

/** What sandboxes changed: unified diffs, and whole contents (base64) of what is no text. */
export const DiffBundle = Schema.Struct({
  seq: Schema.Int,
  baseRef: Schema.String,
  patches: Schema.Array(Schema.Struct({
    path: Schema.String,
    operation: Schema.Literal("add", "modify", "delete"),
    diff: Schema.String,
    binaryContent: Schema.optional(Schema.String)
  }))
})
export type DiffBundle = typeof DiffBundle.Type

/** Instead of more than 50 MiB. */
export const OversizedDiff = Schema.Struct({
  status: Schema.Literal("oversized"),
  baseRef: Schema.String,
  terminalRef: Schema.String,
  sizeBytes: Schema.Int,
  maxBytes: Schema.Int
})
export type OversizedDiff = typeof OversizedDiff.Type

/** What the sandbox of a node changed; `AttemptNotFinished` when nothing is recorded. */
export const GetNodeDiff = Rpc.make("getNodeDiff", {
  payload: Schema.Struct({
    runId: RunId,
    nodeId: NodeId,
    iteration: Schema.optionalWith(Iteration, { default: () => 0 })
  }),
  success: DiffBundle,
  error: failures(
    "InvalidRunId",
    "InvalidNodeId",
    "InvalidIteration",
    "RunNotFound",
    "NodeNotFound",
    "AttemptNotFinished",
    "DiffTooLarge"
  )
}).annotate(ForTenants, "run").annotate(RequiredScope, "run:read").annotate(Aliases, ["devtools.getNodeDiff"])

/** The same of all nodes of a run, in the order in which they were done. */
export const GetRunDiff = Rpc.make("getRunDiff", {
  payload: { runId: RunId },
  success: Schema.Union(DiffBundle, OversizedDiff),
  error: failures("InvalidRunId", "RunNotFound", "AttemptNotFinished")
}).annotate(ForTenants, "run").annotate(RequiredScope, "run:read")

/** What a runtime really enforces, found out from inside. */
export const SandboxProof = Schema.Struct({
  runtime: Schema.String,
  policyHash: Schema.String,
  provedAtMs: TimestampMs,
  controls: Schema.Array(Schema.Struct({
    control: Schema.String,
    asked: Schema.Boolean,
    enforced: Schema.Boolean,
    evidence: Schema.String
  }))
})
export type SandboxProof = typeof SandboxProof.Type

/** One attempt at a sandbox. */
export const SandboxRow = Schema.Struct({
  runId: RunId,
  sandboxId: Schema.String,
  attempt: Schema.Int,
  runtime: Schema.String,
  status: Schema.Literal("pending", "shipped", "finished", "failed", "cancelled"),
  /** Directories of the host in it are null unless the caller holds `run:admin`. */
  policy: Schema.Record({ key: Schema.String, value: Schema.Unknown }),
  /** Null: the runtime isolates nothing. */
  proof: Schema.NullOr(SandboxProof),
  requestBytes: Schema.Int,
  resultBytes: NullableInt,
  patchCount: NullableInt,
  /** Digest of what it changed. */
  changeSet: Schema.NullOr(Schema.String),
  error: Schema.NullOr(Schema.String),
  createdAtMs: TimestampMs,
  heartbeatAtMs: NullableTime,
  finishedAtMs: NullableTime
})
export type SandboxRow = typeof SandboxRow.Type

/** Those of a run, oldest first, at most 1,000. */
export const ListSandboxes = Rpc.make("sandboxes.list", {
  payload: { runId: RunId },
  success: Schema.Array(SandboxRow),
  error: failures("NOT_FOUND")
}).annotate(ForTenants, "run").annotate(RequiredScope, "run:read")

/** Where commands are executed. */
export const SandboxRuntimeName = Schema.Literal("bubblewrap", "docker", "podman", "process", "remote")

/** Proves the strictest policy on a runtime, the configured one unless given. Takes some seconds. */
export const VerifySandbox = Rpc.make("sandbox.verify", {
  payload: {
    runtime: Schema.optional(SandboxRuntimeName),
    /** A container engine needs one. */
    image: Schema.optional(Schema.String)
  },
  success: SandboxProof,
  error: failures("UnsupportedSandbox")
}).annotate(RequiredScope, "run:admin")

/** Sandboxes and what they changed; all but the diffs is ours. */
export const SandboxRpcs = RpcGroup.make(GetNodeDiff, GetRunDiff, ListSandboxes, VerifySandbox)

import { type Effect, Schema } from "effect"
import type { RunEventType, Tenant } from "../model/index.ts"
import type { Write } from "../persistence/index.ts"
import type { SecretRef } from "../secrets/index.ts"
import { SandboxFailed } from "./SandboxFailed.ts"
import type * as SandboxPolicy from "./SandboxPolicy.ts"
import type { RuntimeName } from "./SandboxRuntime.ts"

/** The files that a command gets a copy of. */
export interface Files {
  /** Absolute path of a directory. `.git` and `.smithers` are never part of the copy. */
  readonly from: string
  /** What else is left out: a path with a `/` names one place, a name without one every place. */
  readonly exclude?: ReadonlyArray<string> | undefined
}

/** How the node of this service executes a workflow within a sandbox. */
export interface WorkflowProgram {
  /**
   * A script and its arguments. It finds the input in the file of `SMITHERS_SANDBOX_REQUEST_PATH`, and writes what became
   * of the workflow to that of `SMITHERS_SANDBOX_RESULT_PATH`.
   */
  readonly command: ReadonlyArray<string>
  /** Absolute paths of what it is made of; the sandbox can read them. */
  readonly code: ReadonlyArray<string>
}

/** What is executed, and how it is confined. */
export interface SandboxRequest {
  readonly runId: string
  /** Whose the run is; the operator's unless given. */
  readonly tenant?: Tenant | null | undefined
  /** Node of the run that it belongs to. */
  readonly nodeId: string
  readonly iteration: number
  /** From 1; equal requests of a run are told apart by it. */
  readonly attempt: number
  /** The configured one unless given. */
  readonly runtime?: RuntimeName | undefined
  /** Program and arguments; this or `workflow`. */
  readonly command?: ReadonlyArray<string> | undefined
  /** Key of a workflow that was offered, executed there by an engine of its own. */
  readonly workflow?: string | undefined
  /** Handed over as JSON in the file that `SMITHERS_SANDBOX_REQUEST_PATH` names. */
  readonly input: unknown
  /** What the command reads from its standard input; at most 16 MiB. */
  readonly stdin?: string | undefined
  readonly policy: SandboxPolicy.Input
  /** The whole environment besides what the runtime needs; may be stored and shown. */
  readonly env?: Readonly<Record<string, string>> | undefined
  /** Resolved when the command starts, known to nobody else. */
  readonly secrets?: Readonly<Record<string, SecretRef.SecretRef>> | undefined
  readonly files?: Files | undefined
  /** Commits what tells of the sandbox under the fence of its run. */
  readonly record: (
    type: RunEventType,
    data: Readonly<Record<string, unknown>>,
    units: ReadonlyArray<Write.Write<unknown>>
  ) => Effect.Effect<void>
}

/** What a sandbox came to. */
export const Executed = Schema.Struct({
  sandboxId: Schema.String,
  runtime: Schema.String,
  /** What the command handed over; null when it handed over nothing. */
  outputs: Schema.Unknown,
  /** Digest of what it changed; null when it changed nothing. */
  changeSet: Schema.NullOr(Schema.String),
  patchCount: Schema.Int,
  durationMs: Schema.Number
})
export type Executed = typeof Executed.Type

/** How a sandbox is called in paths, rows and events. */
export const sandboxIdOf = ({ iteration, nodeId }: Pick<SandboxRequest, "nodeId" | "iteration">): string =>
  iteration === 0 ? nodeId : `${nodeId}@${iteration}`

/** The failure of a sandbox. */
export const failed = (
  sandboxId: string,
  reason: SandboxFailed["reason"],
  detail: string
): SandboxFailed => new SandboxFailed({ sandboxId, reason, detail, versions: [] })

import { Context, Effect, Schema } from "effect"
import type { Tenant } from "../model/index.ts"
import type { ControlProof } from "./Proof.ts"
import { type ControlNotEnforced, type PolicyInvalid, type RuntimeFailed, RuntimeUnavailable } from "./RuntimeError.ts"
import type { SandboxPolicy } from "./SandboxPolicy.ts"

export const RuntimeName = Schema.Literal("bubblewrap", "docker", "podman", "process", "remote")
export type RuntimeName = typeof RuntimeName.Type

/** A piece of output, at most 64 KiB. */
export interface OutputChunk {
  readonly stream: "stdout" | "stderr"
  readonly bytes: Uint8Array
}

/** What to run. */
export interface Spec {
  /** Program and arguments, 1 to 1,024 of together 128 KiB. Visible to other processes of the host: no place for a secret. */
  readonly command: ReadonlyArray<string>
  /**
   * Given: the command is a script and its arguments for the node that this service runs on, and these files and
   * directories of the host, the code it is made of, are there, at the same places and readable only. At most 64
   * absolute paths. Only for a runtime that `runsOwnCode`.
   */
  readonly ownCode?: ReadonlyArray<string> | undefined
  /** Absolute path of a directory; the sandbox has it as `/workspace`, its working directory. */
  readonly workspace: string
  /** All that the command finds in its environment besides `PATH`, `HOME` and what the proxy needs. At most 256 KiB. */
  readonly env: Readonly<Record<string, string>>
  /** What the command reads from standard input; absent: nothing. At most 16 MiB. */
  readonly stdin?: Uint8Array | undefined
  readonly policy: SandboxPolicy
  /** What it is run for, as a record of who got it says. */
  readonly runFor?:
    | { readonly runId: string; readonly sandboxId: string; readonly tenant?: Tenant | null | undefined }
    | undefined
  /** Gets the output as it comes; the command waits while it works. */
  readonly onOutput: (chunk: OutputChunk) => Effect.Effect<void>
}

/** Why the command is no longer running. */
export type EndReason =
  | "exited"
  /** Killed at `timeout`. */
  | "timeout"
  /** Killed at `memoryLimit`. */
  | "memory"
  /** Killed at 262,144 files. */
  | "disk"
  /** Killed at `maxOutputBytes`. */
  | "output"
  /** Killed by somebody else. */
  | "killed"

/** How a command ended. Whatever the reason, none of its processes is left. */
export interface Outcome {
  readonly reason: EndReason
  /** As a shell gives it: 128 + signal for a command that died of one. Null unless `exited`. */
  readonly exitCode: number | null
  /** From the first instruction of the command to its end. */
  readonly durationMs: number
  readonly outputBytes: number
  /** Whether there was more output than `maxOutputBytes`. */
  readonly outputTruncated: boolean
  /** What the command left in the workspace and no copy can have (FIFOs, sockets, names beyond bounds); the first 100. */
  readonly skipped: ReadonlyArray<string>
}

export type RunError = PolicyInvalid | ControlNotEnforced | RuntimeUnavailable | RuntimeFailed

/** A way to run commands that nobody trusts. */
export interface Runtime {
  readonly name: RuntimeName
  /** False: the command can do whatever this service can. */
  readonly isolated: boolean
  /** Whether it can be given this service's own node and code (`Spec.ownCode`). */
  readonly runsOwnCode: boolean
  /** Succeeds when it works here; else says what is missing. Starts a real sandbox to find out. */
  readonly check: Effect.Effect<void, RuntimeUnavailable>
  /** Fails when the policy asks for a control that the runtime has no means for. Starts nothing. */
  readonly supports: (policy: SandboxPolicy) => Effect.Effect<void, ControlNotEnforced>
  /**
   * What a runtime on another machine found out there with a `Probe` of its own; this machine's has nothing there that
   * must not be reached. Absent: the probe's program is run in the runtime.
   */
  readonly prove?: (policy: SandboxPolicy) => Effect.Effect<ReadonlyArray<ControlProof>, RunError>
  /**
   * Runs a command to its end. When it is interrupted every process of the sandbox is killed, within a second.
   *
   * The workspace changes only when the command ended by itself, and then at once (bubblewrap); `process` and the
   * container engines work in it directly.
   */
  readonly run: (spec: Spec) => Effect.Effect<Outcome, RunError>
}

/** The runtimes of this service by name. */
export class SandboxRuntime extends Context.Tag("smithers-orchestrator/sandbox/SandboxRuntime")<SandboxRuntime, {
  readonly names: ReadonlyArray<RuntimeName>
  /** Fails for a name that no layer supplied. */
  readonly get: (name: RuntimeName) => Effect.Effect<Runtime, RuntimeUnavailable>
}>() {}

/** The runtimes that are given, by name. */
export const of = (runtimes: ReadonlyArray<Runtime>): SandboxRuntime["Type"] => ({
  names: runtimes.map(({ name }) => name),
  get: (name) => {
    const found = runtimes.find((runtime) => runtime.name === name)
    return found === undefined
      ? new RuntimeUnavailable({
        runtime: name,
        reason: "Unknown",
        detail: `There are ${runtimes.map(({ name }) => name).join(", ")}.`
      })
      : Effect.succeed(found)
  }
})

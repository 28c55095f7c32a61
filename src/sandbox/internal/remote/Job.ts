import { Deferred, Effect, FiberId, type Scope } from "effect"
import type { ControlProof } from "../../Proof.ts"
import { type Limits, limitsOf, type SandboxPolicy } from "../../SandboxPolicy.ts"
import type { Outcome, RunError, Spec } from "../../SandboxRuntime.ts"
import type { Tree } from "../../Tree.ts"

export type Files = Tree["files"]

/** What a job came to. */
export interface Ended {
  readonly controls: ReadonlyArray<ControlProof>
  /** Absent of a job that was a proof only. */
  readonly outcome?: Outcome
  readonly files: Files
}

/** A command with all that it needs, by hash. */
export interface Command {
  readonly spec: Spec
  /** Contents of the workspace, in the store. */
  readonly base: Files
  /** What is small and nobody's business but the worker's: held in memory, by hash. */
  readonly held: ReadonlyMap<string, Uint8Array>
  readonly tree: string
  readonly stdin: string | null
}

/** An upload that is going on. */
export interface Upload {
  readonly sha256: string
  received: number
  /** Null: there is no more. */
  readonly give: (piece: Uint8Array | null) => Effect.Effect<void>
  /** Ends when the content is in the store. */
  readonly stored: Effect.Effect<{ readonly sha256: string; readonly bytes: number }, { readonly message: string }>
  readonly stop: Effect.Effect<void>
}

/** Something a worker is to do; waiting, or held by one worker. What changes here changes at once, between two steps. */
export class Job {
  readonly jobId: string
  readonly policy: SandboxPolicy
  readonly limits: Limits
  /** Absent: the policy is to be proved, and nothing run. */
  readonly command: Command | undefined
  readonly scope: Scope.Scope
  readonly queuedAtMs: number
  readonly end = Deferred.unsafeMake<Ended, RunError>(FiberId.none)
  /** What a worker sends of one job is looked at one by one. */
  readonly turn = Effect.unsafeMakeSemaphore(1)
  /** The token that leased it; undefined while it waits. */
  holder: string | undefined
  /** The worker of that token. */
  worker: string | undefined
  leasedAtMs = 0
  heardAtMs = 0
  controls: ReadonlyArray<ControlProof> | undefined
  isCancelled = false
  /** Pieces of output that were taken. */
  pieces = 0
  outputBytes = 0
  /** What was uploaded in all, and the contents that are stored and verified, with their sizes. */
  uploadedBytes = 0
  readonly uploaded = new Map<string, number>()
  upload: Upload | undefined

  constructor(
    options: Pick<Job, "jobId" | "policy" | "command" | "scope" | "queuedAtMs">
  ) {
    this.jobId = options.jobId
    this.policy = options.policy
    this.limits = limitsOf(options.policy)
    this.command = options.command
    this.scope = options.scope
    this.queuedAtMs = options.queuedAtMs
  }

  lease(holder: string, worker: string, nowMs: number): void {
    this.holder = holder
    this.worker = worker
    this.leasedAtMs = nowMs
    this.heardAtMs = nowMs
  }

  unlease(): void {
    this.holder = undefined
    this.worker = undefined
  }
}

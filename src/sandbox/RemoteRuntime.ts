import { FileSystem } from "@effect/platform"
import { Clock, Deferred, Effect, Exit, Fiber, type Scope } from "effect"
import { randomUUID } from "node:crypto"
import { BlobStore } from "./BlobStore.ts"
import { sha256 } from "./internal/bundle/Digest.ts"
import { type Command, type Ended, Job } from "./internal/remote/Job.ts"
import { type Jobs, leaseMs, maxWaiting } from "./internal/remote/Jobs.ts"
import { encodeManifest } from "./internal/remote/resultFiles.ts"
import { checkSpec } from "./internal/runtime/checkSpec.ts"
import { swapWorkspace } from "./internal/runtime/Workspace.ts"
import { ControlNotEnforced, RuntimeFailed, RuntimeUnavailable } from "./RuntimeError.ts"
import type { SandboxPolicy } from "./SandboxPolicy.ts"
import type { RunError, Runtime, Spec } from "./SandboxRuntime.ts"
import * as Tree from "./Tree.ts"

const runtime = "remote"

/** What a worker may need besides the command's time: proof, files there and back. */
const overheadMs = 600_000

const nobody = new RuntimeUnavailable({
  runtime,
  reason: "Missing",
  detail: `No worker that could take it was there in the last ${leaseMs / 1_000} s: start \`smithers worker\`.`
})

const lost = (detail: string) => new RuntimeFailed({ runtime, reason: "WorkerLost", detail })

/** The runtime whose commands run wherever a worker takes them. Isolated: a worker that has not proved it runs nothing. */
export const makeRuntime = (jobs: Jobs, blobs: BlobStore["Type"], fs: FileSystem.FileSystem): Runtime => {
  /** Ends when nobody can be expected to do the job any more. */
  const watch = (job: Job): Effect.Effect<never, RunError> =>
    Effect.gen(function*() {
      while (true) {
        const nowMs = yield* Clock.currentTimeMillis
        const isLeased = job.holder !== undefined
        const heardAtMs = isLeased ? job.heardAtMs : Math.max(job.queuedAtMs, jobs.heardAtMs(job.policy, nowMs) ?? 0)
        if (nowMs - heardAtMs >= leaseMs) {
          return yield* isLeased ? lost(`The worker gave no sign of life for ${leaseMs / 1_000} s.`) : nobody
        }
        if (isLeased && nowMs - job.leasedAtMs >= job.limits.timeout + overheadMs) {
          return yield* lost("The worker takes far longer than the command may.")
        }
        yield* Effect.sleep(heardAtMs + leaseMs - nowMs)
      }
    })

  const ended = (job: Job) => Effect.raceFirst(Deferred.await(job.end), watch(job))

  /** Queues a job and waits for its end; interrupted, until the worker says that it has killed everything, or is lost. */
  const execute = (policy: SandboxPolicy, command: Command | undefined): Effect.Effect<Ended, RunError, Scope.Scope> =>
    Effect.gen(function*() {
      const scope = yield* Effect.scope
      const queuedAtMs = yield* Clock.currentTimeMillis
      return yield* Effect.acquireUseRelease(
        Effect.suspend(() => {
          const job = new Job({ jobId: randomUUID(), policy, command, scope, queuedAtMs })
          return jobs.add(job, queuedAtMs)
            ? Effect.succeed(job)
            : new RuntimeUnavailable({ runtime, reason: "Busy", detail: `${maxWaiting} jobs wait already.` })
        }),
        ended,
        (job, exit) =>
          Effect.suspend(() => {
            if (job.holder === undefined || !Exit.isInterrupted(exit)) return Effect.void
            job.isCancelled = true
            // A fiber of its own: this one is being interrupted, and could not wait and be woken.
            return Effect.flatMap(Effect.forkDaemon(Effect.interruptible(ended(job))), Fiber.await)
          }).pipe(Effect.ensuring(Effect.sync(() => jobs.remove(job))))
      )
    })

  const check = Effect.flatMap(
    Clock.currentTimeMillis,
    (nowMs) => jobs.isAnyThere(nowMs) ? Effect.void : nobody
  )

  const supports = (policy: SandboxPolicy): Effect.Effect<void, ControlNotEnforced> =>
    Effect.flatMap(Clock.currentTimeMillis, (nowMs) => {
      const unsupported = (control: string, detail: string) =>
        new ControlNotEnforced({ runtime, control, reason: "Unsupported", detail })
      if (policy.volumes.length > 0) return unsupported("volumes", "they are directories of this machine.")
      if (policy.ports.length > 0) return unsupported("ports", "they are ports of this machine.")
      const [refused] = jobs.refusedByAll(policy, nowMs)
      return refused === undefined ? Effect.void : unsupported(refused, "no worker that is there has means for it.")
    })

  const unreadable = (cause: { readonly message: string }) =>
    new RuntimeFailed({ runtime, reason: "WorkspaceUnreadable", detail: cause.message })

  const run = Effect.fn("RemoteRuntime.run")(
    function*(spec: Spec) {
      yield* checkSpec(spec)
      yield* supports(spec.policy)
      yield* check
      const { files: base } = yield* Effect.mapError(Tree.record(spec.workspace), unreadable)
      const manifest = Buffer.from(yield* Effect.mapError(encodeManifest(base), unreadable))
      const stdin = spec.stdin
      const held = [manifest, ...(stdin === undefined ? [] : [stdin])].map((bytes) => [sha256(bytes), bytes] as const)
      const { files, outcome } = yield* execute(spec.policy, {
        spec,
        base,
        held: new Map(held),
        tree: sha256(manifest),
        stdin: stdin === undefined ? null : sha256(stdin)
      })
      if (outcome === undefined) return yield* lost("The worker ended it as a proof.")
      if (outcome.reason === "exited") {
        const { workspace } = spec
        yield* swapWorkspace({ runtime, workspace, fill: (path) => Tree.materialize({ files }, path) })
      }
      return outcome
    },
    Effect.scoped,
    Effect.provideService(BlobStore, blobs),
    Effect.provideService(FileSystem.FileSystem, fs)
  )

  return {
    name: runtime,
    isolated: true,
    runsOwnCode: false,
    check,
    supports,
    prove: Effect.fn("RemoteRuntime.prove")(
      function*(policy: SandboxPolicy) {
        yield* check
        return (yield* execute(policy, undefined)).controls
      },
      Effect.scoped
    ),
    run
  }
}

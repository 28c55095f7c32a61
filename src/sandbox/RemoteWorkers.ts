import { FileSystem } from "@effect/platform"
import { Clock, Context, Deferred, Effect, Layer } from "effect"
import { Audit } from "../audit/index.ts"
import type { Actor } from "../model/index.ts"
import { BlobStore } from "./BlobStore.ts"
import type { Ended, Job } from "./internal/remote/Job.ts"
import { Jobs } from "./internal/remote/Jobs.ts"
import { judged } from "./internal/remote/requiredControls.ts"
import { resultFiles } from "./internal/remote/resultFiles.ts"
import { takePiece } from "./internal/remote/Uploads.ts"
import type { ControlProof } from "./Proof.ts"
import { makeRuntime } from "./RemoteRuntime.ts"
import { ControlNotEnforced, RuntimeFailed, RuntimeUnavailable } from "./RuntimeError.ts"
import type { SandboxPolicy } from "./SandboxPolicy.ts"
import type { EndReason, OutputChunk, RunError, Runtime } from "./SandboxRuntime.ts"
import { WorkerRefused } from "./WorkerRefused.ts"

export { decodeManifest, encodeManifest } from "./internal/remote/resultFiles.ts"

/** A worker that asks for work. */
export interface Asking {
  readonly workerId: string
  /** Whose token it has. */
  readonly actor: Actor
  /** Controls that its runtime has no means for. */
  readonly refuses: ReadonlyArray<string>
  /** How long to wait for a job, 0 to 20,000. */
  readonly waitMs: number
}

/** What a worker is to do. */
export interface Assignment {
  readonly jobId: string
  readonly policy: SandboxPolicy
  /** Null: the policy is to be proved, and nothing run. */
  readonly command: {
    readonly command: ReadonlyArray<string>
    /** With the values of secrets; never stored. */
    readonly env: Readonly<Record<string, string>>
    /** Hash of the list of files. */
    readonly tree: string
    readonly stdin: string | null
  } | null
}

/** How a command ended on a worker. */
export interface Ending {
  readonly reason: EndReason
  readonly exitCode: number | null
  readonly durationMs: number
  readonly outputTruncated: boolean
  /** Hash of the uploaded list of files; null unless `exited`. */
  readonly tree: string | null
}

/** Why there is no ending. */
export interface Failing {
  readonly reason: "ControlNotEnforced" | "Unavailable" | "Failed" | "Stopped"
  /** The control that is not enforced, else empty. */
  readonly control: string
  readonly detail: string
}

/**
 * The side of the service to workers elsewhere: they lease jobs, prove the policy, fetch the files, hand over output and
 * result. Whatever they send is hostile input. A job belongs to the token that leased it: for any other it does not exist.
 *
 *     queued ─lease─► leased ─prove─► proved ─output, put*─complete─► ended
 *        ▲              │ 15 s without a sign: WorkerLost (at least once: the retry policy of the task decides)
 *        └ not delivered┘
 *
 * Everything is in memory: after a restart of the service its jobs are gone, workers are told so and the steps run again.
 */
export class RemoteWorkers extends Context.Tag("smithers-orchestrator/sandbox/RemoteWorkers")<RemoteWorkers, {
  /** The runtime `remote`: runs what it is given on a worker that has proved the policy. */
  readonly runtime: Runtime
  /**
   * A job, or undefined when there was none in time. One question of a worker at once: an older one is answered with
   * nothing. Asking again before the proof gives the same job; after it, the job is lost. Who got which sandbox of which
   * run is in the audit (`sandbox.lease`) before it is given; a job that could not be handed over then is given again.
   */
  readonly lease: (holder: string, asking: Asking) => Effect.Effect<Assignment | undefined, WorkerRefused>
  /** What the worker's probe says of the policy; true: go on. Fails the job when an asked control does not hold. */
  readonly prove: (
    holder: string,
    jobId: string,
    controls: ReadonlyArray<ControlProof>
  ) => Effect.Effect<boolean, WorkerRefused>
  /** At most 256 KiB of a content of the job, and its size. */
  readonly get: (
    holder: string,
    jobId: string,
    sha256: string,
    offset: number
  ) => Effect.Effect<{ readonly bytes: Uint8Array; readonly size: number }, WorkerRefused>
  /** A piece of a content that the command left. The same piece again is taken once. */
  readonly put: (
    holder: string,
    jobId: string,
    piece: { readonly sha256: string; readonly offset: number; readonly bytes: Uint8Array; readonly last: boolean }
  ) => Effect.Effect<void, WorkerRefused>
  /** Output number `seq`, from 0 on; the same again is taken once. Together at most the policy's `maxOutputBytes`. */
  readonly output: (
    holder: string,
    jobId: string,
    seq: number,
    chunk: OutputChunk
  ) => Effect.Effect<void, WorkerRefused>
  /** A sign of life, to be given every second; true: stop the command. */
  readonly beat: (holder: string, jobId: string) => Effect.Effect<boolean, WorkerRefused>
  /** The end. Its files are in the workspace once the step goes on, all or none. */
  readonly complete: (holder: string, jobId: string, end: Ending | Failing) => Effect.Effect<void, WorkerRefused>
}>() {}

/** Of a content that is fetched. */
const partBytes = 262_144
/** A piece of output for whoever gets it. */
const pieceBytes = 65_536

const refuse = (reason: WorkerRefused["reason"], field: string, bound: string) =>
  new WorkerRefused({ reason, field, bound })

const errorOf = ({ control, detail, reason }: Failing): RunError => {
  const runtime = "remote"
  switch (reason) {
    case "ControlNotEnforced":
      return new ControlNotEnforced({ runtime, control, reason: "Unproved", detail })
    case "Unavailable":
      return new RuntimeUnavailable({ runtime, reason: "NotWorking", detail })
    case "Failed":
      return new RuntimeFailed({ runtime, reason: "Setup", detail })
    case "Stopped":
      return new RuntimeFailed({ runtime, reason: "WorkerLost", detail })
  }
}

const assignmentOf = ({ command, jobId, policy }: Job): Assignment => ({
  jobId,
  policy,
  command: command === undefined
    ? null
    : { command: command.spec.command, env: command.spec.env, tree: command.tree, stdin: command.stdin }
})

const make = Effect.gen(function*() {
  const blobs = yield* BlobStore
  const fs = yield* FileSystem.FileSystem
  const audit = yield* Audit.Audit
  const jobs = new Jobs()

  /** What cannot be recorded is not given. */
  const record = ({ command, jobId }: Job, { actor, workerId }: Asking) => {
    const { runId, sandboxId, tenant } = command?.spec.runFor ?? { runId: null, sandboxId: null, tenant: null }
    return Effect.orDie(audit.record({
      actor,
      action: "sandbox.lease",
      target: runId === null ? null : `${runId}/${sandboxId}`,
      runId,
      ...tenant,
      outcome: "ok",
      reason: command === undefined ? "proof" : null,
      detail: { worker: workerId, job: jobId }
    }))
  }

  /** The job, if it is that caller's; whoever speaks of it is alive. */
  const held = <A>(holder: string, jobId: string, use: (job: Job) => Effect.Effect<A, WorkerRefused>) =>
    Effect.flatMap(Clock.currentTimeMillis, (nowMs) => {
      const unknown = refuse("UnknownJob", "jobId", "must be a job that this token has leased and that has not ended")
      const job = jobs.find(jobId)
      if (job === undefined || job.holder !== holder) return Effect.fail(unknown)
      jobs.beat(job, nowMs)
      // One by one, and to its end: what was taken in half could not be told apart from what was not.
      return job.turn.withPermits(1)(
        Effect.suspend(() => jobs.find(jobId) === job && job.holder === holder ? use(job) : Effect.fail(unknown))
      ).pipe(Effect.uninterruptible)
    })

  const proved = (job: Job): Effect.Effect<void, WorkerRefused> =>
    job.controls === undefined
      ? refuse("OutOfOrder", "jobId", "the policy is proved before anything else")
      : Effect.void

  const lease = Effect.fn("RemoteWorkers.lease")(function*(holder: string, asking: Asking) {
    const worker = `${holder} ${asking.workerId}`
    const refuses = new Set(asking.refuses)
    const nowMs = yield* Clock.currentTimeMillis
    jobs.hear(worker, refuses, nowMs)
    const before = jobs.heldBy(worker)
    const isOver = before !== undefined && (yield* Deferred.isDone(before.end))
    if (before !== undefined && before.controls === undefined && !before.isCancelled && !isOver) {
      jobs.beat(before, nowMs)
      return assignmentOf(before)
    }
    if (before !== undefined) {
      const detail = "The worker began anew."
      yield* Deferred.fail(before.end, errorOf({ reason: "Stopped", control: "", detail }))
      jobs.remove(before)
    }
    const poller = jobs.poll(worker, holder, refuses, nowMs)
    if (poller === undefined) return yield* refuse("Busy", "workerId", "too many workers ask at once")
    return yield* Deferred.await(poller.given).pipe(
      Effect.timeoutTo({ duration: asking.waitMs, onTimeout: () => undefined, onSuccess: (job) => job }),
      Effect.tap((job) => job === undefined ? Effect.void : record(job, asking)),
      Effect.map((job) => job === undefined ? undefined : assignmentOf(job)),
      Effect.onExit((exit) =>
        Effect.map(Clock.currentTimeMillis, (endMs) => {
          jobs.leave(poller)
          const isDelivered = exit._tag === "Success" && exit.value !== undefined
          if (poller.job !== undefined && !isDelivered) jobs.giveBack(poller.job, endMs)
        })
      )
    )
  })

  const finish = (job: Job, ended: Ended) => Effect.asVoid(Deferred.succeed(job.end, ended))

  return RemoteWorkers.of({
    runtime: makeRuntime(jobs, blobs, fs),
    lease,
    prove: Effect.fn("RemoteWorkers.prove")((holder, jobId, controls) =>
      held(holder, jobId, (job) =>
        Effect.gen(function*() {
          const rows = judged(controls, job.policy)
          if (job.command === undefined) {
            yield* finish(job, { controls: rows, files: [] })
            return true
          }
          const broken = rows.find((row) => row.asked && !row.enforced)
          if (broken !== undefined) {
            const { control, evidence: detail } = broken
            yield* Deferred.fail(job.end, errorOf({ reason: "ControlNotEnforced", control, detail }))
            return false
          }
          job.controls = rows
          return true
        }))
    ),
    get: Effect.fn("RemoteWorkers.get")((holder, jobId, sha256, offset) =>
      held(holder, jobId, (job) =>
        Effect.gen(function*() {
          yield* proved(job)
          const own = job.command?.held.get(sha256)
          if (own !== undefined) return { bytes: own.subarray(offset, offset + partBytes), size: own.length }
          const file = job.command?.base.find((each) => each.sha256 === sha256)
          if (file === undefined) return yield* refuse("OutOfOrder", "sha256", "must be a content of this job")
          const bytes = yield* Effect.orDie(blobs.part(sha256, offset, partBytes))
          return { bytes, size: file.bytes }
        }))
    ),
    put: Effect.fn("RemoteWorkers.put")((holder, jobId, piece) =>
      held(holder, jobId, (job) => Effect.zipRight(proved(job), takePiece(job, piece, blobs)))
    ),
    output: Effect.fn("RemoteWorkers.output")((holder, jobId, seq, { bytes, stream }) =>
      held(holder, jobId, (job) =>
        Effect.gen(function*() {
          yield* proved(job)
          if (seq < job.pieces) return
          if (seq > job.pieces) return yield* refuse("OutOfOrder", "seq", `must be ${job.pieces}`)
          const { maxOutputBytes } = job.limits
          if (job.outputBytes + bytes.length > maxOutputBytes) {
            return yield* refuse("TooLarge", "base64", `all output has at most ${maxOutputBytes} bytes`)
          }
          job.pieces++
          job.outputBytes += bytes.length
          if (job.isCancelled || job.command === undefined) return
          for (let at = 0; at < bytes.length; at += pieceBytes) {
            yield* job.command.spec.onOutput({ stream, bytes: bytes.subarray(at, at + pieceBytes) })
          }
        }))
    ),
    beat: Effect.fn("RemoteWorkers.beat")((holder, jobId) =>
      held(holder, jobId, (job) => Effect.succeed(job.isCancelled))
    ),
    complete: Effect.fn("RemoteWorkers.complete")((holder, jobId, end) =>
      held(holder, jobId, (job) =>
        Effect.gen(function*() {
          if ("detail" in end) return yield* Effect.asVoid(Deferred.fail(job.end, errorOf(end)))
          const { controls, outputBytes } = job
          yield* proved(job)
          const isExited = end.reason === "exited"
          if (isExited !== (end.tree !== null) || isExited !== (end.exitCode !== null)) {
            return yield* refuse("Corrupt", "tree", "tree and exitCode are there if the command exited, and only then")
          }
          const files = end.tree === null ? [] : yield* resultFiles(job, end.tree, blobs)
          const { durationMs, exitCode, outputTruncated, reason } = end
          const outcome = { reason, exitCode, durationMs, outputBytes, outputTruncated, skipped: [] }
          yield* finish(job, { controls: controls ?? [], outcome, files })
        }))
    )
  })
})

/** Workers of this process; nothing of them is stored. */
export const layer = Layer.effect(RemoteWorkers, make)

import { FileSystem, Path } from "@effect/platform"
import { Deferred, Effect, Schedule } from "effect"
import { randomUUID } from "node:crypto"
import type { GatewayError } from "../gateway/client.ts"
import type { Assignment } from "../gateway/contract.ts"
import {
  BlobStore,
  Probe,
  RemoteWorkers,
  RuntimeFailed,
  SandboxPolicy,
  SandboxRuntime,
  Tree
} from "../sandbox/index.ts"
import { WorkerDocument } from "./Documents.ts"
import { Output } from "./Output.ts"
import { isAway, type JobLink, WorkerLink } from "./WorkerLink.ts"

export interface WorkerOptions {
  /** The runtime of this machine that runs the commands. */
  readonly runtime: SandboxRuntime.RuntimeName
  /** Ends after the first command. */
  readonly once: boolean
}

/** How the work on a job ended, other than by its being done. */
type Ending = { readonly _tag: "Cancelled" } | { readonly _tag: "Gone"; readonly error: GatewayError }

const beatEvery = "1 second"
/** Beats that may fail in a row before the command is killed: the service gives the job up after 15 s. */
const missedBeats = 10

const away = Schedule.exponential("250 millis").pipe(Schedule.union(Schedule.spaced("10 seconds")), Schedule.jittered)

/** A policy for each control that a runtime may have no means for. */
const trials: Readonly<Record<string, SandboxPolicy.Input>> = {
  memoryLimit: { memoryLimit: 67_108_864 },
  cpuLimit: { cpuLimit: 1 },
  "cpuLimit.fraction": { cpuLimit: 0.5 },
  pidsLimit: { pidsLimit: 64 },
  diskLimit: { diskLimit: 8_388_608 },
  fileSize: { fileSize: 4_194_304 },
  openFiles: { openFiles: 128 },
  allowNetwork: { allowNetwork: true },
  image: { image: "example" },
  noImage: {}
}

/** The controls that a runtime has no means for here. */
const refusedBy = (runtime: SandboxRuntime.Runtime) =>
  Effect.filter(Object.keys(trials), (control) =>
    Effect.gen(function*() {
      const policy = yield* Effect.orDie(SandboxPolicy.parse(trials[control]))
      return (yield* Effect.either(runtime.supports(policy)))._tag === "Left"
    }))

const encodeManifest = RemoteWorkers.encodeManifest
const decodeManifest = RemoteWorkers.decodeManifest

const failed = (reason: RuntimeFailed["reason"], detail: string) =>
  new RuntimeFailed({ runtime: "worker", reason, detail })

const unreadable = ({ message }: { readonly message: string }) => failed("WorkspaceUnreadable", message)

/** Carries out a command: files there, run, files back. */
const carryOut = Effect.fnUntraced(function*(
  runtime: SandboxRuntime.Runtime,
  policy: SandboxPolicy.SandboxPolicy,
  command: NonNullable<Assignment["command"]>,
  link: JobLink,
  gone: (error: GatewayError) => Effect.Effect<never>
) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const place = yield* Effect.mapError(fs.makeTempDirectoryScoped({ prefix: "smithers-worker-" }), unreadable)
  const blobs = yield* Effect.mapError(BlobStore.make(path.join(place, "blobs")), unreadable)
  const call = <A, E>(effect: Effect.Effect<A, E | GatewayError>) =>
    Effect.catchAll(
      effect,
      (error): Effect.Effect<A, RuntimeFailed> =>
        isGatewayError(error) ? gone(error) : unreadable({ message: String(error) })
    )
  const fetch = (sha256: string) =>
    Effect.filterOrFail(
      call(link.fetch(sha256, blobs)),
      (isThat) => isThat,
      () => failed("WorkspaceUnreadable", `${sha256} is another content`)
    )

  yield* fetch(command.tree)
  const listed = yield* Effect.mapError(blobs.get(command.tree), unreadable)
  const base = yield* Effect.mapError(decodeManifest(listed.toString("utf8")), unreadable)
  const known = new Set(base.map(({ sha256 }) => sha256))
  yield* Effect.forEach(known, fetch, { discard: true })
  const workspace = path.join(place, "workspace")
  const withBlobs = Effect.provideService(BlobStore.BlobStore, blobs)
  yield* Effect.mapError(withBlobs(Tree.materialize({ files: base }, workspace)), unreadable)
  const { stdin } = command
  if (stdin !== null) yield* fetch(stdin)
  const outcome = yield* runtime.run({
    command: command.command,
    workspace,
    env: command.env,
    stdin: stdin === null ? undefined : yield* Effect.mapError(blobs.get(stdin), unreadable),
    policy,
    onOutput: (chunk) => Effect.catchAll(link.output(chunk), gone)
  })
  const { durationMs, exitCode, outputTruncated, reason } = outcome
  if (reason !== "exited") {
    return { reason, exitCode: null, durationMs, outputTruncated, tree: null }
  }
  // What a sandbox leaves is hostile here, too; and what cannot be sent must not be lost in silence.
  const { files } = yield* Effect.mapError(withBlobs(Tree.capture(workspace)), unreadable)
  for (const { bytes, sha256 } of files) {
    if (known.has(sha256)) continue
    known.add(sha256)
    yield* call(link.give(sha256, bytes, blobs))
  }
  const manifest = Buffer.from(yield* Effect.mapError(encodeManifest(files), unreadable))
  const { bytes, sha256 } = yield* Effect.mapError(blobs.put(manifest), unreadable)
  yield* call(link.give(sha256, bytes, blobs))
  return { reason, exitCode, durationMs, outputTruncated, tree: sha256 }
}, Effect.scoped)

const isGatewayError = (error: unknown): error is GatewayError =>
  typeof error === "object" && error !== null && "_tag" in error &&
  (error._tag === "GatewayUnreachable" || error._tag === "GatewayFailure")

/** Ends when the job is to be stopped, or its service has forgotten it or cannot be reached. */
const beating = (link: JobLink): Effect.Effect<Ending> =>
  Effect.gen(function*() {
    let missed = 0
    while (true) {
      yield* Effect.sleep(beatEvery)
      const answer = yield* Effect.either(Effect.timeoutTo(link.beat, {
        duration: beatEvery,
        onTimeout: () => "Late" as const,
        onSuccess: (isCancelled) => isCancelled
      }))
      if (answer._tag === "Right") {
        if (answer.right === true) return { _tag: "Cancelled" }
        missed = answer.right === "Late" ? missed + 1 : 0
        continue
      }
      if (!isAway(answer.left) || ++missed >= missedBeats) return { _tag: "Gone", error: answer.left }
    }
  })

const shortened = (text: string, max: number) => text.slice(0, max)

/**
 * Works for a service elsewhere until it is stopped: takes jobs, proves what it enforces, runs them in a sandbox of this
 * machine. It has nothing of the service but its address and a token. Fails when the service refuses the token; while the
 * service is away, it asks again, at longer and longer intervals up to 10 s.
 */
export const work = Effect.fnUntraced(function*({ once, runtime: name }: WorkerOptions) {
  const output = yield* Output
  const runtime = yield* Effect.flatMap(SandboxRuntime.SandboxRuntime, (runtimes) => runtimes.get(name))
  const probe = yield* Probe.Probe
  const service = yield* WorkerLink
  yield* runtime.check
  const refuses = yield* refusedBy(runtime)
  const workerId = randomUUID()
  const tell = (type: typeof WorkerDocument.Type["type"], jobId: string | null, detail: string | null) =>
    output.print(
      WorkerDocument,
      { type, workerId, jobId, detail },
      () => [type, jobId, detail].filter((part) => part !== null).join(" ")
    )

  /** Proves the policy and runs the command, if there is one; reports what prevents it. */
  const attempt = (job: Assignment, link: JobLink, gone: (error: GatewayError) => Effect.Effect<never>) =>
    Effect.gen(function*() {
      const policy = yield* SandboxPolicy.parse(job.policy)
      const { controls } = yield* Effect.catchTag(probe.prove(runtime, policy), "ControlNotEnforced", (error) =>
        // Of a job that is a proof only, the whole table is asked for, whatever it says.
        job.command === null ? probe.verify(runtime, policy) : error)
      const rows = controls.map((row) => ({
        ...row,
        control: shortened(row.control, 64),
        evidence: shortened(row.evidence, 1_000)
      }))
      const isAccepted = yield* Effect.catchAll(link.prove(rows), gone)
      if (job.command === null) return "proved"
      if (!isAccepted) return "the proof was not accepted"
      const end = yield* carryOut(runtime, policy, job.command, link, gone)
      yield* Effect.catchAll(link.complete(end), gone)
      return end.exitCode === null ? end.reason : `exit code ${end.exitCode}`
    }).pipe(Effect.catchAll((error) =>
      Effect.as(
        Effect.catchAll(
          link.complete({
            reason: error._tag === "ControlNotEnforced"
              ? "ControlNotEnforced"
              : error._tag === "RuntimeUnavailable"
              ? "Unavailable"
              : "Failed",
            control: error._tag === "ControlNotEnforced" ? shortened(error.control, 64) : "",
            detail: shortened(error.message, 2_000)
          }),
          gone
        ),
        error.message
      )
    ))

  const attend = (job: Assignment) =>
    Effect.gen(function*() {
      const link = yield* service.job(job.jobId)
      const stopped = yield* Deferred.make<Ending>()
      const gone = (error: GatewayError) =>
        Effect.zipRight(Deferred.succeed(stopped, { _tag: "Gone" as const, error }), Effect.never)
      const stop = (detail: string) =>
        link.complete({ reason: "Stopped", control: "", detail }).pipe(Effect.timeout("2 seconds"), Effect.ignore)
      yield* tell("taken", job.jobId, job.command === null ? "proof" : null)
      // The one that loses is waited for: when the service hears of the end, no process is left.
      const end = yield* Effect.raceFirst(
        attempt(job, link, gone),
        Effect.raceFirst(beating(link), Deferred.await(stopped))
      ).pipe(Effect.onInterrupt(() => stop("The worker was stopped.")))
      if (typeof end === "string") return yield* tell("ended", job.jobId, end)
      if (end._tag === "Cancelled") yield* stop("The command was stopped.")
      yield* tell("abandoned", job.jobId, end._tag === "Gone" ? end.error.message : "cancelled")
      // A job that the service does not know any more is nothing special: it was restarted.
      if (end._tag === "Gone" && !isAway(end.error) && !isForgotten(end.error)) return yield* Effect.fail(end.error)
    })

  yield* tell("ready", null, runtime.name)
  while (true) {
    const job = yield* Effect.retry(service.lease({ workerId, runtime: runtime.name, refuses }), {
      while: isAway,
      schedule: away
    })
    if (job === null) continue
    yield* attend(job)
    if (once && job.command !== null) return
  }
})

const isForgotten = (error: GatewayError): boolean => error._tag === "GatewayFailure" && error.code === "NOT_FOUND"

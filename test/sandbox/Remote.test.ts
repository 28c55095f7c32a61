import { assert, it } from "@effect/vitest"
import { Context, Effect, Fiber, Schema, TestClock } from "effect"
import { createHash } from "node:crypto"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { systemActor } from "../../src/model/index.ts"
import { RemoteWorkers, Sandbox, type SandboxRuntime, type WorkerRefused } from "../../src/sandbox/index.ts"
import { confinement } from "../../src/sandbox/Proof.ts"
import { parse } from "../../src/sandbox/SandboxPolicy.ts"
import { Sandbox as SandboxTask } from "../../src/workflow/index.ts"
import { freshDatabase, startProcess, workflow } from "../support/Engine.ts"
import { sandboxesOf } from "../support/Sandboxes.ts"

const controls = confinement.map((control) => ({ control, asked: true, enforced: true, evidence: "seen" }))

/** A worker of its own token that is nothing but calls. */
const workerOf = (workers: RemoteWorkers.RemoteWorkers["Type"], name: string) => {
  const asking = { workerId: name, actor: { ...systemActor, tokenId: name }, refuses: [] }
  const lease = (waitMs: number) => workers.lease(name, { ...asking, waitMs })
  /** The next command, proved; what is to be proved only is proved on the way. */
  const take: Effect.Effect<RemoteWorkers.Assignment, WorkerRefused | "no job"> = Effect.gen(function*() {
    const job = yield* lease(20_000)
    if (job === undefined) return yield* Effect.fail("no job" as const)
    yield* workers.prove(name, job.jobId, controls)
    return job.command === null ? yield* take : job
  })
  /** Ends the command well, leaving no files. */
  const complete = ({ jobId }: RemoteWorkers.Assignment) =>
    Effect.gen(function*() {
      const sha256 = createHash("sha256").update("[]").digest("hex")
      yield* workers.put(name, jobId, { sha256, offset: 0, bytes: Buffer.from("[]"), last: true })
      yield* workers.output(name, jobId, 0, { stream: "stdout", bytes: Buffer.from(`"by ${name}"\n`) })
      const end = { reason: "exited", exitCode: 0, durationMs: 1, outputTruncated: false, tree: sha256 } as const
      yield* workers.complete(name, jobId, end)
    })
  return { lease, take, complete }
}

const world = Effect.gen(function*() {
  const database = yield* freshDatabase
  const { context, sandbox } = yield* sandboxesOf(database)
  return { database, sandbox, workers: Context.get(context, RemoteWorkers.RemoteWorkers) }
})

it.scoped("a step whose worker is lost is executed again by another one, and its first attempt is told", () =>
  Effect.gen(function*() {
    const { database, sandbox, workers } = yield* world
    const run = () =>
      SandboxTask.run({
        id: "box",
        runtime: "remote",
        input: null,
        command: ["true"],
        output: Schema.String,
        retry: { times: 1, backoff: 0 }
      }).pipe(Effect.provideService(Sandbox.Sandbox, sandbox))
    const { end, events, launch, stop } = yield* startProcess(
      database,
      workflow(run, { error: Schema.Union(SandboxTask.SandboxFailed, SandboxTask.ReviewRejected) })
    )
    yield* Effect.addFinalizer(() => stop)
    const first = workerOf(workers, "first")
    const second = workerOf(workers, "second")
    yield* first.lease(0)
    const runId = yield* launch()
    const lost = yield* first.take
    const taking = yield* Effect.fork(second.take)
    // The first gives no sign of life.
    yield* TestClock.adjust("16 seconds")
    const job = yield* Fiber.join(taking)
    assert.notStrictEqual(job.jobId, lost.jobId)
    const late = yield* Effect.flip(first.complete(lost))
    assert.include(String(late), "must be a job that this token has leased")
    yield* second.complete(job)
    const { error, output } = yield* end(runId)
    assert.deepStrictEqual([error, output], [null, "by second"])
    const attempts = (yield* sandbox.list(runId)).map(({ attempt, error, status }) => [attempt, status, error])
    assert.strictEqual(attempts.length, 2)
    assert.deepStrictEqual(attempts[0]?.slice(0, 2), [1, "failed"])
    assert.include(String(attempts[0]?.[2]), "gave no sign of life for 15 s")
    assert.deepStrictEqual(attempts[1], [2, "finished", null])
    const types = (yield* events(runId)).map(({ type }) => type)
    assert.includeMembers(types, ["SandboxFailed", "NodeRetrying", "SandboxCompleted"])
  }))

it.scoped("1,000 jobs wait for a worker; one more is refused, and the others go on waiting", () =>
  Effect.gen(function*() {
    const { workers } = yield* world
    const worker = workerOf(workers, "only")
    yield* worker.lease(0)
    const workspace = yield* Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "smithers-jobs-"))),
      (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
    )
    const policy = yield* parse({})
    const spec: SandboxRuntime.Spec = { command: ["true"], workspace, env: {}, policy, onOutput: () => Effect.void }
    const fibers = yield* Effect.forEach(
      Array.from({ length: 1_001 }),
      () => Effect.forkScoped(Effect.flip(workers.runtime.run(spec)))
    )
    const refused = yield* Effect.raceAll(fibers.map((fiber) => Fiber.await(fiber)))
    assert.include(JSON.stringify(refused), "1000 jobs wait already.")
    const over = yield* Effect.filter(fibers, (fiber) => Effect.map(Fiber.poll(fiber), ({ _tag }) => _tag === "Some"))
    assert.lengthOf(over, 1)
    const job = yield* worker.take
    const end = { reason: "Stopped", control: "", detail: "" } as const
    yield* workers.complete("only", job.jobId, end)
  }))

import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Schema, Stream } from "effect"
import fs from "node:fs"
import path from "node:path"
import { Sandbox, SandboxPolicy, SandboxStore } from "../../src/sandbox/index.ts"
import { Sandbox as SandboxTask } from "../../src/workflow/index.ts"
import { has } from "../support/Assert.ts"
import { actor, freshDatabase, startProcess, types, workflow } from "../support/Engine.ts"
import { sandboxesOf } from "../support/Sandboxes.ts"

const Errors = Schema.Union(SandboxTask.SandboxFailed, SandboxTask.ReviewRejected)

class Shared extends Context.Tag("smithers-orchestrator/test/sandbox/SandboxTask.test/Shared")<Shared, {
  readonly database: Effect.Effect.Success<typeof freshDatabase>
  readonly sandboxes: Effect.Effect.Success<ReturnType<typeof sandboxesOf>>
}>() {}

/** One database and one service of sandboxes for the file: its proofs take seconds. */
const SharedLive = Layer.scoped(
  Shared,
  Effect.gen(function*() {
    const database = yield* freshDatabase
    return { database, sandboxes: yield* sandboxesOf(database, { token: "kestrel-value-4711" }) }
  })
)

let projects = 0

/** An engine on it, and a directory with two files that sandboxes get a copy of. */
const world = (options: Partial<SandboxTask.Options<unknown, unknown>> & { readonly command: ReadonlyArray<string> }) =>
  Effect.gen(function*() {
    const { database, sandboxes: { sandbox } } = yield* Shared
    const project = path.join(database.home, `project-${++projects}`)
    fs.mkdirSync(project)
    fs.writeFileSync(path.join(project, "one.txt"), "one\n")
    fs.writeFileSync(path.join(project, "two.txt"), "two\n")
    const run = () =>
      SandboxTask.run({ id: "box", input: { n: 1 }, output: Schema.Unknown, files: { from: project }, ...options })
        .pipe(
          Effect.provideService(Sandbox.Sandbox, sandbox)
        )
    const process = yield* startProcess(database, workflow(run, { error: Errors }))
    yield* Effect.addFinalizer(() => process.stop)
    const read = (name: string) => fs.readFileSync(path.join(project, name), "utf8")
    /** Until the journal says so: what a child process does takes as long as it takes. */
    const told = (runId: string, type: string) =>
      Effect.orDie(
        Stream.runDrain(Stream.takeUntil(process.journal.stream(runId, 0), (event) => event.type === type))
      )
    const asked = (runId: string) =>
      Effect.zipRight(told(runId, "ApprovalRequested"), process.reaches(runId, "waiting-approval"))
    const launch = process.launch({ project })
    return { ...process, launch, asked, told, database, sandbox, project, read }
  })

const sh = (script: string) => ["sh", "-c", script] as const

layer(SharedLive)("a sandbox as a step", (it) => {
  it.scoped("a sandbox gets its input, and its outputs are the result of the step", () =>
    Effect.gen(function*() {
      const { audit, end, events, launch, sandbox } = yield* world({
        command: sh(
          `grep -q '"n":1' "$SMITHERS_SANDBOX_REQUEST_PATH" && echo '{"status":"finished","outputs":{"sum":2}}' > "$SMITHERS_SANDBOX_RESULT_PATH"; echo hello`
        )
      })
      const runId = yield* launch
      const run = yield* end(runId)
      assert.deepStrictEqual([run.status, run.output], ["finished", { sum: 2 }])
      const seen = types(yield* events(runId)).filter((type) => type.startsWith("Sandbox") || type === "NodeOutput")
      assert.deepStrictEqual(seen, [
        "SandboxCreated",
        "SandboxShipped",
        "NodeOutput",
        "SandboxBundleReceived",
        "SandboxCompleted"
      ])
      const [row] = yield* sandbox.list(runId)
      has(row, {
        status: "finished",
        runtime: "bubblewrap",
        patchCount: 0,
        changeSet: null,
        sandboxId: "box",
        attempt: 1
      })
      assert.isTrue(row!.proof!.controls.every((control) => !control.asked || control.enforced))
      const [started] = yield* audit.list({ action: "sandbox.start", runId, limit: 1 })
      assert.deepStrictEqual(JSON.parse(String(started?.detail["policy"])), row!.policy)
      assert.strictEqual(started?.detail["policyHash"], row!.proof!.policyHash)
    }))

  it.scoped("changes wait for a review, are not there before it, and are there after it", () =>
    Effect.gen(function*() {
      const { asked, decide, end, engine, events, launch, read } = yield* world({
        command: sh("echo more >> one.txt; rm two.txt; echo new > three.txt; echo null")
      })
      const runId = yield* launch
      yield* asked(runId)
      assert.strictEqual(read("one.txt"), "one\n")
      const [question] = yield* engine.approvals({ runId })
      const payload = question!.payload as {
        readonly files: ReadonlyArray<{ readonly path: string; readonly operation: string }>
      }
      assert.deepStrictEqual(payload.files.map(({ operation, path }) => [operation, path]), [
        ["modify", "one.txt"],
        ["add", "three.txt"],
        ["delete", "two.txt"]
      ])
      yield* decide(runId, "box:review")
      assert.strictEqual((yield* end(runId)).status, "finished")
      assert.strictEqual(read("one.txt"), "one\nmore\n")
      assert.strictEqual(read("three.txt"), "new\n")
      assert.throws(() => read("two.txt"), "ENOENT")
      assert.includeMembers([...types(yield* events(runId))], ["SandboxDiffReviewRequested", "SandboxDiffAccepted"])
    }))

  it.scoped("a reviewer accepts some files and rejects others", () =>
    Effect.gen(function*() {
      const { end, engine, launch, asked, read } = yield* world({
        command: sh("echo more >> one.txt; echo more >> two.txt")
      })
      const runId = yield* launch
      yield* asked(runId)
      const value = { accept: [{ path: "one.txt", accept: true }, { path: "two.txt", accept: false }] }
      yield* engine.decide({ runId, nodeId: "box:review", iteration: 0, approved: true, actor, value })
      assert.strictEqual((yield* end(runId)).status, "finished")
      assert.deepStrictEqual([read("one.txt"), read("two.txt")], ["one\nmore\n", "two\n"])
    }))

  it.scoped("a denied review changes nothing and fails the step, typed", () =>
    Effect.gen(function*() {
      const { asked, decide, end, events, launch, read } = yield* world({ command: sh("echo more >> one.txt") })
      const runId = yield* launch
      yield* asked(runId)
      yield* decide(runId, "box:review", false)
      has(yield* end(runId), { status: "failed" })
      has((yield* end(runId)).error, { name: "ReviewRejected", typed: true })
      assert.strictEqual(read("one.txt"), "one\n")
      assert.include(types(yield* events(runId)), "SandboxDiffRejected")
    }))

  it.scoped("a base that moved while the review waited is refused as stale, and stays as it is", () =>
    Effect.gen(function*() {
      const { decide, end, launch, project, asked, read } = yield* world({
        command: sh("echo more >> one.txt; echo more >> two.txt")
      })
      const runId = yield* launch
      yield* asked(runId)
      fs.writeFileSync(path.join(project, "two.txt"), "somebody else's\n")
      yield* decide(runId, "box:review")
      const run = yield* end(runId)
      has(run.error, { name: "SandboxFailed", typed: true })
      assert.include(run.error!.message, "Stale")
      assert.deepStrictEqual([read("one.txt"), read("two.txt")], ["one\n", "somebody else's\n"])
    }))

  it.scoped("with autoAcceptDiffs nobody is asked", () =>
    Effect.gen(function*() {
      const { end, launch, read } = yield* world({ command: sh("echo more >> one.txt"), autoAcceptDiffs: true })
      assert.strictEqual((yield* end(yield* launch)).status, "finished")
      assert.strictEqual(read("one.txt"), "one\nmore\n")
    }))

  it.scoped("without reviewDiffs nothing is applied", () =>
    Effect.gen(function*() {
      const { end, launch, read } = yield* world({ command: sh("echo more >> one.txt"), reviewDiffs: false })
      assert.strictEqual((yield* end(yield* launch)).status, "finished")
      assert.strictEqual(read("one.txt"), "one\n")
    }))

  it.scoped("a command that fails fails the step with its code and the end of its output, redacted", () =>
    Effect.gen(function*() {
      const { database, end, launch, sandbox } = yield* world({
        command: sh("echo \"token $TOKEN\" >&2; exit 3"),
        secrets: { TOKEN: { provider: "memory", name: "token" } }
      })
      const runId = yield* launch
      const { error } = yield* end(runId)
      has(error, { name: "SandboxFailed", typed: true })
      assert.include(error!.message, "ended with code 3: token [redacted")
      has((yield* sandbox.list(runId))[0], { status: "failed" })
      const stored = fs.readFileSync(database.file, "latin1") + fs.readFileSync(`${database.file}-wal`, "latin1")
      assert.notInclude(stored, "kestrel-value-4711")
    }))

  it.scoped("the environment holds what was named and nothing of the service", () =>
    Effect.gen(function*() {
      const { end, launch } = yield* world({
        command: sh("env | sed 's/=.*//' | sort | tr '\\n' ' ' | sed 's/.*/\"&\"/'"),
        env: { GREETING: "hi" }
      })
      const { output } = yield* end(yield* launch)
      const names = String(output).trim().split(" ").filter((name) => !["_", "PWD", "SHLVL", "OLDPWD"].includes(name))
      assert.deepStrictEqual(names.sort(), [
        "GREETING",
        "HOME",
        "LANG",
        "PATH",
        "SMITHERS_SANDBOX_REQUEST_PATH",
        "SMITHERS_SANDBOX_RESULT_PATH"
      ])
    }))

  it.scoped("a control that the runtime cannot enforce fails the step before anything runs", () =>
    Effect.gen(function*() {
      const { end, launch, read } = yield* world({
        runtime: "process",
        memoryLimit: "64m",
        command: sh("echo more >> one.txt"),
        autoAcceptDiffs: true
      })
      const { error } = yield* end(yield* launch)
      assert.include(error!.message, "NotEnforced")
      assert.include(error!.message, "memoryLimit")
      assert.strictEqual(read("one.txt"), "one\n")
    }))

  it.scoped("a bad limit is refused by its name and bound", () =>
    Effect.gen(function*() {
      const { end, launch } = yield* world({ memoryLimit: "1k", command: sh("true") })
      const { error } = yield* end(yield* launch)
      assert.include(error!.message, "InvalidRequest")
      assert.match(error!.message, /memoryLimit: must be bytes from 16777216/)
    }))

  it.scoped("a symbolic link among the produced files refuses all of them", () =>
    Effect.gen(function*() {
      const { end, launch, read } = yield* world({
        command: sh("ln -s /etc/passwd link; echo more >> one.txt"),
        autoAcceptDiffs: true
      })
      const { error } = yield* end(yield* launch)
      assert.include(error!.message, "Refused")
      assert.include(error!.message, "link")
      assert.strictEqual(read("one.txt"), "one\n")
    }))

  it.scoped("a cancelled run kills its sandbox and says so in its row", () =>
    Effect.gen(function*() {
      const { database, end, engine, launch, sandbox, told } = yield* world({ command: sh("sleep 600") })
      const runId = yield* launch
      yield* told(runId, "SandboxShipped")
      yield* engine.cancel(runId, actor)
      assert.strictEqual((yield* end(runId)).status, "cancelled")
      has((yield* sandbox.list(runId))[0], { status: "cancelled" })
      assert.isFalse(fs.existsSync(path.join(database.home, "sandboxes", runId, "box", "work")))
    }))

  it.scoped("what a process that died was executing is told and cleaned up by the next one", () =>
    Effect.gen(function*() {
      const { database, end, launch, runs } = yield* world({ command: sh("true") })
      const { sandboxes } = yield* Shared
      const runId = yield* launch
      yield* end(runId)
      assert.strictEqual((yield* runs.get(runId)).status, "finished")
      const store = Context.get(sandboxes.context, SandboxStore.SandboxStore)
      const key = { runId, sandboxId: "lost", attempt: 1 }
      const policy = yield* SandboxPolicy.parse({})
      yield* database.write(
        store.create({ ...key, runtime: "bubblewrap", policy, proof: null, requestBytes: 1, createdAtMs: 1 })
      )
      yield* database.write(store.ship(key, 1))
      const work = path.join(database.home, "sandboxes", runId, "lost", "work")
      fs.mkdirSync(work, { recursive: true })
      const next = yield* sandboxesOf(database)
      const row = (yield* next.sandbox.list(runId)).find(({ sandboxId }) => sandboxId === "lost")
      has(row, { status: "failed", error: "The process of the service died." })
      assert.isFalse(fs.existsSync(work))
    }))
})

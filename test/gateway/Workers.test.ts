import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { createHash } from "node:crypto"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { Audit } from "../../src/audit/index.ts"
import { RemoteWorkers, type SandboxRuntime } from "../../src/sandbox/index.ts"
import { confinement } from "../../src/sandbox/Proof.ts"
import { parse } from "../../src/sandbox/SandboxPolicy.ts"
import { rpc } from "./support/Http.ts"
import { gatewayWith, tokenFor } from "./support/Service.ts"

const hash = (content: string | Buffer) => createHash("sha256").update(content).digest("hex")

const proof = (controls: ReadonlyArray<string>) =>
  controls.map((control) => ({ control, asked: false, enforced: true, evidence: "seen" }))

let workers = 0

/** A worker that is nothing but calls. */
const worker = Effect.gen(function*() {
  const { token, tokenId } = yield* tokenFor(["sandbox:work"])
  const workerId = `by-hand-${++workers}`
  const asking = { workerId, runtime: "bubblewrap", refuses: [], waitMs: 5_000 }
  const call = (method: string, params: object) => rpc(`worker.${method}`, params, token)
  return { token, tokenId, workerId, call, lease: (more: object = {}) => call("lease", { ...asking, ...more }) }
})

const makeWorkspace = Effect.acquireRelease(
  Effect.sync(() => {
    const workspace = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "smithers-workers-")), "workspace")
    fs.mkdirSync(workspace)
    fs.writeFileSync(path.join(workspace, "one.txt"), "one\n")
    return workspace
  }),
  (workspace) => Effect.sync(() => fs.rmSync(path.dirname(workspace), { recursive: true, force: true }))
)

/** A command that waits for a worker; `env` has what looks like a secret. */
const start = (policy: object = {}, more: Partial<SandboxRuntime.Spec> = {}) =>
  Effect.gen(function*() {
    const { runtime } = yield* RemoteWorkers.RemoteWorkers
    const workspace = yield* makeWorkspace
    const output: Array<string> = []
    const running = yield* Effect.forkScoped(Effect.flatMap(parse(policy), (policy) =>
      runtime.run({
        command: ["true"],
        workspace,
        env: { KEY: "kestrel" },
        policy,
        ...more,
        onOutput: ({ bytes }) => Effect.sync(() => output.push(Buffer.from(bytes).toString()))
      })))
    return { running, workspace, output, files: () => fs.readdirSync(workspace).sort() }
  })

/** A worker with a job whose policy it has proved. */
const atWork = (policy: object = {}) =>
  Effect.gen(function*() {
    const by = yield* worker
    const asking = yield* Effect.forkScoped(by.lease())
    yield* present
    const job = yield* start(policy)
    const { frame } = yield* Fiber.join(asking)
    const { jobId } = frame.payload
    const limits = Object.keys(policy).filter((name) => /Limit|Size|Files/.test(name))
    assert.isTrue((yield* by.call("prove", { jobId, controls: proof([...confinement, ...limits]) })).frame.ok)
    const put = (content: string | Buffer, as: string = hash(content)) =>
      by.call("blob.put", {
        jobId,
        sha256: as,
        offset: 0,
        base64: Buffer.from(content).length === 0 ? [] : [Buffer.from(content).toString("base64")],
        last: true
      })
    /** Ends the command with this list of files. */
    const leave = (files: ReadonlyArray<object>) =>
      Effect.gen(function*() {
        const list = JSON.stringify(files)
        yield* put(list)
        const end = { reason: "exited", exitCode: 0, durationMs: 1, outputTruncated: false, tree: hash(list) }
        return yield* by.call("complete", { jobId, end })
      })
    return { ...by, ...job, jobId, put, leave, assignment: frame.payload }
  })

const file = (name: string, content: string) => ({
  path: name,
  sha256: hash(content),
  bytes: content.length,
  executable: false
})

/** Until a worker is known to ask. */
const present = Effect.flatMap(
  RemoteWorkers.RemoteWorkers,
  ({ runtime }) => Effect.retry(runtime.check, Schedule.spaced("10 millis"))
)

const ended = (job: { readonly running: Fiber.Fiber<SandboxRuntime.Outcome, SandboxRuntime.RunError | object> }) =>
  Effect.either(Fiber.join(job.running))

layer(gatewayWith(), { excludeTestServices: true })("what a remote worker may do", (it) => {
  it.scoped("nothing runs when no worker is there", () =>
    Effect.gen(function*() {
      const job = yield* start()
      const end = yield* ended(job)
      assert.deepInclude(end, { _tag: "Left" })
      assert.include(JSON.stringify(end), "Missing")
    }))

  it.scoped("who got which sandbox of which run is in the audit once, however often it is given", () =>
    Effect.gen(function*() {
      const by = yield* worker
      const asking = yield* Effect.forkScoped(by.lease())
      yield* present
      const runFor = { runId: "run-of-audit", sandboxId: "cell" }
      const job = yield* start({}, { runFor })
      const { jobId } = (yield* Fiber.join(asking)).frame.payload
      assert.strictEqual((yield* by.lease()).frame.payload.jobId, jobId)
      const rows = yield* Effect.flatMap(Audit.Audit, (audit) => audit.list({ action: "sandbox.lease", limit: 10 }))
      const row = rows.filter(({ runId }) => runId === runFor.runId)
      assert.lengthOf(row, 1)
      assert.deepInclude(row[0], { tokenId: by.tokenId, target: "run-of-audit/cell", outcome: "ok", reason: null })
      assert.deepStrictEqual(row[0]!.detail, { worker: by.workerId, job: jobId })
      assert.notInclude(JSON.stringify(rows), "kestrel")
      yield* by.call("complete", { jobId, end: { reason: "Stopped", control: "", detail: "" } })
      yield* ended(job)
    }))

  it.scoped("a token without the scope gets nothing", () =>
    Effect.gen(function*() {
      const { token } = yield* tokenFor(["run:admin"])
      const { frame, status } = yield* rpc("worker.lease", {}, token)
      assert.deepStrictEqual([status, frame.error.requiredScope], [403, "sandbox:work"])
    }))

  it.scoped("a token for workers opens nothing else", () =>
    Effect.gen(function*() {
      const { token } = yield* worker
      assert.strictEqual((yield* rpc("listRuns", {}, token)).status, 403)
    }))

  it.scoped("fetches the files, hands over output and files, and the workspace is what it left", () =>
    Effect.gen(function*() {
      const job = yield* atWork()
      assert.deepInclude(job.assignment.command, { command: ["true"], env: { KEY: "kestrel" } })
      const { call, jobId } = job
      const listed = yield* call("blob.get", { jobId, sha256: job.assignment.command.tree, offset: 0 })
      const [one] = JSON.parse(Buffer.from(listed.frame.payload.base64, "base64").toString())
      const got = yield* call("blob.get", { jobId, sha256: one.sha256, offset: 1 })
      assert.deepStrictEqual(got.frame.payload, { base64: Buffer.from("ne\n").toString("base64"), size: 4 })
      const say = (seq: number, text: string) =>
        call("output", { jobId, seq, stream: "stdout", base64: [Buffer.from(text).toString("base64")] })
      yield* say(0, "a")
      yield* say(0, "a")
      assert.strictEqual((yield* say(2, "c")).status, 400)
      yield* say(1, "b")
      assert.strictEqual((yield* job.put("two\n")).status, 200)
      assert.strictEqual((yield* job.leave([one, file("sub/two.txt", "two\n")])).status, 200)
      const end = yield* ended(job)
      assert.deepInclude(end, { _tag: "Right" })
      assert.deepStrictEqual(job.output, ["a", "b"])
      assert.deepStrictEqual(job.files(), ["one.txt", "sub"])
      assert.strictEqual(fs.readFileSync(path.join(job.workspace, "sub/two.txt"), "utf8"), "two\n")
      assert.strictEqual((yield* call("beat", { jobId })).status, 404)
    }))

  it.scoped("asked again before the proof, gives the same job; nothing of it before the proof", () =>
    Effect.gen(function*() {
      const by = yield* worker
      const asking = yield* Effect.forkScoped(by.lease())
      yield* present
      const job = yield* start()
      const { frame } = yield* Fiber.join(asking)
      const { command: { tree }, jobId } = frame.payload
      assert.strictEqual((yield* by.lease()).frame.payload.jobId, jobId)
      assert.strictEqual((yield* by.call("blob.get", { jobId, sha256: tree, offset: 0 })).status, 400)
      const end = { reason: "exited", exitCode: 0, durationMs: 1, outputTruncated: false, tree }
      assert.strictEqual((yield* by.call("complete", { jobId, end })).status, 400)
      const stopped = { reason: "Stopped", control: "", detail: "done" }
      yield* by.call("complete", { jobId, end: stopped })
      assert.deepInclude((yield* ended(job)) as object, { _tag: "Left" })
    }))

  for (
    const [what, controls, control] of [
      ["says nothing of one control", confinement.filter((name) => name !== "mounts"), "mounts"],
      ["says nothing of a limit that is asked for", confinement, "pidsLimit"]
    ] as const
  ) {
    it.scoped(`a proof that ${what} fails closed`, () =>
      Effect.gen(function*() {
        const by = yield* worker
        const asking = yield* Effect.forkScoped(by.lease())
        yield* present
        const job = yield* start({ pidsLimit: 10 })
        const { jobId } = (yield* Fiber.join(asking)).frame.payload
        const rows = proof(control === "mounts" ? [...controls, "pidsLimit"] : controls)
        const { frame } = yield* by.call("prove", { jobId, controls: rows })
        assert.deepStrictEqual(frame.payload, { accepted: false })
        const end = yield* ended(job)
        assert.deepInclude(end._tag === "Left" ? end.left : {}, { _tag: "ControlNotEnforced", control })
      }))
  }

  it.scoped("a worker that has no means for a control does not get the job, and is why it is refused", () =>
    Effect.gen(function*() {
      const by = yield* worker
      const asking = yield* Effect.forkScoped(by.lease({ refuses: ["cpuLimit"], waitMs: 1_500 }))
      yield* present
      const { runtime } = yield* RemoteWorkers.RemoteWorkers
      const { running } = yield* start({ cpuLimit: 1 })
      assert.isNull((yield* Fiber.join(asking)).frame.payload)
      yield* Fiber.interrupt(running)
      const volumes = yield* Effect.flip(
        Effect.flatMap(parse({ volumes: [{ source: "/a", target: "/b" }] }), runtime.supports)
      )
      assert.deepInclude(volumes, { control: "volumes" })
    }))

  it.scoped("for another token a job does not exist", () =>
    Effect.gen(function*() {
      const job = yield* atWork()
      const other = yield* worker
      const { jobId } = job
      const calls = [
        ["beat", { jobId }],
        ["blob.get", { jobId, sha256: job.assignment.command.tree, offset: 0 }],
        ["blob.put", { jobId, sha256: hash(""), offset: 0, base64: [], last: true }],
        ["output", { jobId, seq: 0, stream: "stdout", base64: [] }],
        ["prove", { jobId, controls: [] }],
        ["complete", { jobId, end: { reason: "Stopped", control: "", detail: "" } }]
      ] as const
      for (const [method, params] of calls) {
        const { frame, status } = yield* other.call(method, params)
        assert.deepStrictEqual([method, status, frame.error.reason], [method, 404, "UnknownJob"])
        const unknown = yield* job.call(method, { ...params, jobId: crypto.randomUUID() })
        assert.deepStrictEqual([method, unknown.status], [method, 404])
      }
      assert.strictEqual((yield* job.call("beat", { jobId })).status, 200)
      yield* Fiber.interruptFork(job.running)
      yield* Effect.repeat(job.call("beat", { jobId }), {
        until: ({ frame }): boolean => frame.payload.cancelled === true
      })
      yield* job.call("complete", { jobId, end: { reason: "Stopped", control: "", detail: "" } })
    }))

  it.scoped("hostile uploads and lists are refused and nothing of them is applied", () =>
    Effect.gen(function*() {
      const job = yield* atWork({ diskLimit: 65_536, maxOutputBytes: 4 })
      const { call, jobId } = job
      const refused = (answer: { readonly status: number; readonly text: string }, word: string) => {
        assert.strictEqual(answer.status, 400, answer.text)
        assert.include(answer.text, word)
      }
      refused(yield* job.put("content", hash("another")), "Corrupt")
      refused(
        yield* call("blob.put", { jobId, sha256: hash("x"), offset: 5, base64: ["eHg="], last: true }),
        "must be 0"
      )
      refused(
        yield* call("blob.put", { jobId, sha256: "../../etc/passwd", offset: 0, base64: [], last: true }),
        "sha256"
      )
      refused(yield* call("blob.put", { jobId, sha256: hash(""), offset: 0, base64: ["%"], last: true }), "base64")
      refused(yield* call("blob.get", { jobId, sha256: hash("kestrel"), offset: 0 }), "OutOfOrder")
      refused(
        yield* call("output", { jobId, seq: 0, stream: "stdout", base64: [Buffer.from("12345").toString("base64")] }),
        "TooLarge"
      )
      assert.strictEqual((yield* job.put("x")).status, 200)
      const x = (name: string) => file(name, "x")
      refused(yield* job.leave([x("../../evil")]), "portable")
      refused(yield* job.leave([x("/etc/cron.d/evil")]), "portable")
      refused(yield* job.leave([x(".git/hooks/post-checkout")]), "portable")
      refused(yield* job.leave([x("a"), x("A")]), "Case")
      refused(yield* job.leave([x("a"), x("a")]), "twice")
      refused(yield* job.leave([x("a"), x("a/b")]), "directory")
      refused(yield* job.leave([file("a", "never uploaded")]), "uploaded")
      refused(yield* job.leave([{ ...x("a"), bytes: 2 }]), "size")
      assert.deepStrictEqual(job.files(), ["one.txt"])
      assert.isFalse(fs.existsSync(path.resolve(job.workspace, "../../evil")))
      yield* call("complete", { jobId, end: { reason: "Failed", control: "", detail: "enough" } })
      assert.deepInclude(yield* ended(job), { _tag: "Left" })
      assert.deepStrictEqual(job.files(), ["one.txt"])
    }))

  it.scoped("a list that is too large for the disk limit is refused; the workspace stays as it was", () =>
    Effect.gen(function*() {
      const job = yield* atWork({ diskLimit: 65_536 })
      const large = Buffer.alloc(12_000, 97).toString()
      assert.strictEqual((yield* job.put(large)).status, 200)
      const answer = yield* job.leave(Array.from({ length: 6 }, (_, i) => file(`large-${i}`, large)))
      assert.strictEqual(answer.status, 400)
      assert.include(answer.text, "TooLarge")
      assert.deepStrictEqual(job.files(), ["one.txt"])
      yield* job.call("complete", { jobId: job.jobId, end: { reason: "Stopped", control: "", detail: "" } })
      assert.deepInclude(yield* ended(job), { _tag: "Left" })
      assert.deepStrictEqual(job.files(), ["one.txt"])
    }))

  it.scoped("a token that is revoked while its worker waits gets no job", () =>
    Effect.gen(function*() {
      const by = yield* worker
      const asking = yield* Effect.forkScoped(by.lease({ waitMs: 20_000 }))
      yield* present
      yield* rpc("tokens.revoke", { tokenId: by.tokenId })
      const { frame, status } = yield* Fiber.join(asking)
      assert.deepStrictEqual([status, frame.error.code], [401, "UNAUTHORIZED"])
      assert.strictEqual((yield* by.lease()).status, 401)
    }))
})

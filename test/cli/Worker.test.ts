import { NodeContext } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Layer, Schedule } from "effect"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { RemoteWorkers, type SandboxRuntime } from "../../src/sandbox/index.ts"
import { rpc } from "../gateway/support/Http.ts"
import { address, gatewayWith, tokenFor } from "../gateway/support/Service.ts"
import { type Asked, bubblewrapWith, runIn, Sandboxes } from "../sandbox/runtime/support.ts"
import { eventually, makeHome, running, service, smithers } from "./Smithers.ts"

/** Another account than that of the tests, where they may choose. */
const nobody = process.getuid?.() === 0 ? 65_534 : undefined

const remote = Effect.map(RemoteWorkers.RemoteWorkers, ({ runtime }) => runtime)

/** A worker in a process of its own, with nothing but an address and a token. */
const startWorker = (...options: ReadonlyArray<string>) =>
  Effect.gen(function*() {
    const { url } = yield* address
    const { token, tokenId } = yield* tokenFor(["sandbox:work"])
    const worker = yield* running(["worker", "--url", url, "--json", ...options], { SMITHERS_TOKEN: token }, nobody)
    assert.include(yield* worker.until("ready"), "ready")
    yield* Effect.retry(Effect.flatMap(remote, ({ check }) => check), Schedule.spaced("20 millis"))
    return { ...worker, tokenId }
  })

const makeWorkspace = Effect.acquireRelease(
  Effect.sync(() => {
    const workspace = path.join(fs.mkdtempSync(path.join(os.tmpdir(), "smithers-remote-")), "workspace")
    fs.mkdirSync(path.join(workspace, "sub"), { recursive: true })
    fs.writeFileSync(path.join(workspace, "one.txt"), "one\n")
    fs.writeFileSync(path.join(workspace, "sub/large.bin"), Buffer.alloc(700_000, "large"))
    fs.writeFileSync(path.join(workspace, "sub/run.sh"), "#!/bin/sh\necho ran\n", { mode: 0o755 })
    return workspace
  }),
  (workspace) => Effect.sync(() => fs.rmSync(path.dirname(workspace), { recursive: true, force: true }))
)

const contentOf = (workspace: string) =>
  fs.readdirSync(workspace, { recursive: true, encoding: "utf8" }).sort()
    .filter((name) => fs.statSync(path.join(workspace, name)).isFile())
    .map((name) => [
      name,
      fs.readFileSync(path.join(workspace, name), "base64"),
      (fs.statSync(path.join(workspace, name)).mode & 0o100) !== 0
    ])

const runRemote = (script: string, asked: Asked = {}) =>
  Effect.flatMap(remote, (runtime) => runIn(runtime, script, asked))

/** Processes of any account whose command line has the word. */
const processesWith = (word: string) =>
  Effect.sync(() =>
    fs.readdirSync("/proc").filter((name) => {
      if (!/^\d+$/.test(name) || Number(name) === process.pid) return false
      try {
        return fs.readFileSync(`/proc/${name}/cmdline`, "latin1").split("\0").includes(word)
      } catch {
        return false
      }
    })
  )

/** A command that says that it has started and then does nothing for long. */
const sleeping = (seconds: string) =>
  Effect.gen(function*() {
    const started = yield* Effect.makeLatch()
    const onOutput = (_: SandboxRuntime.OutputChunk) => Effect.asVoid(started.open)
    const run = yield* Effect.forkScoped(
      // The shell itself bears the word, so that it is there before it says so.
      Effect.either(runRemote(`exec sh -c 'sleep ${seconds} & echo started; wait' ${seconds}`, { onOutput }))
    )
    yield* started.await
    assert.isAbove((yield* processesWith(seconds)).length, 0)
    return run
  })

const World = Layer.merge(gatewayWith(), bubblewrapWith())

layer(World, { excludeTestServices: true, timeout: "60 seconds" })("a worker in a process of its own", (it) => {
  it.scoped("what it leaves equals what the local runtime leaves", () =>
    Effect.gen(function*() {
      yield* startWorker()
      const script = `cat; echo "$KEY" >&2; echo two >> one.txt; ./sub/run.sh > ran.txt; rm sub/run.sh; ` +
        `mkdir -p a/b; head -c 600000 /dev/zero > a/b/zeros; printf '#!/bin/sh' > new.sh; chmod +x new.sh; exit 3`
      const asked = { env: { KEY: "kestrel" }, stdin: "from standard input\n", policy: { pidsLimit: 64 } }
      const [here, there] = [yield* makeWorkspace, yield* makeWorkspace]
      const local = yield* Effect.flatMap(Sandboxes, (runtime) => runIn(runtime, script, { ...asked, workspace: here }))
      const result = yield* runRemote(script, { ...asked, workspace: there })
      assert.deepStrictEqual({ ...result, durationMs: 0 }, { ...local, durationMs: 0 })
      assert.deepStrictEqual([result.exitCode, result.stdout, result.stderr], [
        3,
        "from standard input\n",
        "kestrel\n"
      ])
      assert.deepStrictEqual(contentOf(there), contentOf(here))
    }), 60_000)

  it.scoped("runs under another account, which has no file of the service open to it", () =>
    Effect.gen(function*() {
      const worker = yield* startWorker()
      const status = fs.readFileSync(`/proc/${worker.pid}/status`, "latin1")
      if (nobody !== undefined) assert.match(status, /^Uid:\t65534\t65534\t65534\t65534$/m)
      const environment = fs.readFileSync(`/proc/${worker.pid}/environ`, "latin1")
      assert.notInclude(environment, "SMITHERS_HOME")
    }), 60_000)

  it.scoped(
    "proves the policy there: the rows are those of a probe that ran on its machine",
    () =>
      Effect.gen(function*() {
        yield* startWorker()
        const { prove } = yield* remote
        const rows = yield* prove!({ allowNetwork: false, ports: [], volumes: [], pidsLimit: 64 })
        assert.deepStrictEqual(rows.filter(({ asked, enforced }) => asked && !enforced), [])
        assert.isTrue(rows.some(({ asked, control }) => control === "pidsLimit" && asked))
        assert.isTrue(rows.some(({ asked, control }) => control === "files" && asked))
      }),
    60_000
  )

  it.scoped(
    "output comes while the command runs; when the step is interrupted, none of its processes is left",
    () =>
      Effect.gen(function*() {
        const worker = yield* startWorker()
        const run = yield* sleeping("98761")
        yield* Fiber.interrupt(run)
        assert.deepStrictEqual(yield* processesWith("98761"), [])
        assert.include(yield* worker.until("abandoned"), "cancelled")
        const { stdout } = yield* runRemote("echo again")
        assert.strictEqual(stdout, "again\n")
      }),
    60_000
  )

  it.scoped(
    "a command that takes too long, or says too much, ends as it does here; its files are not taken over",
    () =>
      Effect.gen(function*() {
        yield* startWorker()
        const workspace = yield* makeWorkspace
        const before = contentOf(workspace)
        const late = yield* runRemote("rm one.txt; sleep 98762", { workspace, policy: { timeout: 1_000 } })
        assert.deepInclude(late, { reason: "timeout", exitCode: null })
        const loud = yield* runRemote("rm one.txt; yes", { workspace, policy: { maxOutputBytes: 10_000 } })
        assert.deepInclude(loud, { reason: "output", outputBytes: 10_000, outputTruncated: true })
        assert.deepStrictEqual(contentOf(workspace), before)
      }),
    60_000
  )

  it.scoped(
    "links that it leaves refuse the whole result; the workspace stays as it was",
    () =>
      Effect.gen(function*() {
        yield* startWorker()
        const workspace = yield* makeWorkspace
        const before = contentOf(workspace)
        const end = yield* Effect.either(runRemote("ln -s /etc/passwd link; rm one.txt", { workspace }))
        assert.deepInclude(end._tag === "Left" ? end.left : {}, { _tag: "RuntimeFailed" })
        assert.deepStrictEqual(contentOf(workspace), before)
      }),
    60_000
  )

  it.scoped(
    "killed in the middle, it is lost by a typed failure, and another one does it again",
    () =>
      Effect.gen(function*() {
        const worker = yield* startWorker()
        const run = yield* sleeping("98763")
        yield* worker.kill("SIGKILL")
        yield* startWorker()
        const end = yield* Fiber.join(run)
        assert.deepInclude(end._tag === "Left" ? end.left : {}, { _tag: "RuntimeFailed", reason: "WorkerLost" })
        assert.strictEqual((yield* runRemote("echo again")).stdout, "again\n")
      }),
    60_000
  )

  it.scoped(
    "told to stop, it kills its sandbox, tells the service, and ends in good order",
    () =>
      Effect.gen(function*() {
        const worker = yield* startWorker()
        const run = yield* sleeping("98764")
        yield* worker.kill("SIGTERM")
        const { code } = yield* worker.ended
        assert.strictEqual(code, 0)
        assert.deepStrictEqual(yield* processesWith("98764"), [])
        const end = yield* Fiber.join(run)
        assert.deepInclude(end._tag === "Left" ? end.left : {}, {
          reason: "WorkerLost",
          detail: "The worker was stopped."
        })
      }),
    60_000
  )

  it.scoped("when its token is revoked, it kills its sandbox and ends", () =>
    Effect.gen(function*() {
      const worker = yield* startWorker()
      const run = yield* sleeping("98765")
      yield* rpc("tokens.revoke", { tokenId: worker.tokenId })
      assert.strictEqual((yield* worker.ended).code, 4)
      assert.deepStrictEqual(yield* processesWith("98765"), [])
      yield* Fiber.interruptFork(run)
    }), 60_000)

  it.scoped("does one command with --once", () =>
    Effect.gen(function*() {
      const worker = yield* startWorker("--once")
      yield* runRemote("true")
      assert.strictEqual((yield* worker.ended).code, 0)
    }), 60_000)
})

layer(NodeContext.layer, { excludeTestServices: true, timeout: "60 seconds" })("a worker and its service", (it) => {
  it.scoped(
    "a step of a run is done by it, and it goes on working for the service that comes after a restart",
    () =>
      Effect.gen(function*() {
        const home = yield* makeHome
        const module = { SMITHERS_WORKFLOWS: path.resolve("test/cli/modules/remote.ts") }
        const first = yield* service(home, module)
        const issued = yield* smithers(["token", "issue", "--scopes", "sandbox:work", "--json"], first.env)
        const tokenFile = path.join(home, "worker-token")
        fs.writeFileSync(tokenFile, (JSON.parse(issued.stdout) as { readonly token: string }).token, { mode: 0o644 })
        fs.chmodSync(home, 0o755)
        const args = ["worker", "--url", first.info.url, "--token-file", tokenFile, "--json"]
        const worker = yield* running(args, {}, nobody)
        yield* worker.until("ready")
        const done = (runId: string, env: typeof first.env) =>
          Effect.gen(function*() {
            yield* smithers(["run", "remote", "--input", `{"word":"${runId}"}`, "--run-id", runId], env)
            assert.include(yield* eventually(runId, "RunFinished", env), "RunFinished")
            const { stdout } = yield* smithers(["events", runId, "--json"], env)
            assert.match(stdout, /SandboxCompleted.*remote|remote.*SandboxCompleted/)
          })
        yield* done("before", first.env)
        yield* first.kill("SIGTERM")
        yield* first.ended
        const second = yield* service(home, { ...module, SMITHERS_PORT: new URL(first.info.url).port })
        yield* done("after", second.env)
        yield* worker.kill("SIGTERM")
        assert.strictEqual((yield* worker.ended).code, 0)
      }),
    60_000
  )
})

import { afterAll, assert, layer } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import { createHash } from "node:crypto"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { ControlPlane, RunBudget } from "../../src/control-plane/index.ts"
import { ApprovalStore, Engine, EngineConfig, Runner, TimerStore } from "../../src/engine/index.ts"
import { Journal } from "../../src/journal/index.ts"
import { systemActor } from "../../src/model/index.ts"
import { Persistence } from "../../src/persistence/index.ts"
import { Sandbox } from "../../src/sandbox/index.ts"
import { Sandbox as SandboxTask, Task, Workflow } from "../../src/workflow/index.ts"
import { has } from "../support/Assert.ts"
import { sandboxesOf } from "../support/Sandboxes.ts"
import { ok, rpc, type Wire } from "./support/Http.ts"
import { addRun, gatewayOver, tokenFor } from "./support/Service.ts"
import { connected } from "./support/Ws.ts"

const project = fs.mkdtempSync(path.join(os.tmpdir(), "smithers-project-"))
afterAll(() => fs.rmSync(project, { recursive: true }))
fs.writeFileSync(path.join(project, "one.txt"), "one\n")
fs.writeFileSync(path.join(project, "two.txt"), "two\n")

/** Executes a script on a copy of the project, then another one. */
const scripts = Workflow.make({
  name: "scripts",
  payload: { first: Schema.String, second: Schema.String },
  success: Schema.Void,
  error: SandboxTask.SandboxFailed,
  idempotencyKey: ({ first, second }) => first + second
}).toLayer(({ first, second }) =>
  Effect.gen(function*() {
    const box = (id: string, script: string) =>
      SandboxTask.run({
        id,
        input: null,
        output: Schema.Unknown,
        files: { from: project },
        reviewDiffs: false,
        command: ["sh", "-c", script]
      })
    yield* box("first", first)
    yield* box("second", second)
    yield* Task.run({ id: "plain", output: Schema.Void, execute: Effect.void })
  }).pipe(Effect.catchTag("ReviewRejected", Effect.die))
)

/** Executes a command that needs a secret of its organization, and says what it is told by. */
const secretive = Workflow.make({
  name: "secretive",
  payload: {},
  success: Schema.Unknown,
  error: SandboxTask.SandboxFailed,
  idempotencyKey: () => "secretive"
}).toLayer(() =>
  SandboxTask.run({
    id: "box",
    runtime: "process",
    input: null,
    output: Schema.Unknown,
    command: ["sh", "-c", "printf %s \"$KEY\" | sha256sum | sed 's/ .*//; s/.*/\"&\"/'"],
    secrets: { KEY: { provider: "org", name: "acme" } }
  }).pipe(Effect.catchTag("ReviewRejected", Effect.die))
)

const sandboxes = Layer.scoped(
  Sandbox.Sandbox,
  Effect.flatMap(
    Persistence.Persistence,
    (persistence) => Effect.map(sandboxesOf(persistence), ({ sandbox }) => sandbox)
  )
)

const gateway = gatewayOver(
  Layer.mergeAll(Engine.layer, scripts, secretive).pipe(
    Layer.provideMerge(Runner.layer),
    Layer.provide(Layer.mergeAll(ApprovalStore.layer, TimerStore.layer, EngineConfig.layerDefault, RunBudget.layer()))
  ),
  sandboxes
)

layer(gateway, { excludeTestServices: true })("sandboxes on the wire", (it) => {
  const executed = (first: string, second: string) =>
    Effect.gen(function*() {
      const engine = yield* Engine.Engine
      const { runId } = yield* engine.launch({ workflow: "scripts", input: { first, second }, actor: systemActor })
      has(yield* engine.awaitEnd(runId), { status: "finished", error: null })
      return runId
    })
  const refused = (method: string, params: unknown, status: number, code: string) =>
    Effect.gen(function*() {
      const answer = yield* rpc(method, params)
      assert.deepStrictEqual([answer.status, answer.frame.error?.code], [status, code], answer.text)
      return answer.frame.error
    })

  it.effect("getNodeDiff answers what a node's sandbox changed, getRunDiff that of all nodes in their order", () =>
    Effect.gen(function*() {
      const runId = yield* executed(
        "echo more >> one.txt; printf '\\0\\1' > blob; rm two.txt",
        "mv one.txt moved.txt"
      )
      const diff = yield* ok("getNodeDiff", { runId, nodeId: "first" })
      assert.deepStrictEqual(Object.keys(diff).sort(), ["baseRef", "patches", "seq"])
      assert.deepStrictEqual(diff.patches.map(({ operation, path }: Wire) => [operation, path]), [
        ["add", "blob"],
        ["modify", "one.txt"],
        ["delete", "two.txt"]
      ])
      const [blob, one] = diff.patches
      assert.strictEqual(blob.binaryContent, Buffer.from([0, 1]).toString("base64"))
      assert.include(one.diff, "@@ -1,1 +1,2 @@\n one\n+more\n")
      assert.deepStrictEqual(yield* ok("devtools.getNodeDiff", { runId, nodeId: "first", iteration: 0 }), diff)

      const all = yield* ok("getRunDiff", { runId })
      assert.strictEqual(all.baseRef, diff.baseRef)
      assert.deepStrictEqual(all.patches.slice(0, 3), diff.patches)
      assert.deepStrictEqual(all.patches.slice(3).map(({ operation, path }: Wire) => [operation, path]), [
        ["delete", "one.txt"],
        ["add", "moved.txt"]
      ])
    }))

  it.effect("where nothing is recorded it says what is missing: the run, the node, or the changes", () =>
    Effect.gen(function*() {
      const runId = yield* executed("true", "true")
      for (const nodeId of ["first", "plain"]) {
        yield* refused("getNodeDiff", { runId, nodeId }, 409, "AttemptNotFinished")
      }
      yield* refused("getRunDiff", { runId }, 409, "AttemptNotFinished")
      yield* refused("getNodeDiff", { runId, nodeId: "first", iteration: 1 }, 404, "NodeNotFound")
      yield* refused("getNodeDiff", { runId: "nobody", nodeId: "first" }, 404, "RunNotFound")
      yield* refused("getRunDiff", { runId: "nobody" }, 404, "RunNotFound")
      yield* refused("getRunDiff", { runId: "" }, 400, "InvalidRunId")
      yield* refused("getNodeDiff", { runId, nodeId: "a b" }, 400, "InvalidNodeId")
      yield* refused("getNodeDiff", { runId, nodeId: "first", iteration: -1 }, 400, "InvalidIteration")
      yield* refused("sandboxes.list", { runId: "nobody" }, 404, "NOT_FOUND")
      yield* addRun("bare")
      assert.deepStrictEqual(yield* ok("sandboxes.list", { runId: "bare" }), [])
    }))

  it.effect("more than 50 MiB is refused for a node and told by its size for a run", () =>
    Effect.gen(function*() {
      const large = "dd if=/dev/urandom of=large bs=1M count=39 2>/dev/null"
      const runId = yield* executed(large, "echo small > small.txt")
      const error = yield* refused("getNodeDiff", { runId, nodeId: "first" }, 413, "DiffTooLarge")
      assert.strictEqual(error.maxBytes, 52_428_800)
      assert.isAbove(error.sizeBytes, 52_428_800)
      assert.lengthOf((yield* ok("getNodeDiff", { runId, nodeId: "second" })).patches, 1)
      const answer = yield* ok("getRunDiff", { runId })
      assert.deepStrictEqual(Object.keys(answer).sort(), ["baseRef", "maxBytes", "sizeBytes", "status", "terminalRef"])
      has(answer, { status: "oversized", maxBytes: 52_428_800 })
    }))

  it.effect("sandboxes.list shows status, policy and proof of each attempt", () =>
    Effect.gen(function*() {
      const runId = yield* executed("echo more >> one.txt", "true")
      const reader = yield* tokenFor(["run:read"])
      const rows = yield* ok("sandboxes.list", { runId }, reader.token)
      assert.deepStrictEqual(rows.map(({ sandboxId, status }: Wire) => [sandboxId, status]), [
        ["first", "finished"],
        ["second", "finished"]
      ])
      const [row] = rows
      has(row, { runtime: "bubblewrap", attempt: 1, patchCount: 1, error: null })
      assert.strictEqual(row.policy.allowNetwork, false)
      assert.isTrue(row.proof.controls.some(({ control, enforced }: Wire) => control === "network" && enforced))
    }))

  it.effect("sandbox.verify answers the whole table, to administrators of runs", () =>
    Effect.gen(function*() {
      const proof = yield* ok("sandbox.verify", {})
      assert.strictEqual(proof.runtime, "bubblewrap")
      const controls = proof.controls.map(({ control }: Wire) => control)
      assert.includeMembers(controls, ["files", "environment", "network", "memoryLimit", "pidsLimit", "diskLimit"])
      const unknown = yield* refused("sandbox.verify", { runtime: "remote" }, 501, "UnsupportedSandbox")
      assert.strictEqual(unknown.runtime, "remote")
      yield* refused("sandbox.verify", { runtime: "jail" }, 400, "INVALID_REQUEST")
      yield* refused("sandbox.verify", { image: "no image" }, 400, "INVALID_INPUT")
      const writer = yield* tokenFor(["run:write"])
      assert.strictEqual((yield* rpc("sandbox.verify", {}, writer.token)).status, 403)
    }))

  it.scoped("events of sandboxes are listed and streamed under their own names, and broadcast to nobody", () =>
    Effect.gen(function*() {
      const client = yield* connected()
      const runId = yield* executed("echo hello; echo more >> one.txt", "true")
      const events: ReadonlyArray<Wire> = yield* ok("listEvents", { runId, limit: 1_000 })
      const named = events.map(({ event }) => event).filter((event) => event.startsWith("Sandbox"))
      assert.deepStrictEqual(named.slice(0, 4), [
        "SandboxCreated",
        "SandboxShipped",
        "SandboxBundleReceived",
        "SandboxCompleted"
      ])
      const journal = yield* Journal.Journal
      const last = yield* journal.lastSeq(runId)
      assert.strictEqual(events.at(-1).seq, last)
      const seen: Array<string> = []
      yield* client.until((frame) => {
        if (frame.type === "event" && frame.payload?.runId === runId) seen.push(frame.event)
        return frame.event === "run.completed" && frame.payload.runId === runId
      })
      assert.deepStrictEqual(seen.filter((event) => event.startsWith("Sandbox")), [])
      assert.include(seen, "task.output")
    }))

  it.effect("a sandbox of an organization's run has that organization's secrets, and its seconds count for the project", () =>
    Effect.gen(function*() {
      const plane = yield* ControlPlane.ControlPlane
      for (const orgId of ["acme", "other"]) {
        yield* plane.createOrg({ orgId, slug: orgId, name: orgId })
        yield* plane.createProject({ orgId, projectId: "app", slug: "app", name: "app" })
      }
      const engine = yield* Engine.Engine
      const launched = (orgId: string) =>
        Effect.gen(function*() {
          const { runId } = yield* ok("launchRun", { workflow: "secretive", orgId, projectId: "app" })
          return yield* engine.awaitEnd(runId)
        })
      const run = yield* launched("acme")
      has(run, { status: "finished", output: createHash("sha256").update("a-value-for-tests").digest("hex") })
      const usage = yield* plane.summarizeUsage({ orgId: "acme", projectId: "app" })
      const seconds = usage.find(({ metric }) => metric === "sandbox_seconds")
      has(seconds, { unit: "seconds", projectId: "app" })
      assert.isAbove(seconds!.quantity, 0)
      const rows = yield* ok("usage.list", { orgId: "acme", metric: "sandbox_seconds" })
      assert.deepStrictEqual(rows.map(({ projectId, runId }: Wire) => [projectId, runId]), [["app", run.runId]])

      const foreign = yield* launched("other")
      assert.include(foreign.error?.message, "No secret org:acme")
      // Failed or not, it took its time; it is the other's.
      assert.lengthOf(yield* ok("usage.list", { orgId: "acme", metric: "sandbox_seconds" }), 1)
    }))
})

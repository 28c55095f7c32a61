import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { DecisionRefused, InvalidInput, NodeNotFound, RunConflict, WorkflowNotFound } from "../../src/engine/index.ts"
import { RunStore } from "../../src/journal/index.ts"
import { type Approval, NodeId, RunId } from "../../src/model/index.ts"
import { Persistence, PersistenceError } from "../../src/persistence/index.ts"
import { ok, rpc, type Wire } from "./support/Http.ts"
import { addEvents, addRun, gatewayWith, nodeEvents } from "./support/Service.ts"

const calls: Array<unknown> = []
const noting = <A>(answer: A) => (...args: ReadonlyArray<unknown>) => {
  calls.push(args.length === 1 ? args[0] : args)
  return Effect.succeed(answer)
}
const refusing = (refusals: Record<string, () => Wire>, otherwise: (request: Wire) => Wire) => (request: Wire) => {
  const id = typeof request === "string" ? request : request.runId ?? request.workflow
  return refusals[id]?.() ?? otherwise(request)
}
const conflict = (reason: RunConflict["reason"], status: string | null = null) => () =>
  new RunConflict({ runId: "r", reason, status })
const notFound = () => new RunStore.RunNotFound({ runId: "r" })
const refusal = (reason: DecisionRefused["reason"]) => () =>
  new DecisionRefused({
    runId: "r",
    nodeId: "gate",
    iteration: 0,
    reason,
    status: reason === "AlreadyDecided" ? "approved" : null
  })

const approval: Approval = {
  runId: RunId.make("r1"),
  workflow: "demo",
  nodeId: NodeId.make("gate"),
  iteration: 0,
  title: "Ship it?",
  summary: "demo gate",
  payload: { notes: ["a"] },
  payloadSha256: "0".repeat(64),
  owner: "lead",
  fallbackOwner: null,
  allowedScopes: [],
  allowedUsers: [],
  status: "requested",
  requestedAtMs: 5,
  decidedAtMs: null,
  decidedBy: null,
  note: null,
  decision: null
}

const secret = "secret-of-the-house"
const persistenceError = () => new PersistenceError({ operation: secret, reason: "Sql", cause: new Error(secret) })

const gateway = gatewayWith({
  launch: refusing({
    taken: conflict("Exists", "running"),
    missing: () => new WorkflowNotFound({ workflow: "missing" }),
    picky: () => new InvalidInput({ field: "input.repo", problem: "is required" }),
    broken: persistenceError,
    dying: () => Effect.die(new Error(secret))
  }, (request) => noting({ runId: request.runId ?? "new-run", workflow: request.workflow, existing: false })(request)),
  cancel: refusing(
    { gone: notFound, done: conflict("NotActive", "finished") },
    (runId) =>
      Effect.succeed({
        runId,
        outcome: runId === "parked" ? "cancelled" : runId === "twice" ? "already-cancelled" : "requested"
      })
  ),
  pause: refusing({ gone: notFound, done: conflict("NotActive", "finished") }, () => Effect.void),
  resume: refusing({ gone: notFound }, (runId) => Effect.succeed(runId !== "done")),
  retry: refusing({
    gone: notFound,
    busy: conflict("Active", "running"),
    fine: conflict("NotFailed", "finished"),
    noNode: () => new NodeNotFound({ runId: "r", nodeId: "x", iteration: 0 })
  }, noting(["bad", "worse"])),
  remove: refusing({ gone: notFound, busy: conflict("Active", "running") }, () => Effect.void),
  approvals: noting([approval]),
  decide: refusing({
    gone: notFound,
    decided: refusal("AlreadyDecided"),
    calm: refusal("NotWaiting"),
    foreign: refusal("NotAllowed"),
    changed: refusal("PayloadChanged")
  }, noting(approval))
})

layer(gateway, { excludeTestServices: true })("methods", (it) => {
  const error = (method: string, params: unknown, status: number, code: string) =>
    Effect.gen(function*() {
      const answer = yield* rpc(method, params)
      assert.deepStrictEqual([method, answer.status, answer.frame.error?.code], [method, status, code], answer.text)
      return answer.frame.error
    })
  it.effect("launchRun hands over id, key, input and who started it, and answers the run", () =>
    Effect.gen(function*() {
      const payload = yield* ok("launchRun", {
        workflow: "demo",
        input: { a: 1 },
        options: { runId: "mine", idempotencyKey: "k", startedBy: { harness: "curl" } }
      })
      assert.deepStrictEqual(payload, { runId: "mine", workflow: "demo", system: false, existing: false })
      assert.deepInclude(calls.at(-1), {
        workflow: "demo",
        runId: "mine",
        idempotencyKey: "k",
        input: { a: 1 },
        startedBy: { harness: "curl" }
      })
      yield* ok("runs.create", { workflow: "demo", input: [1], runId: "top" })
      assert.deepInclude(calls.at(-1), { runId: "top", input: {} })
    }))

  it.effect("launchRun: what the engine refuses has its code", () =>
    Effect.gen(function*() {
      yield* error("launchRun", { workflow: "demo", runId: "taken" }, 409, "CONFLICT")
      yield* error("launchRun", { workflow: "missing" }, 404, "NOT_FOUND")
      const invalid = yield* error("launchRun", { workflow: "picky" }, 400, "INVALID_INPUT")
      assert.strictEqual(invalid.message, "input.repo: is required")
    }))

  it.effect("what is not declared is an opaque SERVER_ERROR with the id under which it is logged", () =>
    Effect.gen(function*() {
      for (const workflow of ["broken", "dying"]) {
        const { frame, status, text } = yield* rpc("launchRun", { workflow })
        assert.deepStrictEqual([status, frame.error.code], [500, "SERVER_ERROR"])
        assert.match(frame.error.errorId, /^[0-9a-f-]{36}$/)
        assert.strictEqual(frame.error.message, `Internal error ${frame.error.errorId}`)
        assert.notInclude(text, secret)
      }
    }))

  it.effect("cancelRun, pauseRun, resumeRun and runs.delete answer as the wire says", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* ok("cancelRun", { runId: "r1" }), { runId: "r1", status: "cancelling" })
      assert.deepStrictEqual(yield* ok("cancelRun", { runId: "parked" }), { runId: "parked", status: "cancelled" })
      assert.deepStrictEqual(yield* ok("runs.cancel", { runId: "twice" }), {
        runId: "twice",
        status: "already-terminal"
      })
      yield* error("cancelRun", { runId: "gone" }, 404, "RunNotFound")
      yield* error("cancelRun", { runId: "done" }, 409, "RUN_NOT_ACTIVE")
      assert.deepStrictEqual(yield* ok("pauseRun", { runId: "r1" }), { runId: "r1", status: "pausing" })
      yield* error("pauseRun", { runId: "done" }, 409, "RUN_NOT_ACTIVE")
      assert.deepStrictEqual(yield* ok("resumeRun", { runId: "r1" }), { runId: "r1", status: "resume_requested" })
      assert.deepStrictEqual(yield* ok("resumeRun", { runId: "done" }), { runId: "done", status: "already_terminal" })
      yield* error("resumeRun", { runId: "gone" }, 404, "NOT_FOUND")
      assert.deepStrictEqual(yield* ok("runs.delete", { runId: "r1" }), { runId: "r1", deleted: true })
      yield* error("runs.delete", { runId: "busy" }, 409, "RUN_ACTIVE")
      yield* error("runs.delete", { runId: "gone" }, 404, "NOT_FOUND")
    }))

  it.effect("retryTask asks for the first iteration and its dependents unless told otherwise", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* ok("retryTask", { runId: "r1", nodeId: "bad" }), {
        runId: "r1",
        nodeId: "bad",
        iteration: 0,
        resetNodes: ["bad", "worse"],
        status: "retry_requested"
      })
      assert.deepInclude(calls.at(-1), { iteration: 0, resetDependents: true })
      yield* error("retryTask", { runId: "busy", nodeId: "bad" }, 409, "RUN_ACTIVE")
      yield* error("retryTask", { runId: "fine", nodeId: "bad" }, 409, "CONFLICT")
      yield* error("retryTask", { runId: "noNode", nodeId: "bad" }, 404, "NOT_FOUND")
    }))

  it.effect("listApprovals shows what is to be approved, and takes its filter from either place", () =>
    Effect.gen(function*() {
      const [row] = yield* ok("listApprovals", { filter: { runId: "r1" }, limit: 5 })
      assert.deepInclude(calls.at(-1), { runId: "r1", limit: 5 })
      assert.deepInclude(row, {
        runId: "r1",
        workflowKey: "demo",
        nodeId: "gate",
        requestTitle: "Ship it?",
        requestSummary: "demo gate",
        requestedAtMs: 5,
        approvalMode: "decision",
        options: [],
        autoApprove: null,
        payload: { notes: ["a"] }
      })
    }))

  it.effect("submitApproval takes the decision from either place and hands over its value", () =>
    Effect.gen(function*() {
      const at = { runId: "r1", nodeId: "gate" }
      assert.deepStrictEqual(yield* ok("submitApproval", { ...at, approved: false, note: "no" }), {
        ...at,
        iteration: 0,
        approved: false
      })
      assert.deepInclude(calls.at(-1), { approved: false, note: "no", value: undefined })
      yield* ok("approvals.decide", { ...at, decision: { approved: true, value: 7, note: "yes" } })
      assert.deepInclude(calls.at(-1), { approved: true, note: "yes", value: 7 })
      yield* ok("submitApproval", { ...at, decision: { approved: true, selected: "a" } })
      assert.deepInclude(calls.at(-1), { value: { approved: true, selected: "a" } })
      yield* error("submitApproval", at, 400, "INVALID_REQUEST")
    }))

  it.effect("submitApproval: a refused decision says why", () =>
    Effect.gen(function*() {
      const at = { nodeId: "gate", approved: true }
      const decided = yield* error("submitApproval", { runId: "decided", ...at }, 409, "AlreadyDecided")
      assert.deepInclude(decided, { runId: "r", nodeId: "gate", iteration: 0, status: "approved" })
      const calm = yield* error("submitApproval", { runId: "calm", ...at }, 400, "INVALID_INPUT")
      assert.strictEqual(calm.message, "Node gate is not waiting for approval.")
      yield* error("submitApproval", { runId: "foreign", ...at }, 403, "FORBIDDEN")
      yield* error("submitApproval", { runId: "changed", ...at }, 409, "CONFLICT")
      yield* error("submitApproval", { runId: "gone", ...at }, 404, "NOT_FOUND")
    }))

  it.effect("listRuns filters and pages, newest first", () =>
    Effect.gen(function*() {
      for (const [index, runId] of ["page-a", "page-b", "page-c"].entries()) {
        yield* addRun(runId, "zeta", { createdAtMs: 10 + index })
      }
      const ids = (filter: object) =>
        Effect.map(
          ok("listRuns", { filter: { workflow: "zeta", ...filter } }),
          (rows) => rows.map((r: Wire) => r.runId)
        )
      assert.deepStrictEqual(yield* ids({}), ["page-c", "page-b", "page-a"])
      assert.deepStrictEqual(yield* ids({ limit: 1, offset: 1 }), ["page-b"])
      assert.deepStrictEqual(yield* ids({ status: "finished" }), [])
      const [row] = yield* ok("listRuns", { filter: { limit: 1, workflow: "zeta" } })
      assert.deepInclude(row, { workflowKey: "zeta", workflowPath: null, vcsRoot: null, system: false })
      assert.notProperty(row, "summary")
    }))

  it.effect("getRun answers row, summary, state and input", () =>
    Effect.gen(function*() {
      yield* addRun("detail", "demo", { startedBy: { harness: "curl" } })
      const run = yield* ok("getRun", { runId: "detail" })
      assert.deepInclude(run, { runId: "detail", summary: {}, input: { a: 1 }, output: null, error: null, hold: null })
      assert.deepStrictEqual(run.startedBy, { harness: "curl" })
      assert.deepInclude(run.runState, { runId: "detail", state: "running" })
      assert.match(run.runState.computedAt, /^\d{4}-\d\d-\d\dT.*Z$/)
      assert.strictEqual(JSON.parse(run.configJson).gatewayTriggeredBy, "system")
    }))

  it.effect("listRunDescendants goes breadth first from the root", () =>
    Effect.gen(function*() {
      yield* addRun("root")
      yield* addRun("kid", "demo", { parentRunId: "root" })
      yield* addRun("grandkid", "demo", { parentRunId: "kid" })
      assert.deepStrictEqual(yield* ok("runs.descendants", { runId: "root" }), [
        { runId: "root", parentRunId: null, depth: 0 },
        { runId: "kid", parentRunId: "root", depth: 1 },
        { runId: "grandkid", parentRunId: "kid", depth: 2 }
      ])
      assert.lengthOf(yield* ok("listRunDescendants", { runId: "root", limit: 2 }), 2)
      yield* error("listRunDescendants", { runId: "nobody" }, 404, "NOT_FOUND")
    }))

  it.effect("nodes: states, attempts and outputs", () =>
    Effect.gen(function*() {
      const { write } = yield* Persistence.Persistence
      const runs = yield* RunStore.RunStore
      const runId = "nodes-1"
      yield* addRun(runId)
      const node = (nodeId: string, more: Partial<RunStore.NodeRecord>) =>
        write(runs.putNode({
          runId,
          nodeId,
          iteration: 0,
          ordinal: 0,
          kind: "task",
          label: null,
          parentNodeId: null,
          state: "finished",
          attempt: 1,
          outputJson: null,
          error: null,
          startedAtMs: 1,
          finishedAtMs: 2,
          updatedAtMs: 2,
          ...more
        }))
      yield* node("good", { outputJson: "{\"value\":3,\"none\":null}" })
      yield* node("bad", {
        ordinal: 1,
        state: "failed",
        attempt: 2,
        error: { name: "Error", message: "kaput", typed: false }
      })
      yield* node("next", { ordinal: 2, state: "pending", attempt: 0 })
      yield* write(runs.putAttempt({
        runId,
        nodeId: "bad",
        iteration: 0,
        attempt: 2,
        state: "failed",
        error: { name: "Error", message: "kaput", typed: false },
        startedAtMs: 1,
        finishedAtMs: 2
      }))
      assert.deepStrictEqual(yield* ok("getNodeOutput", { runId, nodeId: "good" }), {
        status: "produced",
        row: { value: 3, none: null },
        schema: {
          fields: [
            { name: "value", type: "number", optional: false, nullable: false },
            { name: "none", type: "null", optional: false, nullable: true }
          ]
        }
      })
      assert.deepInclude(yield* ok("getNodeOutput", { runId, nodeId: "bad", iteration: 0 }), {
        status: "failed",
        error: { name: "Error", message: "kaput", attempt: 2 }
      })
      assert.strictEqual((yield* ok("getNodeOutput", { runId, nodeId: "next" })).status, "pending")
      yield* error("getNodeOutput", { runId, nodeId: "nothing" }, 404, "NodeNotFound")
      yield* error("getNodeOutput", { runId: "nobody", nodeId: "good" }, 404, "RunNotFound")
      const states = yield* ok("listNodeStates", { runId })
      assert.deepStrictEqual(states.map(({ nodeId, state }: Wire) => [nodeId, state]), [
        ["good", "finished"],
        ["bad", "failed"],
        ["next", "pending"]
      ])
      yield* error("listNodeStates", { runId: "nobody" }, 404, "NOT_FOUND")
      const [attempt] = yield* ok("attempts.list", { runId, nodeId: "bad" })
      assert.deepInclude(attempt, { nodeId: "bad", attempt: 2, state: "failed", cached: false, metaJson: null })
      // A first attempt that came to a result is known by its node's row.
      const [good, ...others] = yield* ok("attempts.list", { runId, nodeId: "good" })
      assert.deepInclude(good, { nodeId: "good", attempt: 1, state: "finished", startedAtMs: 1, finishedAtMs: 2 })
      assert.deepStrictEqual(others, [])
      assert.deepStrictEqual(yield* ok("attempts.list", { runId, nodeId: "next" }), [])
    }))

  it.effect("listEvents pages the journal in the stored vocabulary, from seq 1", () =>
    Effect.gen(function*() {
      yield* addRun("events-1")
      yield* addEvents("events-1", [{ type: "RunStarted" }, ...nodeEvents(3)])
      const first = yield* ok("listEvents", { runId: "events-1", limit: 2 })
      assert.deepStrictEqual(first[0], {
        runId: "events-1",
        seq: 1,
        event: "RunStarted",
        payload: { type: "RunStarted", runId: "events-1", timestampMs: 1_000 },
        timestampMs: 1_000
      })
      const rest = yield* ok("listEvents", { runId: "events-1", afterSeq: 2 })
      assert.deepStrictEqual(rest.map(({ seq }: Wire) => seq), [3, 4])
      assert.deepStrictEqual(yield* ok("listEvents", { runId: "events-1", afterSeq: 4 }), [])
      yield* error("listEvents", { runId: "nobody" }, 404, "NOT_FOUND")
    }))
})

import { assert, it } from "@effect/vitest"
import { WorkflowEngine } from "@effect/workflow"
import { Effect, Either, FastCheck, Fiber, Schema, TestClock } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { ApprovalGate } from "../../src/engine/index.ts"
import { type Actor, Bounds } from "../../src/model/index.ts"
import { Approval, Task, Workflow } from "../../src/workflow/index.ts"
import { has } from "../support/Assert.ts"
import { actor, dump, fresh, freshDatabase, quiet, startProcess, types, until, workflow } from "../support/Engine.ts"

const Text = Schema.String
const task = (id: string, execute: Effect.Effect<string> = Effect.succeed(id)) =>
  Task.run({ id, output: Text, execute })
const ask = (id: string, options: Partial<Approval.Request> = {}) =>
  Approval.ask({ id, title: `May we ${id}?`, payload: { id }, ...options })
const person = (userId: string, scopes: ReadonlyArray<string> = []): Actor => ({
  userId,
  tokenId: null,
  role: "user",
  scopes
})

it.scoped("a run that waits for a person is a row: no fiber, no memory", () =>
  Effect.gen(function*() {
    setFlagsFromString("--expose-gc")
    const collect: () => void = runInNewContext("gc")
    let instance: WeakRef<object> | undefined
    const { launch, reaches, runner } = yield* fresh(workflow(() =>
      Effect.zipRight(
        Effect.map(WorkflowEngine.WorkflowInstance, (current) => {
          instance = new WeakRef(current)
        }),
        ask("gate")
      )
    ))
    const runId = yield* launch()
    yield* reaches(runId, "waiting-approval")
    assert.isFalse(runner.isActive(runId))
    for (let i = 0; i < 50 && instance!.deref() !== undefined; i++) {
      yield* quiet
      collect()
    }
    assert.isUndefined(instance!.deref())
  }))

it.scoped("a decision of a parked run takes it up, and what was done before the gate is not done again", () =>
  Effect.gen(function*() {
    let before = 0
    const { decide, end, engine, launch, reaches } = yield* fresh(
      workflow(() => Effect.zipRight(task("before", Effect.sync(() => (before++, ""))), ask("gate")))
    )
    const runId = yield* launch()
    yield* reaches(runId, "waiting-approval")
    const view = yield* engine.view(runId)
    assert.deepStrictEqual(view.blocked, { kind: "approval", nodeId: "gate", requestedAtMs: 0 })
    const decided = yield* decide(runId, "gate")
    has(decided, { status: "approved", decidedBy: "user:ada" })
    has((yield* end(runId)).output, { approved: true, decidedBy: "user:ada", note: null })
    assert.strictEqual(before, 1)
  }))

for (const commit of ["ApprovalRequested", "RunStatusChanged"]) {
  for (const order of ["before", "after"]) {
    it.scoped(`a decision ${order} the commit of ${commit === "ApprovalRequested" ? "the question" : "the parking"} is not lost`, () =>
      Effect.gen(function*() {
        const { decide, end, engine, launch, line } = yield* fresh(workflow(() => ask("gate")))
        const held = yield* Effect.fork(line.hold(commit))
        const runId = yield* launch()
        const release = yield* Fiber.join(held)
        if (commit === "ApprovalRequested") {
          // Nobody can decide what nobody has been asked.
          const error = yield* Effect.flip(decide(runId, "gate"))
          has(error, { _tag: "DecisionRefused", reason: "NotWaiting" })
          yield* release
          yield* until(Effect.map(engine.approvals({}), ({ length }) => length === 1), "the question")
          if (order === "after") yield* quiet
          yield* decide(runId, "gate")
        } else if (order === "before") {
          yield* decide(runId, "gate")
          yield* release
        } else {
          const deciding = yield* Effect.zipRight(release, Effect.fork(decide(runId, "gate")))
          yield* Fiber.join(deciding)
        }
        assert.strictEqual((yield* end(runId)).status, "finished")
      }))
  }
}

it.scoped("a decision at any moment after the question is not lost", () =>
  Effect.gen(function*() {
    const { decide, end, launch } = yield* fresh(workflow(() => ask("gate")))
    for (let yields = 0; yields < 40; yields += 4) {
      const runId = yield* launch()
      const decided = Effect.retry(Effect.zipRight(Effect.yieldNow(), decide(runId, "gate")), { times: 1_000_000 })
      yield* Effect.repeatN(Effect.yieldNow(), yields)
      yield* decided
      assert.strictEqual((yield* end(runId)).status, "finished")
    }
  }))

it.scoped("a decision that committed when the process died is found by the next one", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    const definition = workflow(() => Effect.zipRight(ask("gate"), task("after", Effect.never)))
    const first = yield* startProcess(database, definition)
    const runId = yield* first.launch()
    yield* first.reaches(runId, "waiting-approval")
    const held = yield* Effect.fork(first.line.hold("RunResumed"))
    yield* first.decide(runId, "gate")
    yield* Effect.asVoid(Fiber.join(held))
    first.line.die()
    const second = yield* startProcess(database, workflow(() => Effect.zipRight(ask("gate"), task("after"))), {
      supervised: true
    })
    assert.strictEqual((yield* second.end(runId)).output, "after")
  }))

it.scoped("gates side by side are decided in any order, each branch goes on, and the run waits for the last", () =>
  Effect.gen(function*() {
    const ids = ["a", "b", "c", "d"]
    const { decide, end, launch, reaches, runs } = yield* fresh(
      workflow(() =>
        Effect.forEach(ids, (id) => Effect.zipRight(ask(id), task(`after-${id}`)), { concurrency: "unbounded" })
      )
    )
    for (const order of FastCheck.sample(FastCheck.shuffledSubarray(ids, { minLength: 4 }), { numRuns: 8, seed: 5 })) {
      const runId = yield* launch()
      yield* reaches(runId, "waiting-approval")
      for (const [i, id] of order.entries()) {
        yield* decide(runId, id)
        if (i < 3) {
          yield* until(
            Effect.map(runs.summary(runId), ({ finished }) => finished === (i + 1) * 2),
            "the branch"
          )
        }
      }
      assert.deepStrictEqual((yield* end(runId)).output, ids.map((id) => `after-${id}`))
    }
  }))

it.scoped("of 20 decisions at once exactly one counts, and all others hear what was decided", () =>
  Effect.gen(function*() {
    const { approvals, end, engine, events, launch, reaches } = yield* fresh(workflow(() => ask("gate")))
    const runId = yield* launch()
    yield* reaches(runId, "waiting-approval")
    const answers = yield* Effect.forEach(
      Array.from({ length: 20 }, (_, i) => i),
      (i) =>
        Effect.either(
          engine.decide({ runId, nodeId: "gate", iteration: 0, approved: i % 2 === 0, actor: person(`u${i}`) })
        ),
      { concurrency: "unbounded" }
    )
    const winners = answers.filter(Either.isRight)
    assert.strictEqual(winners.length, 1)
    const { decidedBy, status } = winners[0]!.right
    for (const loser of answers.filter(Either.isLeft)) {
      has(loser.left, { _tag: "DecisionRefused", reason: "AlreadyDecided", status })
    }
    const stored = yield* approvals.find(runId, "gate", 0)
    assert.strictEqual(stored._tag === "Some" && stored.value.decidedBy, decidedBy)
    has((yield* end(runId)).output, { approved: status === "approved", decidedBy })
    const decisions = types(yield* events(runId)).filter((type) =>
      type === "ApprovalGranted" || type === "ApprovalDenied"
    )
    assert.strictEqual(decisions.length, 1)
  }))

it.scoped("a second decision is told what the first one was, also when the run has ended; only the audit remembers it", () =>
  Effect.gen(function*() {
    const { audit, database, decide, end, launch, reaches } = yield* fresh(workflow(() => ask("gate")))
    const runId = yield* launch()
    yield* reaches(runId, "waiting-approval")
    yield* decide(runId, "gate", false)
    yield* end(runId)
    const state = dump(database, ["_smithers_audit", "sqlite_sequence"])
    const before = yield* state
    const remembered = yield* audit.list({ runId, limit: 100 })
    has(yield* Effect.flip(decide(runId, "gate")), { reason: "AlreadyDecided", status: "denied" })
    assert.strictEqual(yield* state, before)
    const [newest, ...earlier] = yield* audit.list({ runId, limit: 100 })
    has(newest, { action: "approval.grant", outcome: "refused", target: "gate" })
    assert.deepStrictEqual(earlier, remembered)
  }))

it.scoped("a no fails the gate with who said it and why, and a body that asks goes on with the answer", () =>
  Effect.gen(function*() {
    const { end, engine, launch, reaches } = yield* fresh(workflow(({ kind }) =>
      kind === "request"
        ? Approval.request({ id: "gate", title: "?", payload: null })
        : Effect.map(ask("gate"), ({ approved }) => `approved: ${approved}`), { error: Approval.ApprovalDenied }))
    const denied = (kind: string) =>
      Effect.gen(function*() {
        const runId = yield* launch({ kind })
        yield* reaches(runId, "waiting-approval")
        yield* engine.decide({
          runId,
          nodeId: "gate",
          iteration: 0,
          approved: false,
          note: "not today",
          actor: person("bob")
        })
        return yield* end(runId)
      })
    has((yield* denied("request")).error, {
      name: "ApprovalDenied",
      typed: true,
      data: { _tag: "ApprovalDenied", nodeId: "gate", decidedBy: "bob", note: "not today" }
    })
    assert.strictEqual((yield* denied("ask")).output, "approved: false")
  }))

it.scoped("a decision holds only for what the approver saw", () =>
  Effect.gen(function*() {
    const { end, engine, launch, reaches } = yield* fresh(workflow(() => ask("gate", { payload: { b: 1, a: [2] } })))
    const runId = yield* launch()
    yield* reaches(runId, "waiting-approval")
    const [asked] = yield* engine.approvals({ runId })
    assert.strictEqual(asked!.payloadSha256, ApprovalGate.payloadSha256(`{"a":[2],"b":1}`))
    const decision = { runId, nodeId: "gate", iteration: 0, approved: true, actor }
    has(yield* Effect.flip(engine.decide({ ...decision, payloadSha256: "0".repeat(64) })), {
      reason: "PayloadChanged"
    })
    yield* engine.decide({ ...decision, payloadSha256: asked!.payloadSha256 })
    assert.strictEqual((yield* end(runId)).status, "finished")
  }))

it.scoped("code that would carry out something else is asked for anew while nobody has decided", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    const version = (payload: string) =>
      workflow(() => Effect.zipRight(ask("gate", { payload }), Effect.succeed(payload)))
    const first = yield* startProcess(database, version("old"))
    const runId = yield* first.launch()
    yield* first.reaches(runId, "waiting-approval")
    const [old] = yield* first.engine.approvals({})
    first.line.die()
    const second = yield* startProcess(database, version("new"))
    yield* second.engine.resume(runId, actor)
    yield* until(Effect.map(second.engine.approvals({}), ([asked]) => asked?.payload === "new"), "the new question")
    yield* second.reaches(runId, "waiting-approval")
    const decision = { runId, nodeId: "gate", iteration: 0, approved: true, actor }
    has(yield* Effect.flip(second.engine.decide({ ...decision, payloadSha256: old!.payloadSha256 })), {
      reason: "PayloadChanged"
    })
    yield* second.engine.decide(decision)
    assert.strictEqual((yield* second.end(runId)).output, "new")
  }))

it.scoped("code that would carry out something else than what was decided is held as diverged", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    const version = (payload: string) =>
      workflow(() => Effect.zipRight(ask("gate", { payload }), task("after", Effect.never)))
    const first = yield* startProcess(database, version("old"))
    const runId = yield* first.launch()
    yield* first.reaches(runId, "waiting-approval")
    yield* first.decide(runId, "gate")
    yield* until(Effect.map(first.runs.summary(runId), (all) => all["in-progress"] === 1), "the step after it")
    first.line.die()
    const second = yield* startProcess(database, version("new"))
    yield* second.runner.lookAfter
    yield* second.reaches(runId, "paused")
    has((yield* second.runs.get(runId)).hold, { kind: "diverged", nodeId: "gate" })
  }))

it.scoped("only the named users may decide, and only holders of one of the named scopes", () =>
  Effect.gen(function*() {
    const { end, engine, launch, reaches } = yield* fresh(workflow(({ users, scopes }) =>
      ask("gate", { allowedUsers: users as Array<string>, allowedScopes: scopes as Array<string> })
    ))
    const runId = yield* launch({ users: ["ada", "bob"], scopes: ["release:ship", "run:write"] })
    yield* reaches(runId, "waiting-approval")
    const decide = (who: Actor, holds?: (scope: string) => boolean) =>
      engine.decide({ runId, nodeId: "gate", iteration: 0, approved: true, actor: who, holds })
    const refused = { _tag: "DecisionRefused", reason: "NotAllowed" }
    has(yield* Effect.flip(decide(person("eve", ["*"]))), refused)
    has(yield* Effect.flip(decide(person("ada", ["approval:submit"]))), refused)
    has(yield* Effect.flip(decide({ ...person("ada", ["run:write"]), userId: null })), refused)
    has(yield* Effect.flip(decide(person("ada", ["run:admin"]))), refused)
    // The gateway knows what a scope implies.
    yield* decide(person("ada", ["run:admin"]), (scope) =>
      scope === "run:write")
    assert.strictEqual((yield* end(runId)).status, "finished")
  }))

it.scoped("Guarantee 8: a note, a decision or a payload over its bound is refused with the bound", () =>
  Effect.gen(function*() {
    const { database, end, engine, launch, reaches } = yield* fresh(
      workflow(({ size }) => ask("gate", { payload: "x".repeat(size as number) }))
    )
    const runId = yield* launch({ size: 1 })
    yield* reaches(runId, "waiting-approval")
    const before = yield* dump(database)
    const decision = { runId, nodeId: "gate", iteration: 0, approved: true, actor }
    const note = yield* Effect.flip(engine.decide({ ...decision, note: "x".repeat(Bounds.noteChars + 1) }))
    has(note, { _tag: "InvalidInput", field: "note" })
    const value = yield* Effect.flip(engine.decide({ ...decision, value: "x".repeat(Bounds.runInputBytes) }))
    has(value, { _tag: "InvalidInput", field: "decision" })
    assert.strictEqual(yield* dump(database), before)
    yield* engine.decide({ ...decision, note: "é".repeat(Bounds.noteChars) })
    yield* end(runId)
    const tooBig = yield* end(yield* launch({ size: Bounds.approvalPayloadBytes }))
    assert.include(tooBig.error!.message, String(Bounds.approvalPayloadBytes))
  }))

it.scoped("a decision of what does not exist names what is missing", () =>
  Effect.gen(function*() {
    const { decide, end, launch } = yield* fresh(workflow(() => task("t")))
    assert.strictEqual((yield* Effect.flip(decide("nobody", "gate")))._tag, "RunNotFound")
    const { runId } = yield* end(yield* launch())
    has(yield* Effect.flip(decide(runId, "t")), { _tag: "DecisionRefused", reason: "NotWaiting" })
  }))

it.scoped("what the approver answers reaches the body as it was sent", () =>
  Effect.gen(function*() {
    const { end, engine, launch, reaches } = yield* fresh(workflow(() => Effect.map(ask("gate"), ({ value }) => value)))
    for (const value of FastCheck.sample(FastCheck.jsonValue(), { numRuns: 15, seed: 2 })) {
      const runId = yield* launch()
      yield* reaches(runId, "waiting-approval")
      yield* engine.decide({ runId, nodeId: "gate", iteration: 0, approved: true, value, actor })
      assert.strictEqual(JSON.stringify((yield* end(runId)).output), JSON.stringify(value))
    }
  }))

for (const payload of [0, 1_000, 1_000_000]) {
  for (const history of [0, 300]) {
    for (const delay of ["0 millis", "1 hour"] as const) {
      it.scoped(`an approval of ${payload} bytes after ${history} steps and ${delay} goes on exactly once`, () =>
        Effect.gen(function*() {
          let executed = 0
          const { decide, end, engine, launch, reaches } = yield* fresh(workflow(() =>
            Effect.gen(function*() {
              yield* Effect.forEach(Array.from({ length: history }, (_, i) => i), (i) =>
                task("t", Effect.sync(() => (executed++, ""))).pipe(Task.iteration(i)))
              yield* ask("gate", { payload: "x".repeat(payload) })
              return yield* task("after", Effect.sync(() => (executed++, "after")))
            })
          ))
          const runId = yield* launch()
          yield* reaches(runId, "waiting-approval")
          yield* TestClock.adjust(delay)
          assert.strictEqual(((yield* engine.approvals({ runId }))[0]!.payload as string).length, payload)
          yield* decide(runId, "gate")
          assert.strictEqual((yield* end(runId)).output, "after")
          assert.strictEqual(executed, history + 1)
        }))
    }
  }
}

it.scoped("the same gate in each turn of a loop is a question of its own", () =>
  Effect.gen(function*() {
    const { end, engine, launch, reaches } = yield* fresh(workflow(() =>
      Effect.forEach([0, 1, 2], (i) => Effect.map(ask("gate"), ({ value }) => value).pipe(Task.iteration(i)))
    ))
    const runId = yield* launch()
    for (const iteration of [0, 1, 2]) {
      yield* until(
        Effect.map(engine.approvals({ runId }), ([asked]) =>
          asked?.iteration === iteration),
        "the question"
      )
      yield* reaches(runId, "waiting-approval")
      yield* engine.decide({ runId, nodeId: "gate", iteration, approved: true, value: iteration * 10, actor })
    }
    assert.deepStrictEqual((yield* end(runId)).output, [0, 10, 20])
  }))

it.scoped("an approval that names no owner has those that its workflow declares, which are known before it runs", () =>
  Effect.gen(function*() {
    const declaring = Workflow.make({
      name: "declaring",
      payload: {},
      success: Schema.Unknown,
      idempotencyKey: () => "declaring"
    }).annotate(Approval.Paths, [
      { id: "gate", owner: "lead", fallbackOwner: "cto" },
      { id: "own", owner: "lead", fallbackOwner: "cto" }
    ])
    const { engine } = yield* fresh(
      declaring.toLayer(() =>
        Effect.all([ask("gate"), ask("own", { owner: "sales" }), ask("elsewhere")], { concurrency: 3 })
      )
    )
    assert.deepStrictEqual((yield* engine.workflows).map(({ approvals }) => approvals?.map(({ id }) => id)), [
      ["gate", "own"]
    ])
    yield* engine.launch({ workflow: "declaring", input: {}, actor })
    yield* until(Effect.map(engine.approvalPaths, (paths) => paths.length === 3), "three approvals")
    const asked = yield* engine.approvalPaths
    assert.deepStrictEqual(asked.map(({ fallbackOwner, nodeId, owner }) => [nodeId, owner, fallbackOwner]), [
      ["elsewhere", null, null],
      ["gate", "lead", "cto"],
      ["own", "sales", "cto"]
    ])
  }))

import { assert, it } from "@effect/vitest"
import { Context, Effect, Layer, Schema, TestClock } from "effect"
import { Audit } from "../../src/audit/index.ts"
import { ControlPlane, RunBudget } from "../../src/control-plane/index.ts"
import type { Budget } from "../../src/engine/index.ts"
import { Persistence } from "../../src/persistence/index.ts"
import { Task, Workflow } from "../../src/workflow/index.ts"
import { freshDatabase, type Process, quiet, startProcess, until, workflow } from "../support/Engine.ts"

const started: Array<string> = []

const task = (id: string, execute: Effect.Effect<unknown> = Effect.void) =>
  Task.run({
    id,
    output: Schema.String,
    execute: Effect.zipRight(Effect.sync(() => started.push(id)), Effect.as(execute, id))
  })

const steps = workflow(({ n }) =>
  Effect.forEach(Array.from({ length: Number(n) }, (_, i) => `s${i}`), (id) => task(id))
)

type Definitions = Parameters<typeof startProcess>[1]

/** A database with the organization `acme` and its project `app`, and processes whose runs are all theirs. */
const world = Effect.gen(function*() {
  started.length = 0
  const database = yield* freshDatabase
  const own = Layer.succeed(Persistence.Persistence, database)
  const context = yield* Layer.build(ControlPlane.layer.pipe(Layer.provide(Audit.layer), Layer.provide(own)))
  const cp = Context.get(context, ControlPlane.ControlPlane)
  yield* cp.createOrg({ orgId: "acme", slug: "acme", name: "Acme" })
  yield* cp.createProject({ orgId: "acme", projectId: "app", slug: "app", name: "App" })
  const begin = (definitions: Definitions, options: Partial<RunBudget.Options> = {}) =>
    Effect.tap(
      startProcess(database, definitions, {
        supervised: true,
        budget: RunBudget.layer({
          tenantOf: () => ({ orgId: "acme", projectId: "app" }),
          ...options
        }).pipe(Layer.provide(Layer.succeedContext(context)))
      }),
      (process) => Effect.addFinalizer(() => process.stop)
    )
  const limit = (limitQuantity: number, more: object = {}) =>
    cp.setUsageLimit({ orgId: "acme", metric: "steps", limitQuantity, ...more })
  const used = Effect.map(
    cp.summarizeUsage({ orgId: "acme" }),
    (rows) => Object.fromEntries(rows.map(({ metric, quantity }) => [metric, quantity]))
  )
  return { cp, begin, limit, used }
})

/** The next look of the supervisor. */
const look = Effect.zipRight(TestClock.adjust("5 seconds"), quiet)

/** One look after the other, until the run has ended: a look that is under way when the clock moves on is a look less. */
const ends = (process: Process, runId: string) =>
  Effect.repeat(Effect.zipRight(look, process.runs.get(runId)), {
    until: ({ finishedAtMs }) => finishedAtMs !== null,
    times: 200
  })

const countOf = (process: Process, status: string) =>
  Effect.map(process.runs.idsByStatus([status as "running"]), (ids) => ids.length)

it.scoped("a run parks between two tasks when the limit is reached, and goes on where it was when it is raised", () =>
  Effect.gen(function*() {
    const { begin, limit, used } = yield* world
    const process = yield* begin(steps)
    yield* limit(2)
    const runId = yield* process.launch({ n: 3 })
    yield* process.reaches(runId, "waiting-quota")
    assert.deepStrictEqual(started, ["s0", "s1"])
    yield* look
    assert.deepStrictEqual(started, ["s0", "s1"])
    assert.strictEqual((yield* process.runs.get(runId)).status, "waiting-quota")
    yield* limit(3)
    yield* look
    assert.strictEqual((yield* ends(process, runId)).status, "finished")
    assert.deepStrictEqual(started, ["s0", "s1", "s2"])
    assert.deepInclude(yield* used, { steps: 3 })
  }))

it.scoped("a run that was launched with nothing left executes nothing until the period turns", () =>
  Effect.gen(function*() {
    const { begin, cp, limit } = yield* world
    yield* TestClock.setTime(Date.UTC(2026, 4, 10, 23, 59))
    const process = yield* begin(steps)
    yield* limit(1, { period: "daily" })
    yield* cp.recordUsage({ orgId: "acme", metric: "steps", quantity: 1 })
    const runId = yield* process.launch({ n: 1 })
    yield* process.reaches(runId, "waiting-quota")
    yield* TestClock.adjust("50 seconds")
    yield* quiet
    assert.deepStrictEqual(started, [])
    yield* TestClock.adjust("15 seconds")
    assert.strictEqual((yield* ends(process, runId)).status, "finished")
  }))

it.scoped("two hundred concurrent runs execute no more than the limit allows, and the rest when it is raised", () =>
  Effect.gen(function*() {
    const { begin, cp, limit, used } = yield* world
    const process = yield* begin(steps)
    yield* limit(100)
    const runs = yield* Effect.all(Array.from({ length: 200 }, () => process.launch({ n: 2 })), {
      concurrency: "unbounded"
    })
    yield* until(
      Effect.map(
        Effect.all([countOf(process, "running"), cp.listReservations({ orgId: "acme" })]),
        ([running, reserved]) => running === 0 && reserved.length === 0
      ),
      "every run to end or to park"
    )
    assert.lengthOf(started, 100)
    assert.deepInclude(yield* used, { steps: 100 })
    assert.strictEqual((yield* countOf(process, "finished")) + (yield* countOf(process, "waiting-quota")), 200)
    yield* limit(1_000)
    yield* look
    yield* Effect.forEach(runs, (runId) => ends(process, runId))
    assert.lengthOf(started, 400)
    assert.strictEqual((yield* used)["steps"], 400)
  }))

it.scoped("what waits goes on as far as there is room, oldest first", () =>
  Effect.gen(function*() {
    const { begin, limit } = yield* world
    const process = yield* begin(steps)
    yield* limit(0)
    const runs: Array<string> = []
    for (let i = 0; i < 4; i++) {
      runs.push(yield* process.launch({ n: 1 }))
      yield* process.reaches(runs[i]!, "waiting-quota")
      yield* TestClock.adjust("1 millis")
    }
    yield* limit(2)
    yield* look
    yield* ends(process, runs[0]!)
    yield* ends(process, runs[1]!)
    assert.strictEqual(yield* countOf(process, "waiting-quota"), 2)
    assert.lengthOf(started, 2)
  }))

it.scoped("a run that waits for budget waits across a restart of the service", () =>
  Effect.gen(function*() {
    const { begin, limit } = yield* world
    const first = yield* begin(steps)
    yield* limit(1)
    const runId = yield* first.launch({ n: 2 })
    yield* first.reaches(runId, "waiting-quota")
    yield* first.stop
    const second = yield* begin(steps)
    yield* look
    assert.strictEqual((yield* second.runs.get(runId)).status, "waiting-quota")
    yield* limit(2)
    yield* look
    assert.strictEqual((yield* ends(second, runId)).status, "finished")
    assert.deepStrictEqual(started, ["s0", "s1"])
  }))

it.scoped("a run that waits for budget can be cancelled", () =>
  Effect.gen(function*() {
    const { begin, limit } = yield* world
    const process = yield* begin(steps)
    yield* limit(0)
    const runId = yield* process.launch({ n: 1 })
    yield* process.reaches(runId, "waiting-quota")
    yield* process.engine.cancel(runId, { userId: "user:ada", tokenId: "t1", role: "operator", scopes: ["*"] })
    assert.strictEqual((yield* ends(process, runId)).status, "cancelled")
  }))

it.scoped("a branch that waits for budget goes on while another one works", () =>
  Effect.gen(function*() {
    const { begin, limit } = yield* world
    const process = yield* begin(
      workflow(() => Effect.all([task("long", Effect.sleep("1 minute")), task("next")], { concurrency: "unbounded" }))
    )
    yield* limit(1)
    const runId = yield* process.launch()
    yield* until(Effect.sync(() => started.length === 1), "the first task")
    yield* quiet
    assert.strictEqual((yield* process.runs.get(runId)).status, "running")
    yield* limit(2)
    yield* look
    yield* until(Effect.sync(() => started.length === 2), "the second task")
    yield* TestClock.adjust("1 minute")
    assert.strictEqual((yield* ends(process, runId)).status, "finished")
  }))

it.scoped("what each attempt took is recorded once, under its own id, failed attempts and children included", () =>
  Effect.gen(function*() {
    const { begin, cp, limit, used } = yield* world
    const Child = Workflow.make({
      name: "child",
      payload: Schema.Struct({ n: Schema.Number }),
      success: Schema.String,
      idempotencyKey: ({ n }) => String(n)
    })
    let failures = 1
    const flaky = Task.run({
      id: "flaky",
      output: Schema.String,
      error: Schema.String,
      retry: { times: 1, backoff: "1 second" },
      execute: Effect.zipRight(
        Effect.sleep("3 seconds"),
        Effect.suspend(() => failures-- > 0 ? Effect.fail("once") : Effect.succeed("done"))
      )
    }).pipe(Effect.orDie)
    const process = yield* begin(Layer.merge(
      workflow(() => Effect.zipRight(flaky, Child.execute({ n: 1 }))),
      Child.toLayer(() => task("inner", Effect.sleep("7 seconds")))
    ))
    yield* limit(10)
    const runId = yield* process.launch()
    yield* quiet
    for (let i = 0; i < 14; i++) {
      yield* TestClock.adjust("1 second")
      yield* quiet
    }
    assert.strictEqual((yield* process.end(runId)).status, "finished")
    assert.deepStrictEqual(yield* used, { agent_runtime_ms: 13_000, steps: 3 })
    const events = yield* cp.listUsage({ orgId: "acme" })
    assert.strictEqual(new Set(events.map(({ idempotencyKey }) => idempotencyKey)).size, 6)
    assert.deepStrictEqual(
      events.filter(({ metric }) => metric === "steps").map(({ metadata, projectId, quantity }) => [
        projectId,
        metadata["nodeId"],
        metadata["attempt"],
        quantity
      ]),
      [["app", "inner", 1, 1], ["app", "flaky", 2, 1], ["app", "flaky", 1, 1]]
    )
    assert.deepStrictEqual(yield* cp.listReservations({ orgId: "acme" }), [])
  }))

it.scoped("a limit on the runtime stops a run when no minute is left to reserve", () =>
  Effect.gen(function*() {
    const { begin, cp } = yield* world
    const process = yield* begin(
      workflow(() => Effect.forEach(["a", "b", "c"], (id) => task(id, Effect.sleep("50 seconds"))))
    )
    yield* cp.setUsageLimit({ orgId: "acme", metric: "agent_runtime_ms", unit: "ms", limitQuantity: 120_000 })
    const runId = yield* process.launch()
    for (let i = 0; i < 3; i++) {
      yield* quiet
      yield* TestClock.adjust("50 seconds")
    }
    yield* process.reaches(runId, "waiting-quota")
    assert.deepStrictEqual(started, ["a", "b"])
    assert.deepInclude(yield* cp.checkUsageLimit({ orgId: "acme", metric: "agent_runtime_ms", unit: "ms" }), {
      usedQuantity: 100_000,
      reservedQuantity: 0,
      exceeded: false
    })
  }))

it.scoped("runs that belong to nobody are neither limited nor recorded", () =>
  Effect.gen(function*() {
    const { begin, limit, used } = yield* world
    const tenantOf = ({ actor }: Budget.Spender) =>
      actor.userId === "user:ada" ? null : { orgId: "acme", projectId: null }
    const process = yield* begin(steps, { tenantOf })
    yield* limit(0)
    const runId = yield* process.launch({ n: 3 })
    assert.strictEqual((yield* process.end(runId)).status, "finished")
    assert.deepStrictEqual(yield* used, {})
  }))

it.scoped("what an attempt uses beside its time is recorded once, for whom its run belongs to", () =>
  Effect.gen(function*() {
    const { begin, cp, used } = yield* world
    const seconds = { metric: "sandbox_seconds", unit: "seconds", quantity: 3 }
    const process = yield* begin(
      workflow(() =>
        Task.run({
          id: "box",
          output: Schema.Void,
          execute: ({ spend }) => Effect.zipRight(spend(seconds), spend(seconds))
        })
      ),
      { tenantOf: ({ tenant }) => tenant }
    )
    const operators = yield* process.launch()
    yield* process.end(operators)
    assert.deepStrictEqual(yield* used, {})
    const runId = yield* process.launch({}, { tenant: { orgId: "acme", projectId: "app" } })
    yield* process.end(runId)
    assert.deepInclude(yield* used, { sandbox_seconds: 3, steps: 1 })
    const rows = yield* cp.summarizeUsage({ orgId: "acme", projectId: "app" })
    assert.deepInclude(rows.find(({ metric }) => metric === "sandbox_seconds"), { quantity: 3, events: 1 })
  }))

it.scoped("two hundred concurrent runs of two organizations stay each within its own limit", () =>
  Effect.gen(function*() {
    const { begin, cp, limit, used } = yield* world
    yield* cp.createOrg({ orgId: "other", slug: "other", name: "Other" })
    const process = yield* begin(steps, { tenantOf: ({ tenant }) => tenant })
    yield* limit(30)
    const tenants = [{ orgId: "acme", projectId: "app" }, { orgId: "other", projectId: null }, null]
    const launched = yield* Effect.all(
      Array.from({ length: 200 }, (_, i) => Effect.either(process.launch({ n: 1 }, { tenant: tenants[i % 3]! }))),
      { concurrency: "unbounded" }
    )
    yield* until(Effect.map(countOf(process, "running"), (running) => running === 0), "every run to end or to park")
    assert.deepInclude(yield* used, { steps: 30 })
    const [others] = (yield* cp.summarizeUsage({ orgId: "other" })).filter(({ metric }) => metric === "steps")
    assert.strictEqual(others?.quantity, 67)
    // Whoever came when all was used was not launched at all; the others of acme wait.
    const refused = launched.filter(({ _tag }) => _tag === "Left").length
    assert.strictEqual(
      (yield* countOf(process, "finished")) + (yield* countOf(process, "waiting-quota")) + refused,
      200
    )
    assert.strictEqual(yield* countOf(process, "finished"), 30 + 67 + 66)
  }))

it.scoped("an organization that is gone has no budget", () =>
  Effect.gen(function*() {
    const { begin, cp } = yield* world
    const process = yield* begin(steps)
    yield* cp.deleteOrg({ orgId: "acme" })
    const runId = yield* process.launch({ n: 1 })
    yield* process.reaches(runId, "waiting-quota")
    assert.deepStrictEqual(started, [])
  }))

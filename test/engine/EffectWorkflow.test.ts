import { assert, it } from "@effect/vitest"
import { Activity, DurableClock, DurableDeferred, Workflow, type WorkflowEngine } from "@effect/workflow"
import { Effect, Exit, Fiber, Layer, Schema, TestClock } from "effect"
import { Task } from "../../src/workflow/index.ts"
import { has } from "../support/Assert.ts"
import { actor, fresh, freshDatabase, quiet, startProcess, until, workflow } from "../support/Engine.ts"

class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}

const task = (id: string) => Task.run({ id, output: Schema.String, execute: Effect.succeed(id) })

it.scoped("an Activity is executed once, and its result or typed failure is what a replay returns", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    let executed = 0
    const seen: Array<unknown> = []
    const definition = workflow(() =>
      Effect.gen(function*() {
        seen.push(
          yield* Activity.make({
            name: "good one",
            success: Schema.Date,
            execute: Effect.sync(() => (executed++, new Date(7)))
          })
        )
        seen.push(
          yield* Effect.flip(Activity.make({
            name: "bad one",
            error: Refused,
            execute: Effect.suspend(() => (executed++, new Refused({ why: "closed" })))
          }))
        )
        yield* DurableDeferred.await(DurableDeferred.make("go"))
      })
    )
    const first = yield* startProcess(database, definition)
    const runId = yield* first.launch()
    yield* first.reaches(runId, "waiting-event")
    first.line.die()
    const second = yield* startProcess(database, definition)
    yield* second.engine.resume(runId, actor)
    yield* until(Effect.sync(() => seen.length === 4), "the replay")
    assert.strictEqual(executed, 2)
    assert.deepStrictEqual(seen[2], seen[0])
    assert.instanceOf(seen[3], Refused)
  }))

it.scoped("Guarantee 6: a credential in an Activity's defect or failure is not stored", () =>
  Effect.gen(function*() {
    const secret = "ghp_0123456789abcdefghijklmnopqrstuvwxyzAB"
    const { database, end, launch } = yield* fresh(workflow(({ kind }) =>
      Activity.make({
        name: "leaky",
        error: Refused,
        execute: kind === "defect" ? Effect.die(new Error(`token ${secret}`)) : new Refused({ why: secret })
      }), { error: Refused }))
    for (const kind of ["defect", "failure"]) yield* end(yield* launch({ kind }))
    const rows = yield* Effect.forEach(["_smithers_runs", "_smithers_nodes", "_smithers_events"], (table) =>
      database.sql.unsafe(`SELECT * FROM ${table}`))
    assert.notInclude(JSON.stringify(rows), secret)
  }))

it.scoped("Activity.retry executes an Activity once for each attempt", () =>
  Effect.gen(function*() {
    const { end, launch, runs } = yield* fresh(workflow(() =>
      Activity.make({
        name: "flaky",
        success: Schema.Number,
        error: Refused,
        execute: Effect.flatMap(Activity.CurrentAttempt, (n) => n < 3 ? new Refused({ why: "" }) : Effect.succeed(n))
      }).pipe(Activity.retry({ times: 5 })), { error: Refused }))
    const runId = yield* launch()
    assert.strictEqual((yield* end(runId)).output, 3)
    assert.deepStrictEqual((yield* runs.nodes(runId)).map(({ iteration }) => iteration), [0, 1, 2])
  }))

const go = DurableDeferred.make("go", { success: Schema.Number, error: Refused })
const complete = (executionId: string, exit: Exit.Exit<number, Refused>) =>
  DurableDeferred.done(go, {
    token: DurableDeferred.tokenFromExecutionId(go, {
      workflow: Workflow.make({ name: "w", payload: {}, idempotencyKey: () => "" }),
      executionId
    }),
    exit
  })

it.scoped("a DurableDeferred completed after the wait wakes the run, one completed before it is there at once", () =>
  Effect.gen(function*() {
    let open: () => void = () => undefined
    const { context, end, launch, reaches } = yield* fresh(workflow(({ kind }) =>
      Effect.zipRight(
        kind === "before"
          ? Effect.async<void>((resume) => {
            open = () => resume(Effect.void)
          })
          : Effect.void,
        DurableDeferred.await(go)
      ), { error: Refused }))
    const after = yield* launch({ kind: "after" })
    yield* reaches(after, "waiting-event")
    yield* Effect.provide(complete(after, Exit.succeed(1)), context)
    assert.strictEqual((yield* end(after)).output, 1)
    const before = yield* launch({ kind: "before" })
    yield* quiet
    yield* Effect.provide(complete(before, Exit.fail(new Refused({ why: "no" }))), context)
    open()
    assert.strictEqual((yield* end(before)).error!.name, "Refused")
  }))

it.scoped("a DurableDeferred is completed once, and not at all when the run has ended", () =>
  Effect.gen(function*() {
    const { context, end, events, launch, reaches } = yield* fresh(
      workflow(() => DurableDeferred.await(go), { error: Refused })
    )
    const runId = yield* launch()
    yield* reaches(runId, "waiting-event")
    yield* Effect.all([1, 2, 3].map((n) => Effect.provide(complete(runId, Exit.succeed(n)), context)), {
      concurrency: "unbounded"
    })
    assert.strictEqual((yield* end(runId)).output, 1)
    const before = yield* events(runId)
    yield* Effect.provide(complete(runId, Exit.succeed(9)), context)
    assert.strictEqual((yield* events(runId)).length, before.length)
  }))

it.scoped("two branches may wait for one DurableDeferred", () =>
  Effect.gen(function*() {
    const { context, end, launch, reaches } = yield* fresh(
      workflow(() => Effect.all([DurableDeferred.await(go), DurableDeferred.await(go)], { concurrency: "unbounded" }), {
        error: Refused
      })
    )
    for (const parked of [true, false]) {
      const runId = yield* launch({ parked })
      if (parked) yield* reaches(runId, "waiting-event")
      yield* Effect.provide(complete(runId, Exit.succeed(4)), context)
      assert.deepStrictEqual((yield* end(runId)).output, [4, 4])
    }
  }))

it.scoped("a DurableClock parks the run and wakes it in time, across restarts, and not before", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    const definition = workflow(() =>
      Effect.zipRight(DurableClock.sleep({ name: "nap", duration: "3 hours" }), task("after"))
    )
    const first = yield* startProcess(database, definition, { supervised: true })
    const runId = yield* first.launch()
    yield* first.reaches(runId, "waiting-timer")
    has((yield* first.engine.view(runId)).blocked, { kind: "timer", wakeAtMs: 3 * 3_600_000 })
    yield* first.stop
    yield* TestClock.adjust("2 hours")
    const second = yield* startProcess(database, definition, { supervised: true })
    yield* quiet
    yield* TestClock.adjust("59 minutes")
    yield* quiet
    assert.strictEqual((yield* second.runs.get(runId)).status, "waiting-timer")
    yield* TestClock.adjust("1 minute")
    assert.strictEqual((yield* second.end(runId)).output, "after")
    assert.deepStrictEqual(yield* database.sql`SELECT * FROM _smithers_timers`, [])
    yield* second.stop
  }))

it.scoped("a DurableClock that was due while nobody ran fires at the next start", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    const definition = workflow(() => DurableClock.sleep({ name: "nap", duration: "3 hours" }))
    const first = yield* startProcess(database, definition)
    const runId = yield* first.launch()
    yield* first.reaches(runId, "waiting-timer")
    first.line.die()
    yield* TestClock.adjust("4 hours")
    const second = yield* startProcess(database, definition, { supervised: true })
    assert.strictEqual((yield* second.end(runId)).status, "finished")
    yield* second.stop
  }))

it.scoped("a DurableClock that lost a race leaves no timer, and one that won it leaves no open question", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    const definition = workflow(({ hours }) =>
      Effect.race(
        Effect.as(DurableClock.sleep({ name: "nap", duration: `${hours as number} hours` }), "clock"),
        Effect.as(DurableDeferred.await(go), "deferred")
      ).pipe(Effect.orDie)
    )
    const { context, end, launch, reaches, runs, stop } = yield* startProcess(database, definition, {
      supervised: true
    })
    const byDeferred = yield* launch({ hours: 5 })
    const byClock = yield* launch({ hours: 1 })
    yield* reaches(byDeferred, "waiting-event")
    yield* reaches(byClock, "waiting-event")
    yield* Effect.provide(complete(byDeferred, Exit.succeed(4)), context)
    assert.strictEqual((yield* end(byDeferred)).output, "deferred")
    yield* TestClock.adjust("1 hour")
    assert.strictEqual((yield* end(byClock)).output, "clock")
    assert.deepStrictEqual(yield* database.sql`SELECT * FROM _smithers_timers`, [])
    for (const runId of [byClock, byDeferred]) {
      assert.deepStrictEqual(yield* runs.summary(runId), { cancelled: 1, finished: 1 })
    }
    yield* stop
  }))

it.scoped("DurableDeferred.raceAll starts its effects, parks, and has one winner for ever", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    const winners: Array<unknown> = []
    const definition = workflow(() =>
      Effect.gen(function*() {
        winners.push(
          yield* DurableDeferred.raceAll({
            name: "first",
            success: Schema.Union(Schema.Number, Schema.String),
            error: Refused,
            effects: [
              DurableDeferred.await(go),
              Effect.as(DurableClock.sleep({ name: "nap", duration: "3 hours" }), "late"),
              Effect.zipRight(task("step"), Effect.never)
            ]
          })
        )
        yield* DurableDeferred.await(DurableDeferred.make("end"))
      }), { error: Refused })
    const first = yield* startProcess(database, definition)
    const runId = yield* first.launch()
    yield* until(
      Effect.map(first.runs.summary(runId), (all) => all["waiting-event"] === 1 && all["finished"] === 1),
      "the race"
    )
    first.line.die()
    const second = yield* startProcess(database, definition)
    yield* second.runner.lookAfter
    yield* quiet
    yield* Effect.provide(complete(runId, Exit.succeed(4)), second.context)
    yield* until(Effect.sync(() => winners.length === 1), "the winner")
    second.line.die()
    const third = yield* startProcess(database, definition)
    yield* third.engine.resume(runId, actor)
    yield* until(Effect.sync(() => winners.length === 2), "the replay")
    assert.deepStrictEqual(winners, [4, 4])
  }))

it.scoped("Activity.raceAll is won by the first", () =>
  Effect.gen(function*() {
    const { end, launch } = yield* fresh(workflow(() =>
      // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off anyUnknownInErrorContext:off -- the types of raceAll lose what it requires
      Activity.raceAll("race", [
        Activity.make({ name: "slow", success: Schema.String, execute: Effect.never }),
        Activity.make({ name: "fast", success: Schema.String, execute: Effect.succeed("fast") })
      ]) as Effect.Effect<string, never, WorkflowEngine.WorkflowInstance>
    ))
    assert.strictEqual((yield* end(yield* launch())).output, "fast")
  }))

it.scoped("a stop in the middle of a race is no result of it", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    const definition = workflow(() =>
      DurableDeferred.raceAll({
        name: "first",
        success: Schema.String,
        error: Refused,
        effects: [Effect.as(Effect.sleep("1 hour"), "slept") as Effect.Effect<string, Refused>]
      }), { error: Refused })
    const first = yield* startProcess(database, definition, { supervised: true })
    const runId = yield* first.launch()
    yield* quiet
    yield* first.stop
    const second = yield* startProcess(database, definition, { supervised: true })
    yield* quiet
    yield* TestClock.adjust("1 hour")
    assert.strictEqual((yield* second.end(runId)).output, "slept")
    yield* second.stop
  }))

const Child = Workflow.make({
  name: "child",
  payload: { n: Schema.Number },
  success: Schema.NullOr(Schema.Number),
  error: Refused,
  idempotencyKey: ({ n }) => String(n)
})
const childLayer = (
  body: (
    n: number
  ) => Effect.Effect<number | null, Refused, WorkflowEngine.WorkflowInstance | WorkflowEngine.WorkflowEngine>
) => Child.toLayer(({ n }) => body(n))

it.scoped("a child workflow's result, typed failure and null come to the parent, which parks meanwhile", () =>
  Effect.gen(function*() {
    const { context, end, launch, reaches, runs } = yield* fresh(Layer.merge(
      workflow(({ n }) => Child.execute({ n: n as number }), { error: Refused }),
      childLayer((n) =>
        n === 0
          ? new Refused({ why: "zero" })
          : n === 1
          ? Effect.succeed(null)
          : Effect.orDie(DurableDeferred.await(go))
      )
    ))
    has((yield* end(yield* launch({ n: 0 }))).error, { name: "Refused", typed: true })
    has(yield* end(yield* launch({ n: 1 })), { status: "finished", output: null })
    const runId = yield* launch({ n: 2 })
    yield* reaches(runId, "waiting-event")
    const [child] = yield* runs.list({ parentRunId: runId })
    yield* reaches(child!.runId, "waiting-event")
    yield* Effect.provide(complete(child!.runId, Exit.succeed(42)), context)
    assert.strictEqual((yield* end(runId)).output, 42)
  }))

it.scoped("a child that ended when the process died before its parent heard of it is not started again", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    let bodies = 0
    const definition = Layer.merge(
      workflow(() => Child.execute({ n: 5 }), { error: Refused }),
      childLayer((n) => Effect.as(Effect.zipRight(Effect.sync(() => bodies++), task("t")), n))
    )
    const first = yield* startProcess(database, definition)
    const held = yield* Effect.fork(first.line.hold("child:"))
    const runId = yield* first.launch()
    yield* Effect.flatMap(held, () => quiet)
    yield* until(
      Effect.map(first.runs.list({ parentRunId: runId }), ([child]) => child?.status === "finished"),
      "the child"
    )
    first.line.die()
    const second = yield* startProcess(database, definition, { supervised: true })
    assert.strictEqual((yield* second.end(runId)).output, 5)
    assert.strictEqual(bodies, 1)
    yield* second.stop
  }))

it.scoped("a child has its own place: the parent's group and loop are not its", () =>
  Effect.gen(function*() {
    const { end, launch, runs } = yield* fresh(Layer.merge(
      workflow(() => Child.execute({ n: 5 }).pipe(Task.group("g"), Task.iteration(3)), { error: Refused }),
      childLayer((n) => Effect.as(task("t"), n))
    ))
    const runId = yield* launch()
    yield* end(runId)
    const [child] = yield* runs.list({ parentRunId: runId })
    has((yield* runs.nodes(child!.runId))[0], { nodeId: "t", iteration: 0, parentNodeId: null })
  }))

it.scoped("two parents that execute the same child both get its result", () =>
  Effect.gen(function*() {
    const { context, end, launch, reaches, runs } = yield* fresh(Layer.merge(
      workflow(() => Child.execute({ n: 5 }), { error: Refused }),
      childLayer(() => Effect.orDie(DurableDeferred.await(go)))
    ))
    const one = yield* launch()
    yield* reaches(one, "waiting-event")
    const two = yield* launch()
    yield* quiet
    const [child] = yield* runs.list({ parentRunId: one })
    yield* Effect.provide(complete(child!.runId, Exit.succeed(7)), context)
    assert.strictEqual((yield* end(one)).output, 7)
    assert.strictEqual((yield* end(two)).output, 7)
  }))

it.scoped("what arrives for a run while somebody tries in vain to launch it again is not lost", () =>
  Effect.gen(function*() {
    const { context, end, launch, line, reaches, runs } = yield* fresh(Layer.merge(
      workflow(() => Child.execute({ n: 5 }), { error: Refused }),
      childLayer(() => Effect.orDie(DurableDeferred.await(go)))
    ))
    const one = yield* launch()
    yield* reaches(one, "waiting-event")
    const [child] = yield* runs.list({ parentRunId: one })
    yield* reaches(child!.runId, "waiting-event")
    const held = yield* Effect.fork(line.hold(child!.runId))
    const two = yield* launch()
    const release = yield* Fiber.join(held)
    yield* Effect.provide(complete(child!.runId, Exit.succeed(7)), context)
    yield* quiet
    yield* release
    assert.strictEqual((yield* end(one)).output, 7)
    assert.strictEqual((yield* end(two)).output, 7)
  }))

it.scoped("a parent may execute the same child twice", () =>
  Effect.gen(function*() {
    const { end, launch } = yield* fresh(Layer.merge(
      workflow(() => Effect.all([Child.execute({ n: 5 }), Child.execute({ n: 5 })], { concurrency: "unbounded" }), {
        error: Refused
      }),
      childLayer((n) => Effect.as(task("t"), n))
    ))
    assert.deepStrictEqual((yield* end(yield* launch())).output, [5, 5])
  }))

it.scoped("cancelling a parent cancels its children", () =>
  Effect.gen(function*() {
    const { end, engine, launch, reaches, runs } = yield* fresh(Layer.merge(
      workflow(() => Child.execute({ n: 5 }), { error: Refused }),
      childLayer(() => Effect.orDie(DurableDeferred.await(go)))
    ))
    const runId = yield* launch()
    yield* reaches(runId, "waiting-event")
    const [child] = yield* runs.list({ parentRunId: runId })
    yield* engine.cancel(runId, actor)
    assert.strictEqual((yield* end(runId)).status, "cancelled")
    assert.strictEqual((yield* end(child!.runId)).status, "cancelled")
  }))

it.scoped("interrupting a workflow by its own package cancels the run, parked or not", () =>
  Effect.gen(function*() {
    const { context, end, launch, reaches } = yield* fresh(workflow(() => Effect.orDie(DurableDeferred.await(go))))
    const runId = yield* launch()
    yield* reaches(runId, "waiting-event")
    const w = Workflow.make({ name: "w", payload: {}, idempotencyKey: () => "" })
    yield* Effect.provide(w.interrupt(runId), context)
    assert.strictEqual((yield* end(runId)).status, "cancelled")
  }))

it.scoped("compensation runs when the workflow fails, and not when it finishes or parks", () =>
  Effect.gen(function*() {
    const undone: Array<unknown> = []
    const { context, end, launch, reaches } = yield* fresh(workflow(({ kind }) =>
      Effect.gen(function*() {
        yield* Activity.make({ name: "book", success: Schema.String, execute: Effect.succeed("seat") }).pipe(
          Workflow.withCompensation((value) => Effect.sync(() => undone.push(value)))
        )
        yield* DurableDeferred.await(go)
        if (kind === "fails") return yield* new Refused({ why: "" })
      }), { error: Refused }))
    for (const kind of ["finishes", "fails"]) {
      const runId = yield* launch({ kind })
      yield* reaches(runId, "waiting-event")
      assert.deepStrictEqual(undone, [])
      yield* Effect.provide(complete(runId, Exit.succeed(1)), context)
      yield* end(runId)
    }
    assert.deepStrictEqual(undone, ["seat"])
  }))

it.scoped("Workflow.execute and poll work from outside of any run", () =>
  Effect.gen(function*() {
    const { context } = yield* fresh(childLayer((n) => Effect.as(task("t"), n)))
    assert.strictEqual(yield* Effect.provide(Child.execute({ n: 5 }), context), 5)
    const id = yield* Child.executionId({ n: 5 })
    const polled = yield* Effect.provide(Child.poll(id), context)
    assert.isTrue(polled?._tag === "Complete" && Exit.isSuccess(polled.exit))
    assert.strictEqual(yield* Effect.provide(Child.execute({ n: 5 }), context), 5)
  }))

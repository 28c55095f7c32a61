import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Schema, TestClock } from "effect"
import { Bounds } from "../../src/model/index.ts"
import { Write } from "../../src/persistence/index.ts"
import { Approval, Task, Workflow } from "../../src/workflow/index.ts"
import { has } from "../support/Assert.ts"
import { actor, dump, fresh, freshDatabase, quiet, startProcess, types, until, workflow } from "../support/Engine.ts"

const Text = Schema.String
class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}

const task = (id: string, execute: Effect.Effect<string> = Effect.succeed(id)) =>
  Task.run({ id, output: Text, execute })
const ask = (id: string) => Approval.ask({ id, title: id, payload: null })
const sleepy = (id: string) => task(id, Effect.as(Effect.sleep("1 minute"), id))
const trivial = workflow(() => task("t"))

it.scoped("Guarantee 2: launching an id again is a conflict and changes nothing", () =>
  Effect.gen(function*() {
    const { database, end, engine, launch } = yield* fresh(trivial)
    const runId = yield* launch({ n: 1 }, { runId: "mine" })
    yield* end(runId)
    const before = yield* dump(database)
    const error = yield* Effect.flip(engine.launch({ workflow: "w", input: { n: 2 }, runId, actor }))
    has(error, { _tag: "RunConflict", reason: "Exists", runId })
    assert.strictEqual(yield* dump(database), before)
  }))

it.scoped("Guarantee 2: launching the id of a run that executes is a conflict and does not disturb it", () =>
  Effect.gen(function*() {
    const { decide, end, engine, launch, reaches } = yield* fresh(
      workflow(() => Effect.zipRight(sleepy("s"), ask("gate")))
    )
    const runId = yield* launch({}, { runId: "mine" })
    const error = yield* Effect.flip(engine.launch({ workflow: "w", input: {}, runId, actor }))
    assert.strictEqual(error._tag, "RunConflict")
    yield* quiet
    yield* TestClock.adjust("1 minute")
    yield* reaches(runId, "waiting-approval")
    yield* decide(runId, "gate")
    assert.strictEqual((yield* end(runId)).status, "finished")
  }))

it.scoped("Guarantee 2: of 50 launches with one idempotency key at once one starts and all have its run", () =>
  Effect.gen(function*() {
    let bodies = 0
    const { engine, runs } = yield* fresh(workflow(() => Effect.zipRight(Effect.sync(() => bodies++), task("t"))))
    const launched = yield* Effect.forEach(
      Array.from({ length: 50 }),
      () => engine.launch({ workflow: "w", input: {}, idempotencyKey: "once", actor }),
      { concurrency: "unbounded" }
    )
    yield* engine.awaitEnd(launched[0]!.runId)
    assert.strictEqual(new Set(launched.map(({ runId }) => runId)).size, 1)
    assert.strictEqual(launched.filter(({ existing }) => !existing).length, 1)
    assert.strictEqual((yield* runs.list({})).length, 1)
    assert.strictEqual(bodies, 1)
  }))

it.scoped("Guarantee 2: of many launches of one id at once one starts and the others are conflicts", () =>
  Effect.gen(function*() {
    let bodies = 0
    const { end, engine } = yield* fresh(workflow(() => Effect.zipRight(Effect.sync(() => bodies++), task("t"))))
    const launched = yield* Effect.forEach(
      Array.from({ length: 20 }),
      () => Effect.either(engine.launch({ workflow: "w", input: {}, runId: "mine", actor })),
      { concurrency: "unbounded" }
    )
    assert.strictEqual(launched.filter(({ _tag }) => _tag === "Right").length, 1)
    assert.strictEqual((yield* end("mine")).status, "finished")
    assert.strictEqual(bodies, 1)
  }))

it.scoped("Guarantee 8: bad input names the field and the bound, and nothing is written", () =>
  Effect.gen(function*() {
    const strict = Workflow.make({
      name: "strict",
      payload: { who: Schema.Struct({ age: Schema.Int.pipe(Schema.between(0, 150)) }) },
      idempotencyKey: () => ""
    }).toLayer(() => Effect.void)
    const { database, engine } = yield* fresh(strict)
    const before = yield* dump(database)
    const refuse = (options: object) =>
      Effect.map(
        Effect.flip(engine.launch({ workflow: "strict", input: { who: { age: 1 } }, actor, ...options })),
        (error) => error._tag === "InvalidInput" ? error.field : error._tag
      )
    assert.strictEqual(yield* refuse({ input: { who: { age: 151 } } }), "input.who.age")
    assert.strictEqual(yield* refuse({ input: {} }), "input.who")
    assert.strictEqual(yield* refuse({ input: 3 }), "input")
    assert.strictEqual(yield* refuse({ runId: "no spaces" }), "runId")
    assert.strictEqual(yield* refuse({ runId: "" }), "runId")
    assert.strictEqual(yield* refuse({ idempotencyKey: "" }), "idempotencyKey")
    assert.strictEqual(yield* refuse({ idempotencyKey: "k".repeat(257) }), "idempotencyKey")
    assert.strictEqual(yield* refuse({ workflow: "other" }), "WorkflowNotFound")
    assert.strictEqual(yield* dump(database), before)
  }))

it.scoped("Guarantee 8: input over the bound is refused and nothing is written", () =>
  Effect.gen(function*() {
    const { database, engine } = yield* fresh(trivial)
    const before = yield* dump(database)
    const error = yield* Effect.flip(
      engine.launch({ workflow: "w", input: { x: "é".repeat(Bounds.runInputBytes / 2) }, actor })
    )
    assert.strictEqual(error._tag, "InvalidInput")
    assert.include(error.message, String(Bounds.runInputBytes))
    assert.strictEqual(yield* dump(database), before)
  }))

it.scoped("a workflow's typed failure is stored typed, an undeclared one as a defect", () =>
  Effect.gen(function*() {
    const { end, launch } = yield* fresh(
      workflow(({ kind }) => kind === "typed" ? new Refused({ why: "closed" }) : Effect.die(new TypeError("bug")), {
        error: Refused
      })
    )
    has((yield* end(yield* launch({ kind: "typed" }))).error, {
      name: "Refused",
      typed: true,
      data: { _tag: "Refused", why: "closed" }
    })
    has((yield* end(yield* launch({ kind: "defect" }))).error, { name: "TypeError", typed: false })
  }))

it.scoped("a paused run finishes what is in flight, starts nothing more, and goes on when it is resumed", () =>
  Effect.gen(function*() {
    const { end, engine, events, launch, reaches, runs } = yield* fresh(
      workflow(() =>
        Effect.zipRight(Effect.all([sleepy("a"), sleepy("b")], { concurrency: "unbounded" }), task("after"))
      )
    )
    const runId = yield* launch()
    yield* quiet
    yield* engine.pause(runId, actor)
    yield* quiet
    assert.strictEqual((yield* runs.get(runId)).status, "running")
    yield* TestClock.adjust("1 minute")
    yield* reaches(runId, "paused")
    assert.deepStrictEqual(yield* runs.summary(runId), { finished: 2 })
    yield* TestClock.adjust("1 hour")
    assert.isTrue(yield* engine.resume(runId, actor))
    assert.strictEqual((yield* end(runId)).status, "finished")
    assert.deepStrictEqual(types(yield* events(runId)).filter((type) => type.startsWith("Run")), [
      "RunStarted",
      "RunPauseRequested",
      "RunStatusChanged",
      "RunStatusChanged",
      "RunResumed",
      "RunFinished"
    ])
  }))

it.scoped("a run pauses although one of its branches waits for a person, and the decision waits for the resume", () =>
  Effect.gen(function*() {
    const { decide, end, engine, launch, reaches, runs } = yield* fresh(
      workflow(() =>
        Effect.all([Effect.zipRight(sleepy("a"), task("b")), Effect.zipRight(ask("gate"), task("c"))], {
          concurrency: "unbounded"
        })
      )
    )
    const runId = yield* launch()
    yield* quiet
    yield* engine.pause(runId, actor)
    yield* TestClock.adjust("1 minute")
    yield* reaches(runId, "paused")
    yield* decide(runId, "gate")
    yield* quiet
    assert.strictEqual((yield* runs.get(runId)).status, "paused")
    yield* engine.resume(runId, actor)
    assert.strictEqual((yield* end(runId)).status, "finished")
  }))

it.scoped("a pause, asked for or reached, survives the death of the process", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    const definition = workflow(() => Effect.zipRight(sleepy("a"), task("b")))
    const first = yield* startProcess(database, definition)
    const runId = yield* first.launch()
    yield* quiet
    yield* first.engine.pause(runId, actor)
    first.line.die()
    const second = yield* startProcess(database, definition)
    yield* second.runner.lookAfter
    yield* second.reaches(runId, "paused")
    const third = yield* startProcess(database, definition)
    yield* third.runner.lookAfter
    yield* quiet
    assert.strictEqual((yield* third.runs.get(runId)).status, "paused")
    yield* third.engine.resume(runId, actor)
    yield* quiet
    yield* TestClock.adjust("1 minute")
    assert.strictEqual((yield* third.end(runId)).status, "finished")
  }))

it.scoped("a resume takes back a pause that has not been reached, also for the next process", () =>
  Effect.gen(function*() {
    const { end, engine, launch, runs } = yield* fresh(workflow(() => Effect.zipRight(sleepy("a"), task("b"))))
    const runId = yield* launch()
    yield* quiet
    yield* engine.pause(runId, actor)
    yield* engine.resume(runId, actor)
    assert.isNull((yield* runs.get(runId)).pauseRequestedAtMs)
    yield* TestClock.adjust("1 minute")
    assert.strictEqual((yield* end(runId)).status, "finished")
  }))

it.scoped("a resume at the very moment of the pause's commit is not lost, whichever commits first", () =>
  Effect.gen(function*() {
    const { end, engine, launch, line } = yield* fresh(workflow(() => Effect.zipRight(sleepy("a"), task("b"))))
    const runId = yield* launch()
    yield* quiet
    yield* engine.pause(runId, actor)
    const held = yield* Effect.fork(line.hold("RunStatusChanged"))
    yield* TestClock.adjust("1 minute")
    const release = yield* Fiber.join(held)
    yield* engine.resume(runId, actor)
    yield* release
    assert.strictEqual((yield* end(runId)).status, "finished")
  }))

it.scoped("a run that has ended or waits cannot be paused", () =>
  Effect.gen(function*() {
    const { end, engine, launch } = yield* fresh(trivial)
    const { runId } = yield* end(yield* launch())
    has(yield* Effect.flip(engine.pause(runId, actor)), { _tag: "RunConflict", reason: "NotActive" })
    assert.isFalse(yield* engine.resume(runId, actor))
  }))

it.scoped("cancel reaches the task that executes: its signal is aborted, it is cancelled, the run acknowledges and ends", () =>
  Effect.gen(function*() {
    let signal: AbortSignal | undefined
    const { end, engine, events, launch, runner, runs } = yield* fresh(workflow(() =>
      Task.run({
        id: "t",
        output: Text,
        execute: (context) => {
          signal = context.signal
          return Effect.never
        }
      })
    ))
    const runId = yield* launch()
    yield* until(Effect.sync(() => signal !== undefined), "the task")
    yield* quiet
    assert.deepStrictEqual(yield* engine.cancel(runId, actor), { runId, outcome: "requested" })
    assert.strictEqual((yield* end(runId)).status, "cancelled")
    assert.isTrue(signal!.aborted)
    assert.deepStrictEqual(yield* runs.summary(runId), { cancelled: 1 })
    assert.deepStrictEqual(types(yield* events(runId)), [
      "RunStarted",
      "NodeStarted",
      "RunCancelRequested",
      "NodeCancelled",
      "RunCancelAcknowledged",
      "RunCancelled"
    ])
    yield* quiet
    assert.isFalse(runner.isActive(runId))
    assert.deepStrictEqual(yield* engine.cancel(runId, actor), { runId, outcome: "already-cancelled" })
  }))

it.scoped("cancel ends a parked run at once, with its questions", () =>
  Effect.gen(function*() {
    const { engine, launch, reaches, runs } = yield* fresh(workflow(() => ask("gate")))
    const runId = yield* launch()
    yield* reaches(runId, "waiting-approval")
    assert.deepStrictEqual(yield* engine.cancel(runId, actor), { runId, outcome: "cancelled" })
    assert.strictEqual((yield* runs.get(runId)).status, "cancelled")
    assert.deepStrictEqual(yield* runs.summary(runId), { cancelled: 1 })
    assert.deepStrictEqual(yield* engine.approvals({}), [])
  }))

it.scoped("cancel ends a run between two attempts of a step", () =>
  Effect.gen(function*() {
    const { end, engine, events, launch } = yield* fresh(workflow(() =>
      Task.run({
        id: "t",
        output: Text,
        retry: { times: 5, backoff: "1 hour", maxBackoff: "1 hour" },
        execute: new Refused({ why: "busy" })
      })
    ))
    const runId = yield* launch()
    yield* until(Effect.map(events(runId), (all) => types(all).includes("NodeRetrying")), "the backoff")
    yield* engine.cancel(runId, actor)
    assert.strictEqual((yield* end(runId)).status, "cancelled")
  }))

it.scoped("cancel ends a paused and a held run", () =>
  Effect.gen(function*() {
    const { end, engine, launch, reaches } = yield* fresh(workflow(() => Effect.zipRight(sleepy("a"), task("b"))))
    const runId = yield* launch()
    yield* quiet
    yield* engine.pause(runId, actor)
    yield* TestClock.adjust("1 minute")
    yield* reaches(runId, "paused")
    yield* engine.cancel(runId, actor)
    assert.strictEqual((yield* end(runId)).status, "cancelled")
  }))

it.scoped("cancel of an ended run is a conflict and changes nothing", () =>
  Effect.gen(function*() {
    const { database, end, engine, launch } = yield* fresh(trivial)
    const { runId } = yield* end(yield* launch())
    const before = yield* dump(database)
    const error = yield* Effect.flip(engine.cancel(runId, actor))
    has(error, { _tag: "RunConflict", reason: "NotActive", status: "finished" })
    assert.strictEqual(yield* dump(database), before)
  }))

it.scoped("a cancel while the run is about to park ends it, whichever commits first", () =>
  Effect.gen(function*() {
    const { end, engine, launch, line } = yield* fresh(workflow(() => ask("gate")))
    const held = yield* Effect.fork(line.hold("RunStatusChanged"))
    const runId = yield* launch()
    const release = yield* Fiber.join(held)
    yield* engine.cancel(runId, actor)
    yield* release
    assert.strictEqual((yield* end(runId)).status, "cancelled")
    assert.deepStrictEqual(yield* engine.approvals({}), [])
  }))

it.scoped("a cancel that comes while a run ends leaves the end as it is", () =>
  Effect.gen(function*() {
    const { end, engine, events, launch, line } = yield* fresh(trivial)
    const held = yield* Effect.fork(line.hold("RunFinished"))
    const runId = yield* launch()
    const release = yield* Fiber.join(held)
    yield* engine.cancel(runId, actor)
    yield* release
    assert.strictEqual((yield* end(runId)).status, "finished")
    yield* quiet
    assert.strictEqual(types(yield* events(runId)).at(-1), "RunFinished")
  }))

it.scoped("a cancel at any moment after the launch ends the run as cancelled or finished, once, and nothing executes after it", () =>
  Effect.gen(function*() {
    const { engine, events, launch, runner, runs } = yield* fresh(
      workflow(() => Effect.zipRight(Effect.forEach(["a", "b", "c"], (id) => task(id)), ask("gate")))
    )
    for (let turns = 0; turns < 25; turns++) {
      const runId = yield* launch({}, { runId: `r${turns}` })
      yield* Effect.repeatN(Effect.yieldNow(), turns * 3)
      yield* Effect.ignore(engine.cancel(runId, actor))
      yield* until(Effect.map(runs.get(runId), ({ status }) => status === "cancelled"), "the end")
      yield* until(Effect.sync(() => !runner.isActive(runId)), "the last fiber")
      const all = types(yield* events(runId))
      assert.strictEqual(all.at(-1), "RunCancelled")
      assert.strictEqual(all.filter((type) => type === "RunCancelled").length, 1)
    }
  }))

it.scoped("a task that does not stop is abandoned after the grace, and what it does later changes nothing", () =>
  Effect.gen(function*() {
    let finished = false
    const { database, end, engine, events, launch } = yield* fresh(
      workflow(() =>
        task(
          "stubborn",
          Effect.uninterruptible(Effect.zipRight(
            Effect.sleep("1 hour"),
            Effect.sync(() => {
              finished = true
              return "late"
            })
          ))
        )
      )
    )
    const runId = yield* launch()
    yield* quiet
    yield* engine.cancel(runId, actor)
    yield* TestClock.adjust("10 seconds")
    assert.strictEqual((yield* end(runId)).status, "cancelled")
    assert.deepStrictEqual((yield* events(runId)).at(-1)?.data, { abandoned: true })
    const before = yield* dump(database)
    yield* TestClock.adjust("1 hour")
    yield* quiet
    assert.isTrue(finished)
    assert.strictEqual(yield* dump(database), before)
  }))

it.scoped("a cancel that was asked for when the process died is carried out by the next one", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    const definition = workflow(({ kind }) => kind === "waits" ? ask("gate") : task("t", Effect.never))
    const first = yield* startProcess(database, definition)
    const waiting = yield* first.launch({ kind: "waits" })
    const executing = yield* first.launch({ kind: "executes" })
    yield* first.reaches(waiting, "waiting-approval")
    for (const runId of [waiting, executing]) {
      const held = yield* Effect.fork(first.line.hold(runId === waiting ? "RunCancelled" : "NodeCancelled"))
      yield* Effect.forkDaemon(first.engine.cancel(runId, actor))
      yield* Effect.asVoid(Fiber.join(held))
    }
    first.line.die()
    const second = yield* startProcess(database, definition)
    yield* second.runner.lookAfter
    assert.strictEqual((yield* second.end(waiting)).status, "cancelled")
    assert.strictEqual((yield* second.end(executing)).status, "cancelled")
  }))

it.scoped("a retry executes the failed node again and nothing that had finished", () =>
  Effect.gen(function*() {
    const executed: Array<string> = []
    let broken = true
    const note = (id: string) => task(id, Effect.sync(() => (executed.push(id), id)))
    const { end, engine, events, launch } = yield* fresh(workflow(() =>
      Effect.zipRight(
        note("a"),
        Effect.zipRight(
          Task.run({
            id: "b",
            output: Text,
            error: Refused,
            execute: Effect.suspend(() => broken ? new Refused({ why: "" }) : Effect.succeed("b"))
          }),
          note("c")
        )
      ), { error: Refused }))
    const runId = yield* launch()
    assert.strictEqual((yield* end(runId)).status, "failed")
    broken = false
    const node = { runId, nodeId: "b", iteration: 0, resetDependents: false, actor }
    assert.deepStrictEqual(yield* engine.retry(node), ["b"])
    const run = yield* end(runId)
    assert.strictEqual(run.status, "finished")
    assert.isNull(run.error)
    assert.deepStrictEqual(executed, ["a", "c"])
    const all = yield* events(runId)
    assert.deepStrictEqual(all.map(({ seq }) => seq), all.map((_, i) => i + 1))
    has(yield* Effect.flip(engine.retry(node)), { _tag: "RunConflict", reason: "Active" })
  }))

it.scoped("a retry is refused for a node that is not there or has not failed, and changes nothing", () =>
  Effect.gen(function*() {
    const { database, end, engine, launch } = yield* fresh(
      workflow(() => Effect.zipRight(task("a"), Task.run({ id: "b", output: Text, execute: new Refused({ why: "" }) })))
    )
    const { runId } = yield* end(yield* launch())
    const before = yield* dump(database)
    const retry = (nodeId: string) =>
      Effect.flip(engine.retry({ runId, nodeId, iteration: 0, resetDependents: true, actor }))
    assert.strictEqual((yield* retry("nobody"))._tag, "NodeNotFound")
    has(yield* retry("a"), { _tag: "RunConflict", reason: "NotFailed" })
    assert.strictEqual(yield* dump(database), before)
  }))

it.scoped("deleting a run leaves no row of it in any table, and an audit row that says who did it", () =>
  Effect.gen(function*() {
    const { audit, database, engine, launch, reaches } = yield* fresh(workflow(() =>
      Effect.zipRight(
        Effect.forEach(Array.from({ length: 200 }, (_, i) => i), (i) => task("t").pipe(Task.iteration(i))),
        Effect.zipRight(
          Task.run({ id: "beats", output: Schema.Void, execute: ({ heartbeat }) => heartbeat }),
          ask("gate")
        )
      )
    ))
    const runId = yield* launch()
    yield* reaches(runId, "waiting-approval")
    has(yield* Effect.flip(engine.remove(runId, actor)), { _tag: "RunConflict", reason: "Active" })
    yield* engine.cancel(runId, actor)
    const { sql } = database
    const tables = yield* sql.unsafe<{ name: string }>(
      `SELECT m.name FROM sqlite_master AS m JOIN pragma_table_info(m.name) AS c
        WHERE m.type = 'table' AND c.name = 'run_id' AND m.name <> '_smithers_audit'`
    )
    const count = Effect.map(
      Effect.forEach(
        tables,
        ({ name }) => sql.unsafe<{ n: number }>(`SELECT COUNT(*) AS n FROM ${name} WHERE run_id = '${runId}'`)
      ),
      (counts) => counts.map(([row], i) => [tables[i]!.name, row!.n] as const)
    )
    assert.includeMembers((yield* count).filter(([, n]) => n > 0).map(([name]) => name), [
      "_smithers_runs",
      "_smithers_nodes",
      "_smithers_attempts",
      "_smithers_events",
      "_smithers_frames",
      "_smithers_approvals"
    ])
    yield* engine.remove(runId, actor)
    assert.deepStrictEqual((yield* count).filter(([, n]) => n > 0), [])
    const [entry] = yield* audit.list({ runId, limit: 1 })
    has(entry, { action: "run.delete", actor: "user:ada", target: runId, outcome: "ok" })
  }))

it.scoped("the supervisor takes up the runs of a process that died, and says so of one whose workflow is missing", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    const first = yield* startProcess(database, trivialNever)
    const runId = yield* first.launch()
    yield* quiet
    first.line.die()
    const without = yield* startProcess(database, workflow(() => Effect.void, { name: "other" }), { supervised: true })
    yield* quiet
    assert.strictEqual((yield* without.runs.get(runId)).status, "running")
    assert.isFalse(without.runner.isActive(runId))
    without.line.die()
    const second = yield* startProcess(database, trivial, { supervised: true })
    assert.strictEqual((yield* second.end(runId)).status, "finished")
    assert.deepStrictEqual((yield* second.runs.attempts(runId)).map(({ attempt, state }) => `${attempt} ${state}`), [
      "1 cancelled",
      "2 finished"
    ])
  }))

const trivialNever = workflow(() => task("t", Effect.never))

it.scoped("one run that cannot be read does not keep the supervisor from the others", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    const first = yield* startProcess(database, trivialNever)
    const bad = yield* first.launch({}, { runId: "bad" })
    const good = yield* first.launch({}, { runId: "good" })
    yield* quiet
    first.line.die()
    yield* database.write(Write.run("UPDATE _smithers_runs SET input_json = 'not json' WHERE run_id = ?", [bad]))
    const second = yield* startProcess(database, trivial, { supervised: true })
    assert.strictEqual((yield* second.end(good)).status, "finished")
  }))

it.scoped("a run that is taken up again and again without a finished step is quarantined, and an operator's resume releases it", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    const config = { maxResumesWithoutProgress: 3 }
    let process = yield* startProcess(database, trivialNever, { config })
    const runId = yield* process.launch()
    for (let n = 0; n < 4; n++) {
      yield* quiet
      process.line.die()
      process = yield* startProcess(database, trivialNever, { config })
      yield* process.runner.lookAfter
    }
    yield* process.reaches(runId, "paused")
    assert.strictEqual((yield* process.runs.get(runId)).hold?.kind, "quarantined")
    assert.include(types(yield* process.events(runId)), "RunQuarantined")
    const [noted] = yield* process.audit.list({ action: "run.quarantine", limit: 1 })
    has(noted, { runId, target: "w", outcome: "failed", actor: "system" })
    yield* process.runner.lookAfter
    assert.isFalse(process.runner.isActive(runId))
    process.line.die()
    process = yield* startProcess(database, trivial, { config })
    yield* process.engine.resume(runId, actor)
    const run = yield* process.end(runId)
    assert.strictEqual(run.status, "finished")
    assert.isNull(run.hold)
  }))

it.scoped("a run that makes progress is not quarantined, however often its process dies", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    let allowed = 0
    const definition = workflow(() =>
      Effect.forEach(["a", "b", "c", "d", "e", "f"], (id, i) =>
        task(id, Effect.suspend(() => i < allowed ? Effect.succeed(id) : Effect.never)))
    )
    const config = { maxResumesWithoutProgress: 2 }
    let process = yield* startProcess(database, definition, { config })
    const runId = yield* process.launch()
    for (allowed = 1; allowed <= 6; allowed++) {
      yield* quiet
      process.line.die()
      process = yield* startProcess(database, definition, { config })
      yield* process.runner.lookAfter
    }
    assert.strictEqual((yield* process.end(runId)).status, "finished")
  }))

it.scoped("a process whose run was taken over writes nothing more of it", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    let letGo: (text: string) => void = () => undefined
    const slow = workflow(() =>
      task(
        "t",
        Effect.async((resume) => {
          letGo = (text) => resume(Effect.succeed(text))
        })
      )
    )
    const first = yield* startProcess(database, slow)
    const runId = yield* first.launch()
    yield* quiet
    const stale = letGo
    const second = yield* startProcess(database, slow)
    yield* second.runner.resume(runId)
    yield* quiet
    const before = yield* dump(database)
    stale("stale")
    yield* quiet
    assert.strictEqual(yield* dump(database), before)
    assert.isFalse(first.runner.isActive(runId))
    letGo("fresh")
    assert.strictEqual((yield* second.end(runId)).output, "fresh")
  }))

it.scoped("a service that stops in good order leaves its runs running, and stopping does not count against them", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    const config = { maxResumesWithoutProgress: 2 }
    let process = yield* startProcess(database, trivialNever, { config, supervised: true })
    const runId = yield* process.launch()
    for (let n = 0; n < 8; n++) {
      yield* until(Effect.map(process.runs.nodes(runId), ([node]) => node?.attempt === n + 1), "the step")
      yield* process.stop
      process = yield* startProcess(database, n < 7 ? trivialNever : trivial, { config, supervised: true })
    }
    assert.strictEqual((yield* process.end(runId)).status, "finished")
  }))

it.scoped("a stop is not held up by code that cannot be interrupted", () =>
  Effect.gen(function*() {
    const process = yield* startProcess(
      yield* freshDatabase,
      workflow(() => task("t", Effect.uninterruptible(Effect.never)))
    )
    yield* process.launch()
    yield* quiet
    const stopping = yield* Effect.fork(process.stop)
    yield* quiet
    yield* TestClock.adjust("1 second")
    assert.isTrue(Exit.isSuccess(yield* Fiber.await(stopping)))
  }))

it.scoped("a run that executes in nobody's request: what the launcher's fiber carries is not seen by the body", () =>
  Effect.gen(function*() {
    const { end, launch, runs } = yield* fresh(workflow(() => task("t")))
    const runId = yield* launch().pipe(Task.iteration(5))
    yield* end(runId)
    assert.deepStrictEqual((yield* runs.nodes(runId)).map(({ iteration }) => iteration), [0])
  }))

it.scoped("a run of 5,000 steps keeps few frames", () =>
  Effect.gen(function*() {
    const { database, end, launch } = yield* fresh(workflow(() =>
      Effect.forEach(Array.from({ length: 5_000 }, (_, i) => i), (i) => task("t").pipe(Task.iteration(i)), {
        concurrency: 50,
        discard: true
      })
    ))
    const runId = yield* launch()
    yield* end(runId)
    const [row] = yield* database.sql.unsafe<{ n: number }>(
      `SELECT COUNT(*) AS n FROM _smithers_frames WHERE run_id = '${runId}'`
    )
    assert.isAtLeast(row!.n, 4)
    assert.isAtMost(row!.n, 20)
  }), 60_000)

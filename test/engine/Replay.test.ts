import { assert, it } from "@effect/vitest"
import { Activity, DurableDeferred } from "@effect/workflow"
import { Effect, Layer, Schema } from "effect"
import { Approval, Task, Workflow } from "../../src/workflow/index.ts"
import { has } from "../support/Assert.ts"
import { actor, freshDatabase, quiet, startProcess, types, until, workflow } from "../support/Engine.ts"

const task = (id: string, execute: Effect.Effect<string> = Effect.succeed(id)) =>
  Task.run({ id, output: Schema.String, execute })
const hang = task("hang", Effect.never)
const ask = (id: string) => Approval.ask({ id, title: id, payload: null })

type Registered = ReturnType<typeof workflow>

/** Executes the old code until it hangs, then the new code after the death of the process. */
const upgrade = Effect.fnUntraced(function*(old: Registered, next: Registered) {
  const database = yield* freshDatabase
  const first = yield* startProcess(database, old)
  const runId = yield* first.launch()
  yield* until(
    Effect.map(first.runs.nodes(runId), (all) => all.some(({ nodeId }) => nodeId === "hang")),
    "the old code"
  )
  yield* quiet
  first.line.die()
  const second = yield* startProcess(database, next)
  yield* second.runner.lookAfter
  return { database, process: second, runId }
})

const held = Effect.fnUntraced(function*(old: Registered, next: Registered) {
  const { database, process, runId } = yield* upgrade(old, next)
  yield* process.reaches(runId, "paused")
  return { database, process, runId, hold: (yield* process.runs.get(runId)).hold }
})

const kinds: Record<string, readonly [Registered, Registered]> = {
  "a task became an approval": [workflow(() => Effect.zipRight(task("x"), hang)), workflow(() => ask("x"))],
  "a task became a group": [
    workflow(() => Effect.zipRight(task("x"), hang)),
    workflow(() => Task.group("x")(Effect.void))
  ],
  "a group became a task": [workflow(() => Task.group("x")(hang)), workflow(() => task("x"))],
  "its output schema does not fit what is stored": [
    workflow(() => Effect.zipRight(task("x"), hang)),
    workflow(() => Task.run({ id: "x", output: Schema.Number, execute: Effect.succeed(1) }))
  ]
}

for (const [what, [old, next]] of Object.entries(kinds)) {
  it.scoped(`a run whose journal does not fit its code is held and named, not failed: ${what}`, () =>
    Effect.gen(function*() {
      const { hold, process, runId } = yield* held(old, next)
      assert.strictEqual(hold?.kind, "diverged")
      assert.strictEqual(hold?.nodeId, "x")
      assert.include(types(yield* process.events(runId)), "ReplayDiverged")
      yield* process.runner.lookAfter
      yield* quiet
      assert.isFalse(process.runner.isActive(runId))
    }))
}

it.scoped("an Activity whose success schema does not fit what is stored holds the run", () =>
  Effect.gen(function*() {
    const activity = <A, I>(success: Schema.Schema<A, I>, value: A) =>
      Activity.make({ name: "x", success, execute: Effect.succeed(value) })
    const { hold } = yield* held(
      workflow(() => Effect.zipRight(activity(Schema.String, "text"), hang)),
      workflow(() => activity(Schema.Number, 1))
    )
    has(hold, { kind: "diverged", nodeId: "activity:x" })
  }))

it.scoped("a held run goes on when the code was mended and an operator resumes it", () =>
  Effect.gen(function*() {
    const old = workflow(() => Effect.zipRight(task("x"), hang))
    const { database, process, runId } = yield* held(old, workflow(() => ask("x")))
    process.line.die()
    const mended = yield* startProcess(
      database,
      workflow(() => Effect.zipRight(task("x", Effect.dieMessage("again")), task("hang")))
    )
    yield* mended.engine.resume(runId, actor)
    const run = yield* mended.end(runId)
    assert.strictEqual(run.output, "hang")
    assert.isNull(run.hold)
  }))

it.scoped("an input that does not fit the payload schema any more holds the run", () =>
  Effect.gen(function*() {
    const strict = Workflow.make({ name: "w", payload: { n: Schema.Number }, idempotencyKey: () => "" }).toLayer(() =>
      Effect.void
    )
    const { hold, process, runId } = yield* held(workflow(() => hang), strict)
    const [noted] = yield* process.audit.list({ action: "run.diverge", limit: 1 })
    has(noted, { runId, target: "w", outcome: "failed" })
    assert.strictEqual(hold?.kind, "diverged")
    assert.include(hold?.reason, "input")
  }))

it.scoped("steps may change their order: results belong to nodes, not to positions", () =>
  Effect.gen(function*() {
    const { process, runId } = yield* upgrade(
      workflow(() => Effect.zipRight(Effect.zipRight(task("a"), task("b")), hang)),
      workflow(() =>
        Effect.all([
          task("b", Effect.dieMessage("again")),
          task("new"),
          task("a", Effect.dieMessage("again")),
          task("hang")
        ])
      )
    )
    assert.deepStrictEqual((yield* process.end(runId)).output, ["b", "new", "a", "hang"])
  }))

it.scoped("a run that is resumed shows its resumes in the journal, numbered on", () =>
  Effect.gen(function*() {
    const { process, runId } = yield* upgrade(
      workflow(() => Effect.zipRight(task("a"), hang)),
      workflow(() => Effect.zipRight(task("a"), task("hang")))
    )
    yield* process.end(runId)
    const events = yield* process.events(runId)
    assert.deepStrictEqual(events.map(({ seq }) => seq), events.map((_, i) => i + 1))
    assert.deepStrictEqual(types(events), [
      "RunStarted",
      "NodeStarted",
      "NodeFinished",
      "NodeStarted",
      "RunResumed",
      "NodeStarted",
      "NodeFinished",
      "RunFinished"
    ])
  }))

it.scoped("workflows of one service do not disturb each other", () =>
  Effect.gen(function*() {
    const { launch, end, reaches, engine } = yield* startProcess(
      yield* freshDatabase,
      Layer.mergeAll(
        workflow(() => task("t"), { name: "quick" }),
        workflow(() => Effect.die("bug"), { name: "broken" }),
        workflow(() => DurableDeferred.await(DurableDeferred.make("never")), { name: "waiting" })
      )
    )
    const ids = yield* Effect.forEach(
      Array.from({ length: 60 }, (_, i) => i),
      (i) => launch({}, { workflow: ["quick", "broken", "waiting"][i % 3]! }),
      { concurrency: "unbounded" }
    )
    for (const [i, runId] of ids.entries()) {
      if (i % 3 === 2) yield* reaches(runId, "waiting-event")
      else assert.strictEqual((yield* end(runId)).status, i % 3 === 0 ? "finished" : "failed")
    }
    assert.deepStrictEqual((yield* engine.workflows).map(({ key }) => key), ["broken", "quick", "waiting"])
  }))

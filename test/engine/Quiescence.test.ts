import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Schema, TestClock } from "effect"
import { Approval, Task } from "../../src/workflow/index.ts"
import { fresh, quiet, types, until, workflow } from "../support/Engine.ts"

const Text = Schema.String

const ask = (id: string) => Approval.ask({ id, title: id, payload: null })
const task = (id: string, execute: Effect.Effect<string> = Effect.succeed(id)) =>
  Task.run({ id, output: Text, execute })

it.scoped("a branch with steps left to do goes on to its end while another one waits for a person", () =>
  Effect.gen(function*() {
    const steps = Array.from({ length: 30 }, (_, i) => `step-${i}`)
    const { decide, end, launch, reaches, runs } = yield* fresh(
      workflow(() => Effect.all([ask("gate"), Effect.forEach(steps, (id) => task(id))], { concurrency: "unbounded" }))
    )
    const runId = yield* launch()
    yield* reaches(runId, "waiting-approval")
    assert.deepStrictEqual(yield* runs.summary(runId), { finished: 30, "waiting-approval": 1 })
    yield* decide(runId, "gate")
    assert.strictEqual((yield* end(runId)).status, "finished")
  }))

it.scoped("a task that executes is not interrupted by another branch's wait", () =>
  Effect.gen(function*() {
    let starts = 0
    const { launch, reaches, runner } = yield* fresh(workflow(() =>
      Effect.all([
        ask("gate"),
        task(
          "slow",
          Effect.suspend(() => {
            starts++
            return Effect.as(Effect.sleep("1 hour"), "done")
          })
        )
      ], { concurrency: "unbounded" })
    ))
    const runId = yield* launch()
    yield* quiet
    assert.isTrue(runner.isActive(runId))
    yield* TestClock.adjust("1 hour")
    yield* reaches(runId, "waiting-approval")
    assert.strictEqual(starts, 1)
  }))

it.scoped("a body that sleeps after it forked a wait wakes and goes on before anybody decides", () =>
  Effect.gen(function*() {
    const { decide, end, launch, reaches, runner, runs } = yield* fresh(workflow(() =>
      Effect.gen(function*() {
        const answer = yield* Effect.fork(ask("gate"))
        yield* Effect.sleep("1 minute")
        yield* task("remind")
        return (yield* Fiber.join(answer)).approved
      })
    ))
    const runId = yield* launch()
    yield* until(Effect.map(runs.summary(runId), (summary) => summary["waiting-approval"] === 1), "the wait")
    yield* quiet
    assert.isTrue(runner.isActive(runId))
    yield* TestClock.adjust("1 minute")
    yield* reaches(runId, "waiting-approval")
    assert.deepStrictEqual(yield* runs.summary(runId), { finished: 1, "waiting-approval": 1 })
    yield* decide(runId, "gate")
    // The sleep is not durable: it is slept again.
    yield* quiet
    yield* TestClock.adjust("1 minute")
    assert.strictEqual((yield* end(runId)).output, true)
  }))

it.scoped("a task of a body that forked a wait is not interrupted", () =>
  Effect.gen(function*() {
    let starts = 0
    const { launch, reaches } = yield* fresh(workflow(() =>
      Effect.gen(function*() {
        const answer = yield* Effect.fork(ask("gate"))
        yield* Effect.yieldNow()
        yield* task(
          "slow",
          Effect.suspend(() => {
            starts++
            return Effect.as(Effect.sleep("1 minute"), "done")
          })
        )
        return yield* Fiber.join(answer)
      })
    ))
    const runId = yield* launch()
    yield* quiet
    yield* TestClock.adjust("1 minute")
    yield* reaches(runId, "waiting-approval")
    assert.strictEqual(starts, 1)
  }))

it.scoped("a branch that waits for the author's semaphore keeps the run in memory and goes on after the decision", () =>
  Effect.gen(function*() {
    const { decide, end, launch, runs } = yield* fresh(workflow(() =>
      Effect.gen(function*() {
        const one = yield* Effect.makeSemaphore(1)
        return yield* Effect.all([one.withPermits(1)(ask("gate")), one.withPermits(1)(task("after"))], {
          concurrency: "unbounded"
        })
      })
    ))
    const runId = yield* launch()
    yield* until(Effect.map(runs.summary(runId), (summary) => summary["waiting-approval"] === 1), "the wait")
    yield* quiet
    yield* decide(runId, "gate")
    assert.strictEqual((yield* end(runId)).status, "finished")
    assert.deepStrictEqual(yield* runs.summary(runId), { finished: 2 })
  }))

it.scoped("waits in Effect.raceAll park, and the first decision wins", () =>
  Effect.gen(function*() {
    const { decide, end, engine, launch, reaches } = yield* fresh(
      workflow(() => Effect.raceAll([Effect.as(ask("a"), "a"), Effect.as(ask("b"), "b")]))
    )
    const runId = yield* launch()
    yield* reaches(runId, "waiting-approval")
    yield* decide(runId, "b")
    assert.strictEqual((yield* end(runId)).output, "b")
    assert.deepStrictEqual(yield* engine.approvals({}), [])
  }))

it.scoped("a wait in Effect.timeout is given up in time, and its question is withdrawn", () =>
  Effect.gen(function*() {
    const { end, engine, events, launch, runs } = yield* fresh(workflow(() =>
      Effect.timeoutTo(ask("gate"), { duration: "1 hour", onSuccess: () => "decided", onTimeout: () => "late" })
    ))
    const runId = yield* launch()
    yield* until(
      Effect.map(runs.summary(runId), (summary) =>
        summary["waiting-approval"] === 1),
      "the wait"
    )
    yield* quiet
    yield* TestClock.adjust("1 hour")
    assert.strictEqual((yield* end(runId)).output, "late")
    assert.deepStrictEqual(yield* engine.approvals({}), [])
    assert.deepStrictEqual(yield* runs.summary(runId), { cancelled: 1 })
    assert.include(types(yield* events(runId)), "NodeCancelled")
  }))

it.scoped("a decision in time beats Effect.timeout", () =>
  Effect.gen(function*() {
    const { decide, end, launch, runs } = yield* fresh(workflow(() =>
      Effect.timeoutTo(ask("gate"), { duration: "1 hour", onSuccess: () => "decided", onTimeout: () => "late" })
    ))
    const runId = yield* launch()
    yield* until(
      Effect.map(runs.summary(runId), (summary) =>
        summary["waiting-approval"] === 1),
      "the wait"
    )
    yield* quiet
    yield* decide(runId, "gate")
    assert.strictEqual((yield* end(runId)).output, "decided")
  }))

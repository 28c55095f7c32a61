import { assert, it } from "@effect/vitest"
import { type WorkflowEngine } from "@effect/workflow"
import { Arbitrary, Effect, Exit, FastCheck, Fiber, Schema, TestClock } from "effect"
import { Bounds } from "../../src/model/index.ts"
import { Task } from "../../src/workflow/index.ts"
import { fresh, freshDatabase, quiet, startProcess, types, until, workflow } from "../support/Engine.ts"

const Text = Schema.String
class Refused extends Schema.TaggedError<Refused>()("Refused", { why: Schema.String }) {}
class Other extends Schema.TaggedError<Other>()("Other", { message: Schema.String }) {}

const task = (id: string, execute: Effect.Effect<string> = Effect.succeed(id)) =>
  Task.run({ id, output: Text, execute })

it.scoped("steps one after another, side by side, in groups and in loops each have their place and their result", () =>
  Effect.gen(function*() {
    const { end, events, launch, runs } = yield* fresh(workflow(() =>
      Effect.gen(function*() {
        const first = yield* task("first")
        const side = yield* Effect.forEach(["a", "b"], (id) => task(id), { concurrency: "unbounded" }).pipe(
          Task.group("inner"),
          Task.group("outer", "Outer")
        )
        const turns = yield* Effect.forEach([0, 1, 2], (n) =>
          task("turn", Effect.succeed(`turn ${n}`)).pipe(Task.iteration(n)))
        return [first, ...side, ...turns]
      })
    ))
    const run = yield* end(yield* launch())
    assert.deepStrictEqual(run.output, ["first", "a", "b", "turn 0", "turn 1", "turn 2"])
    const nodes = yield* runs.nodes(run.runId)
    assert.deepStrictEqual(
      nodes.map(({ iteration, kind, label, nodeId, parentNodeId, state }) =>
        [nodeId, iteration, kind, label, parentNodeId, state].join(" ")
      ).sort(),
      [
        "a 0 task  inner finished",
        "b 0 task  inner finished",
        "first 0 task   finished",
        "inner 0 group  outer finished",
        "outer 0 group Outer  finished",
        "turn 0 task   finished",
        "turn 1 task   finished",
        "turn 2 task   finished"
      ]
    )
    assert.strictEqual(types(yield* events(run.runId)).at(-1), "RunFinished")
  }))

it.scoped("two steps of one identity are a defect that names both places", () =>
  Effect.gen(function*() {
    const { end, launch } = yield* fresh(workflow(() => Effect.zipRight(task("same"), task("same"))))
    const { error, status } = yield* end(yield* launch())
    assert.strictEqual(status, "failed")
    assert.strictEqual(error!.name, "DuplicateNode")
    assert.strictEqual(error!.message.match(/Steps\.test\.ts:\d+/g)?.length, 2)
  }))

it.scoped("an id or an iteration outside of its bounds is a defect that names it, and leaves rows that can be read", () =>
  Effect.gen(function*() {
    const bad = [
      task("no spaces"),
      task(""),
      task("x".repeat(129)),
      Task.iteration(-1)(task("i")),
      Task.iteration(0.5)(task("h"))
    ]
    const { end, launch, runs } = yield* fresh(workflow(({ n }) => bad[n as number]!))
    for (let n = 0; n < bad.length; n++) {
      const { error, runId, status } = yield* end(yield* launch({ n }))
      assert.strictEqual(status, "failed")
      assert.isFalse(error!.typed)
      assert.deepStrictEqual(yield* runs.nodes(runId), [])
    }
  }))

it.scoped("Guarantee 1: what a replay returns equals what the first execution returned, for every kind of output", () =>
  Effect.gen(function*() {
    const Out = Schema.Struct({
      at: Schema.Date,
      big: Schema.BigInt,
      bytes: Schema.Uint8ArrayFromBase64,
      choice: Schema.Union(Schema.Struct({ _tag: Schema.Literal("A"), n: Schema.Number }), Schema.Null, Schema.Boolean),
      maybe: Schema.optionalWith(Schema.String, { default: () => "none" }),
      option: Schema.Option(Schema.String),
      map: Schema.Map({ key: Schema.String, value: Schema.Int }),
      rest: Schema.Array(Schema.Unknown.pipe(Schema.filter((value) => typeof value !== "undefined")))
    }).pipe(Schema.omit("rest"))
    const values = FastCheck.sample(
      Arbitrary.make(Out).filter(({ at }) => !Number.isNaN(at.getTime())),
      { numRuns: 40, seed: 11 }
    )
    const database = yield* freshDatabase
    const seen: Array<Array<unknown>> = []
    let executions = 0
    const definition = workflow(() =>
      Effect.gen(function*() {
        const outputs: Array<unknown> = []
        seen.push(outputs)
        for (const [i, value] of values.entries()) {
          outputs.push(
            yield* Task.run({ id: "v", output: Out, execute: Effect.sync(() => (executions++, value)) }).pipe(
              Task.iteration(i)
            )
          )
        }
        yield* task("last", Effect.never)
      })
    )
    const before = yield* startProcess(database, definition)
    const runId = yield* before.launch()
    yield* until(Effect.map(before.runs.summary(runId), ({ finished }) => finished === values.length), "the outputs")
    before.line.die()
    const after = yield* startProcess(database, definition)
    yield* after.runner.resume(runId)
    yield* until(Effect.sync(() => seen[1]?.length === values.length), "the replay")
    assert.deepStrictEqual(seen[1], seen[0])
    assert.strictEqual(executions, values.length)
  }))

it.scoped("a failing step is repeated after pauses that double, and its attempts are recorded", () =>
  Effect.gen(function*() {
    const at: Array<number> = []
    const { end, events, launch, runs } = yield* fresh(workflow(() =>
      Task.run({
        id: "flaky",
        output: Text,
        retry: { times: 3, backoff: "1 second" },
        execute: ({ attempt }) =>
          Effect.flatMap(TestClock.currentTimeMillis, (now) => {
            at.push(now)
            return attempt < 4 ? new Refused({ why: `attempt ${attempt}` }) : Effect.succeed("done")
          })
      })
    ))
    const runId = yield* launch()
    for (let second = 0; second < 8; second++) {
      yield* quiet
      yield* TestClock.adjust("1 second")
    }
    assert.strictEqual((yield* end(runId)).output, "done")
    assert.deepStrictEqual(at, [0, 1_000, 3_000, 7_000])
    assert.deepStrictEqual(
      (yield* runs.attempts(runId)).map(({ attempt, state }) => `${attempt} ${state}`),
      ["1 failed", "2 failed", "3 failed", "4 finished"]
    )
    assert.deepStrictEqual(types(yield* events(runId)).filter((type) => type === "NodeRetrying").length, 3)
  }))

it.scoped("a failure that is not worth repeating, a defect, and one too many are not repeated", () =>
  Effect.gen(function*() {
    let attempts = 0
    const kinds = {
      unworthy: [{ times: 5, when: () => false }, Effect.fail(new Refused({ why: "no" }))],
      defect: [{ times: 5 }, Effect.die(new Error("bug"))],
      tooMany: [{ times: 2, backoff: 0 }, Effect.fail(new Refused({ why: "again" }))]
    } as const
    const { end, launch } = yield* fresh(workflow(({ kind }) => {
      const [retry, outcome] = kinds[kind as keyof typeof kinds]
      return Task.run({
        id: "t",
        output: Text,
        error: Refused,
        retry: retry as Task.Options<string, string, Refused, unknown, Refused, never>["retry"] & object,
        execute: Effect.suspend((): Effect.Effect<string, Refused> => {
          attempts++
          return outcome
        })
      })
    }, { error: Refused }))
    const count = (kind: string) =>
      Effect.gen(function*() {
        attempts = 0
        const runId = yield* launch({ kind })
        const ended = yield* Effect.fork(end(runId))
        yield* Effect.repeatN(Effect.zipRight(quiet, TestClock.adjust("1 second")), 4)
        const { error } = yield* Fiber.join(ended)
        return [attempts, error!.name, error!.typed] as const
      })
    assert.deepStrictEqual(yield* count("unworthy"), [1, "Refused", true])
    assert.deepStrictEqual(yield* count("defect"), [1, "TaskFailed", false])
    assert.deepStrictEqual(yield* count("tooMany"), [3, "Refused", true])
  }))

it.scoped("failures are counted across a crash, and the crash itself is none", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    const attempts: Array<number> = []
    const definition = workflow(() =>
      Task.run({
        id: "flaky",
        output: Text,
        error: Refused,
        retry: { times: 2, backoff: "1 minute", factor: 1 },
        execute: ({ attempt }) => {
          attempts.push(attempt)
          return attempt === 2 ? Effect.never : new Refused({ why: "again" })
        }
      }), { error: Refused })
    const before = yield* startProcess(database, definition)
    const runId = yield* before.launch()
    yield* quiet
    yield* TestClock.adjust("1 minute")
    yield* until(Effect.map(before.runs.nodes(runId), ([node]) => node?.attempt === 2), "the second attempt")
    before.line.die()
    const after = yield* startProcess(database, definition)
    yield* after.runner.resume(runId)
    yield* quiet
    yield* TestClock.adjust("1 minute")
    const run = yield* after.end(runId)
    assert.strictEqual(run.error!.name, "Refused")
    assert.deepStrictEqual(attempts, [1, 2, 3, 4])
    assert.deepStrictEqual(
      (yield* after.runs.attempts(runId)).map(({ attempt, state }) => `${attempt} ${state}`),
      ["1 failed", "2 cancelled", "3 failed", "4 failed"]
    )
  }))

it.scoped("an attempt that takes longer than its bound is interrupted and has failed", () =>
  Effect.gen(function*() {
    let signal: AbortSignal | undefined
    const { end, launch } = yield* fresh(workflow(() =>
      Task.run({
        id: "slow",
        output: Text,
        timeout: "1 minute",
        execute: (context) => {
          signal = context.signal
          return Effect.never
        }
      })
    ))
    const runId = yield* launch()
    yield* quiet
    yield* TestClock.adjust("1 minute")
    const { error } = yield* end(runId)
    assert.strictEqual(error!.name, "TaskFailed")
    assert.include(error!.message, "TimedOut")
    assert.isTrue(signal!.aborted)
  }))

it.scoped("a timeout is a typed failure for a body whose schema says so, and is repeated by the policy", () =>
  Effect.gen(function*() {
    const { end, launch } = yield* fresh(workflow(() =>
      Task.run({
        id: "slow",
        output: Text,
        error: Task.TaskFailed,
        timeout: "1 minute",
        retry: { times: 1, backoff: 0, when: () => false },
        execute: Effect.never
      }).pipe(Effect.catchTag("TaskFailed", ({ reason }) => Effect.succeed(reason)))
    ))
    const runId = yield* launch()
    for (let i = 0; i < 3; i++) {
      yield* quiet
      yield* TestClock.adjust("1 minute")
    }
    assert.strictEqual((yield* end(runId)).output, "TimedOut")
  }))

it.scoped("heartbeats are recorded at most once a second, after their attempt's start, and keep it alive", () =>
  Effect.gen(function*() {
    const { end, events, launch, runs } = yield* fresh(workflow(() =>
      Task.run({
        id: "beating",
        output: Text,
        heartbeatTimeout: "3 seconds",
        execute: ({ heartbeat }) =>
          Effect.as(Effect.repeatN(Effect.zipRight(heartbeat, Effect.sleep("500 millis")), 19), "done")
      })
    ))
    yield* TestClock.adjust("1 hour")
    const runId = yield* launch()
    for (let i = 0; i < 21; i++) {
      yield* quiet
      yield* TestClock.adjust("500 millis")
    }
    assert.strictEqual((yield* end(runId)).output, "done")
    const all = types(yield* events(runId))
    assert.strictEqual(all.filter((type) => type === "TaskHeartbeat").length, 10)
    assert.isBelow(all.indexOf("NodeStarted"), all.indexOf("TaskHeartbeat"))
    const [attempt] = yield* runs.attempts(runId)
    assert.strictEqual(attempt!.heartbeatAtMs! - attempt!.startedAtMs, 9_000)
  }))

it.scoped("an attempt that gives no heartbeat in time has failed, and the journal says so", () =>
  Effect.gen(function*() {
    const { end, events, launch } = yield* fresh(
      workflow(() => Task.run({ id: "silent", output: Text, heartbeatTimeout: "3 seconds", execute: Effect.never }))
    )
    const runId = yield* launch()
    yield* quiet
    yield* TestClock.adjust("3 seconds")
    assert.include((yield* end(runId)).error!.message, "HeartbeatLost")
    assert.include(types(yield* events(runId)), "TaskHeartbeatTimeout")
  }))

it.scoped("a step that must not run twice is reported as of unknown outcome when the process died in it", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    let executions = 0
    const definition = workflow(() =>
      Task.run({
        id: "pay",
        output: Text,
        error: Task.TaskFailed,
        atMostOnce: true,
        execute: Effect.suspend(() => {
          executions++
          return Effect.never
        })
      }).pipe(Effect.catchTag("TaskFailed", ({ reason }) => Effect.succeed(reason)))
    )
    const before = yield* startProcess(database, definition)
    const runId = yield* before.launch()
    yield* until(Effect.sync(() => executions === 1), "the execution")
    before.line.die()
    const after = yield* startProcess(database, definition)
    yield* after.runner.resume(runId)
    assert.strictEqual((yield* after.end(runId)).output, "OutcomeUnknown")
    assert.strictEqual(executions, 1)
  }))

it.scoped("a step that must not run twice is repeated after a crash between attempts: all their outcomes are known", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    const definition = workflow(() =>
      Task.run({
        id: "pay",
        output: Text,
        atMostOnce: true,
        retry: { times: 3, backoff: "1 hour" },
        execute: ({ attempt }) => attempt === 1 ? new Refused({ why: "busy" }) : Effect.succeed("paid")
      })
    )
    const before = yield* startProcess(database, definition)
    const runId = yield* before.launch()
    yield* until(Effect.map(before.events(runId), (all) => types(all).includes("NodeRetrying")), "the failure")
    before.line.die()
    const after = yield* startProcess(database, definition)
    yield* after.runner.resume(runId)
    assert.strictEqual((yield* after.end(runId)).output, "paid")
  }))

it.scoped("a step that must not run twice is not executed before its start is durable", () =>
  Effect.gen(function*() {
    let executed = false
    const { end, launch, line } = yield* fresh(workflow(() =>
      Task.run({ id: "pay", output: Text, atMostOnce: true, execute: Effect.sync(() => (executed = true, "paid")) })
    ))
    const held = yield* Effect.fork(line.hold("NodeStarted"))
    const runId = yield* launch()
    const release = yield* Fiber.join(held)
    yield* quiet
    assert.isFalse(executed)
    yield* release
    assert.strictEqual((yield* end(runId)).output, "paid")
  }))

it.scoped("Guarantee 1: nothing is executed again of what was acknowledged, whatever dies when", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    const executions = new Map<string, number>()
    const acknowledged = new Set<string>()
    const definition = workflow(() =>
      Effect.forEach(Array.from({ length: 12 }, (_, i) => `t${i}`), (id) =>
        Effect.tap(
          task(
            id,
            Effect.sync(() => {
              assert.isFalse(acknowledged.has(id))
              executions.set(id, (executions.get(id) ?? 0) + 1)
              return id
            })
          ),
          () => Effect.sync(() => acknowledged.add(id))
        ), { concurrency: 3 })
    )
    let process = yield* startProcess(database, definition)
    const runId = yield* process.launch()
    for (let turns = 1; turns < 40; turns++) {
      yield* Effect.repeatN(Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void))), turns % 5)
      process.line.die()
      process = yield* startProcess(database, definition, { config: { maxResumesWithoutProgress: 1_000 } })
      yield* process.runner.resume(runId)
      const { status } = yield* process.runs.get(runId)
      if (status === "finished") break
    }
    const run = yield* process.end(runId)
    assert.strictEqual(run.status, "finished")
    assert.strictEqual((yield* process.runs.summary(runId))["finished"], 12)
    const events = yield* process.events(runId)
    assert.deepStrictEqual(events.map(({ seq }) => seq), events.map((_, i) => i + 1))
    const finished = events.filter(({ type }) => type === "NodeFinished").map(({ nodeId }) => nodeId)
    assert.strictEqual(new Set(finished).size, finished.length)
  }))

it.scoped("a typed failure is the same failure on a replay", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    const seen: Array<unknown> = []
    const definition = workflow(() =>
      Effect.gen(function*() {
        const exit = yield* Effect.exit(Task.run({
          id: "t",
          output: Text,
          error: Schema.Union(Refused, Other),
          execute: new Refused({ why: "closed" })
        }))
        seen.push(Exit.isFailure(exit) && exit.cause._tag === "Fail" ? exit.cause.error : exit)
        yield* task("hang", Effect.never)
      })
    )
    const before = yield* startProcess(database, definition)
    const runId = yield* before.launch()
    yield* until(Effect.sync(() => seen.length === 1), "the failure")
    before.line.die()
    const after = yield* startProcess(database, definition)
    yield* after.runner.resume(runId)
    yield* until(Effect.sync(() => seen.length === 2), "the replay")
    assert.instanceOf(seen[1], Refused)
    assert.strictEqual((seen[1] as Refused).why, "closed")
  }))

it.scoped("Guarantee 6: a credential in a failure, a defect or a typed error reaches no row and no event", () =>
  Effect.gen(function*() {
    const secret = "ghp_0123456789abcdefghijklmnopqrstuvwxyzAB"
    const kinds: Record<string, Effect.Effect<string, Refused | Other | Error>> = {
      typed: Effect.fail(new Refused({ why: `token ${secret}` })),
      undeclared: Effect.fail(new Other({ message: `https://user:${secret}@host failed` })),
      defect: Effect.die(new Error(`Bearer ${secret}`)),
      object: Effect.fail({ _tag: "Weird", header: `Authorization: Bearer ${secret}` } as never),
      taskFailed: Effect.die(new Task.TaskFailed({ nodeId: "t", reason: "Failed", cause: secret, detail: secret }))
    }
    const { database, end, launch } = yield* fresh(
      workflow(({ kind }) =>
        Task.run({
          id: "t",
          output: Text,
          error: Refused,
          retry: { times: 1, backoff: 0 },
          execute: kinds[kind as string]!
        }), {
        error: Refused
      })
    )
    for (const kind of Object.keys(kinds)) {
      const ended = yield* Effect.fork(Effect.flatMap(launch({ kind }), end))
      yield* Effect.repeatN(Effect.zipRight(quiet, TestClock.adjust("1 second")), 3)
      assert.strictEqual((yield* Fiber.join(ended)).status, "failed", kind)
    }
    const rows = yield* Effect.forEach(
      ["_smithers_runs", "_smithers_nodes", "_smithers_attempts", "_smithers_events", "_smithers_audit"],
      (table) => database.sql.unsafe(`SELECT * FROM ${table}`)
    )
    assert.notInclude(JSON.stringify(rows), secret)
  }))

it.scoped("an output that does not fit its schema, or JSON, fails the step and is not stored", () =>
  Effect.gen(function*() {
    const { end, launch, runs } = yield* fresh(
      workflow(({ kind }): Effect.Effect<unknown, never, WorkflowEngine.WorkflowInstance> =>
        kind === "schema"
          ? Task.run({ id: "t", output: Schema.NonEmptyString, execute: Effect.succeed("") })
          : Task.run({ id: "t", output: Schema.BigIntFromSelf, execute: Effect.succeed(1n) })
      )
    )
    for (const kind of ["schema", "json"]) {
      const run = yield* end(yield* launch({ kind }))
      assert.include(run.error!.message, "OutputInvalid")
      assert.deepStrictEqual(yield* runs.summary(run.runId), { failed: 1 })
    }
  }))

it.scoped("an output, and a workflow's result, over the bound fails and is not stored", () =>
  Effect.gen(function*() {
    const big = "x".repeat(Bounds.outputBytes)
    const { end, launch } = yield* fresh(
      workflow(({ kind }) => kind === "task" ? task("t", Effect.succeed(big)) : Effect.succeed(big))
    )
    for (const kind of ["task", "run"]) {
      const run = yield* end(yield* launch({ kind }))
      assert.strictEqual(run.status, "failed", kind)
      assert.include(run.error!.message, `at most ${Bounds.outputBytes}`)
    }
  }), 60_000)

it.scoped("an error that JSON cannot carry fails the step all the same, untyped", () =>
  Effect.gen(function*() {
    const { end, launch, runs } = yield* fresh(workflow(() =>
      Task.run({
        id: "t",
        output: Text,
        error: Schema.Struct({ big: Schema.BigIntFromSelf }),
        execute: Effect.fail({ big: 1n })
      }), { error: Schema.Unknown }))
    const run = yield* end(yield* launch())
    assert.strictEqual(run.status, "failed")
    assert.deepStrictEqual(yield* runs.summary(run.runId), { failed: 1 })
  }))

it.scoped("a step that the body's own race interrupts is cancelled, and a replay comes to the same winner without it", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    let losers = 0
    const definition = workflow(() =>
      Effect.gen(function*() {
        const winner = yield* Effect.race(
          task("loser", Effect.suspend(() => ++losers === 1 ? Effect.never : Effect.succeed("loser"))),
          task("winner")
        )
        yield* task("hang", Effect.never)
        return winner
      })
    )
    const before = yield* startProcess(database, definition)
    const runId = yield* before.launch()
    yield* until(
      Effect.map(before.runs.summary(runId), (all) => all["in-progress"] === 1 && all["cancelled"] === 1),
      "the race"
    )
    assert.deepStrictEqual(yield* before.runs.summary(runId), { cancelled: 1, finished: 1, "in-progress": 1 })
    before.line.die()
    const after = yield* startProcess(database, definition)
    yield* after.runner.resume(runId)
    yield* until(
      Effect.map(
        after.runs.nodes(runId),
        (all) => all.some(({ attempt, nodeId }) => nodeId === "hang" && attempt === 2)
      ),
      "the replay"
    )
    yield* quiet
    assert.strictEqual(losers, 1)
    assert.deepStrictEqual(yield* after.runs.summary(runId), { cancelled: 1, finished: 1, "in-progress": 1 })
  }))

it.scoped("an attempt knows its run, node, iteration, number, and a key that all attempts of the step share", () =>
  Effect.gen(function*() {
    const keys: Array<string> = []
    const { end, launch } = yield* fresh(workflow(() =>
      Task.run({
        id: "t",
        output: Text,
        retry: { times: 1, backoff: 0 },
        execute: (context) => {
          keys.push(context.idempotencyKey)
          return context.attempt === 1
            ? new Refused({ why: "" })
            : Effect.succeed([context.runId, context.nodeId, context.iteration, context.attempt].join(" "))
        }
      }).pipe(Task.iteration(7))
    ))
    const runId = yield* launch({}, { runId: "mine" })
    yield* Effect.repeatN(Effect.zipRight(quiet, TestClock.adjust("1 second")), 3)
    assert.strictEqual((yield* end(runId)).output, "mine t 7 2")
    assert.deepStrictEqual(keys, ["mine/t/7", "mine/t/7"])
  }))

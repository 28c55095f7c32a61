import { assert, describe, it } from "@effect/vitest"
import { Deferred, Duration, Effect, Exit, Fiber, FiberId, Layer, Schema, TestClock } from "effect"
import { Cache, type Policy } from "../../src/cache/index.ts"
import { type Actor } from "../../src/model/index.ts"
import { Write } from "../../src/persistence/index.ts"
import { Task, Workflow } from "../../src/workflow/index.ts"
import { credentials } from "../secrets/support.ts"
import {
  actor,
  dump,
  eventsOf,
  fresh,
  freshDatabase,
  type Process,
  quiet,
  startProcess,
  types,
  until,
  workflow
} from "../support/Engine.ts"
import { makeHome, openHome } from "../support/Home.ts"

const Output = Schema.Struct({ n: Schema.Number })
const Wider = Schema.Struct({ n: Schema.Number, more: Schema.optional(Schema.String) })
const Marked = Schema.Struct({ n: Schema.Number, key: Cache.sensitive(Schema.String) })

const untrusted: Actor = { userId: "user:eve", tokenId: "t9", role: "operator", scopes: ["run:write"] }

/** What a run is to do; tests hand it over by reference, as code is. */
interface Asked {
  readonly policy?: Policy
  readonly id?: string
  readonly output?: Schema.Schema.AnyNoContext
  readonly iteration?: number
}

/** Workflows `w` and `v` of one task each, which does what was asked last and counts its executions. */
const counted = () => {
  const seen = { executions: 0 }
  let asked: Asked = {}
  let execute: (execution: number) => Effect.Effect<unknown> = (n) => Effect.succeed({ n })
  const body = () =>
    Effect.suspend(() =>
      Task.run({
        id: asked.id ?? "task",
        output: (asked.output ?? Output) as typeof Output,
        ...(asked.policy !== undefined && { cache: asked.policy }),
        // The schema of the test at hand says what it is.
        execute: Effect.suspend(() => execute(++seen.executions)) as Effect.Effect<typeof Output.Type>
      }).pipe(Task.iteration(asked.iteration ?? 0))
    )
  return {
    seen,
    layer: Layer.merge(workflow(body), workflow(body, { name: "v" })),
    ask: (next: Asked) => {
      asked = next
    },
    execute: (next: typeof execute) => {
      execute = next
    }
  }
}

const ended = (process: Process, launching: Parameters<Process["launch"]>[1] = {}) =>
  Effect.flatMap(process.launch({}, launching), process.end)

/** The data of the first event of a type. */
const said = (process: Process, runId: string, type: "CacheHit" | "CacheMiss") =>
  Effect.map(process.events(runId), (events) => events.find((event) => event.type === type)?.data)

interface Second extends Asked {
  readonly workflow?: string
  readonly by?: Actor
  readonly afterMs?: number
}

type Row = readonly [what: string, first: Policy, second: Second, expected: string]

const global: Policy = { scope: "global" }
const brief: Policy = { ttlMs: 1_000 }

/** A run of workflow w has executed the task under one policy; what does a second run find under another? */
const table: ReadonlyArray<Row> = [
  ["no policy", {}, {}, "executed without a look"],
  ["default scope, another run of the workflow", {}, { policy: {} }, "hit"],
  ["default scope, another workflow", {}, { policy: {}, workflow: "v" }, "Absent"],
  ["scope workflow, another task", {}, { policy: {}, id: "other" }, "Absent"],
  ["scope workflow, another iteration", {}, { policy: {}, iteration: 4 }, "hit"],
  ["scope run, another run", { scope: "run" }, { policy: { scope: "run" } }, "Absent"],
  ["scope global, another workflow", global, { policy: global, workflow: "v" }, "hit"],
  ["scope global, another task", global, { policy: global, id: "other" }, "Absent"],
  ["scope global, same key, another task and workflow", { ...global, key: "k" }, {
    policy: { ...global, key: "k" },
    id: "other",
    workflow: "v"
  }, "hit"],
  ["scope global, an untrusted run", global, { policy: global, by: untrusted }, "hit"],
  ["same version", { version: "1" }, { policy: { version: "1" } }, "hit"],
  ["another version", { version: "1" }, { policy: { version: "2" } }, "Absent"],
  ["same input", { by: { repo: "a" } }, { policy: { by: { repo: "a" } } }, "hit"],
  ["another input", { by: { repo: "a" } }, { policy: { by: { repo: "b" } } }, "Absent"],
  ["an input that throws", {}, {
    policy: {
      by: () => {
        throw new Error("no input")
      }
    }
  }, "NoKey"],
  ["within the ttl", brief, { policy: brief, afterMs: 999 }, "hit"],
  ["after the ttl", brief, { policy: brief, afterMs: 1_000 }, "Expired"],
  ["ttl 0", { ttlMs: 0 }, { policy: { ttlMs: 0 } }, "Expired"],
  ["no ttl, an hour later", {}, { policy: {}, afterMs: 3_600_000 }, "hit"],
  ["after the stale time", brief, { policy: { ...brief, staleMs: 9_000 }, afterMs: 10_000 }, "Expired"],
  ["another output schema", {}, { policy: {}, output: Wider }, "Absent"],
  ["a sensitive output", {}, { policy: {}, output: Marked }, "Sensitive"]
]

describe("a task that another run has executed", () => {
  for (const [what, first, second, expected] of table) {
    it.scoped(`${what}: ${expected}`, () =>
      Effect.gen(function*() {
        const { ask, execute, layer, seen } = counted()
        const process = yield* fresh(layer)
        execute((n) => Effect.succeed({ n, key: "k" }))
        ask({ policy: first })
        const one = yield* ended(process)
        assert.deepStrictEqual(one.output, { n: 1 })
        yield* TestClock.adjust(second.afterMs ?? 0)
        ask(second)
        const two = yield* ended(process, { workflow: second.workflow ?? "w", actor: second.by ?? actor })
        const hit = yield* said(process, two.runId, "CacheHit")
        const miss = yield* said(process, two.runId, "CacheMiss")
        const found = hit !== undefined ? "hit" : miss === undefined ? "executed without a look" : miss["reason"]
        assert.strictEqual(found, expected)
        assert.strictEqual(seen.executions, expected === "hit" ? 1 : 2)
        assert.deepInclude(two.output, { n: expected === "hit" ? 1 : 2 })
      }))
  }
})

it.scoped("a hit adds its events and a finished node, says that it was cached, and names who made the result", () =>
  Effect.gen(function*() {
    const { ask, execute, layer } = counted()
    const process = yield* fresh(layer)
    execute((n) => Effect.as(Effect.sleep("5 minutes"), { n }))
    ask({ policy: { tags: ["a"] } })
    const first = yield* process.launch()
    yield* quiet
    yield* TestClock.adjust("5 minutes")
    yield* process.end(first)
    yield* TestClock.adjust("1 minute")
    const second = (yield* ended(process)).runId
    const events = yield* process.events(second)
    assert.deepStrictEqual(types(events), ["RunStarted", "CacheHit", "NodeFinished", "RunFinished"])
    assert.deepStrictEqual(events.map(({ frameNo }) => frameNo), [0, 0, 1, 1])
    const [entry] = yield* process.cache.list({})
    assert.deepStrictEqual(events[1]?.data, {
      key: entry!.key,
      ageMs: 60_000,
      savedMs: 300_000,
      producer: { workflow: "w", runId: first, frameNo: 2, nodeId: "task", iteration: 0, writer: "user:ada" }
    })
    assert.deepStrictEqual(types(yield* process.events(first)), [
      "RunStarted",
      "NodeStarted",
      "CacheMiss",
      "NodeFinished",
      "RunFinished"
    ])
    const miss = yield* said(process, first, "CacheMiss")
    assert.deepInclude(miss, { key: entry!.key, reason: "Absent", stored: true, parts: entry!.parts })
    const cached = (runId: string) =>
      Effect.map(
        process.runs.attempts(runId),
        (all) => all.map(({ attempt, cached, state }) => [attempt, state, cached])
      )
    assert.deepStrictEqual(yield* cached(first), [[1, "finished", false]])
    assert.deepStrictEqual(yield* cached(second), [[1, "finished", true]])
    const [node] = yield* process.runs.nodes(second)
    assert.deepInclude(node, { state: "finished", attempt: 1, output: { n: 1 }, kind: "task" })
  }))

it.scoped("Guarantee 6: what a key is made of holds no secret; a task with such a key executes and stores nothing", () =>
  Effect.gen(function*() {
    const { ask, layer, seen } = counted()
    const process = yield* fresh(layer)
    const token = credentials("cache key")["github-token"]!
    ask({ policy: { by: { token } } })
    const first = (yield* ended(process)).runId
    yield* ended(process)
    assert.strictEqual(seen.executions, 2)
    assert.deepInclude(yield* said(process, first, "CacheMiss"), { reason: "NoKey", stored: false, parts: null })
    assert.notInclude(yield* dump(process.persistence), token)
  }))

it.scoped("Guarantee 5: a stored result that was tampered with or does not fit is a miss, says so, and is replaced", () =>
  Effect.gen(function*() {
    const { ask, layer, seen } = counted()
    const process = yield* fresh(layer)
    ask({ policy: {} })
    yield* ended(process)
    const digest = (text: string) =>
      process.persistence.write(Write.run("UPDATE _smithers_cache SET payload_json = ?", [text]))
    yield* digest(`{"n":7}`)
    const tampered = yield* ended(process)
    assert.deepInclude(yield* said(process, tampered.runId, "CacheMiss"), { reason: "Corrupt", stored: true })
    assert.deepStrictEqual(tampered.output, { n: 2 })
    assert.deepStrictEqual((yield* ended(process)).output, { n: 2 })
    assert.strictEqual(seen.executions, 2)

    // Same structure, and so the same key; only the code of the filter has changed.
    const named = (holds: (n: number) => boolean) =>
      Schema.Struct({ n: Schema.Number.pipe(Schema.filter(holds, { identifier: "Even" })) })
    ask({ policy: { version: 2 }, output: named(() => true) })
    assert.deepStrictEqual((yield* ended(process)).output, { n: 3 })
    ask({ policy: { version: 2 }, output: named((n) => n % 2 === 0) })
    const unfit = yield* ended(process)
    assert.deepInclude(yield* said(process, unfit.runId, "CacheMiss"), { reason: "Mismatch", stored: true })
    assert.deepStrictEqual(unfit.output, { n: 4 })
    assert.deepStrictEqual((yield* ended(process)).output, { n: 4 })
    assert.strictEqual(seen.executions, 4)
  }))

describe("a stale result", () => {
  const policy = { ttlMs: 1_000, staleMs: 9_000 }

  /** A process with a result that is stale. */
  const stale = Effect.gen(function*() {
    const { ask, execute, layer, seen } = counted()
    const process = yield* fresh(layer)
    ask({ policy, output: Wider })
    yield* ended(process)
    yield* TestClock.adjust("2 seconds")
    return { execute, process, seen }
  })

  it.scoped("is used at once by whoever comes, and replaced by one execution, which outlives their runs", () =>
    Effect.gen(function*() {
      const { execute, process, seen } = yield* stale
      const go = Deferred.unsafeMake<void>(FiberId.none)
      execute((n) => Effect.as(Deferred.await(go), { n }))
      const runs = yield* Effect.all(Array.from({ length: 5 }, () => ended(process)), { concurrency: "unbounded" })
      assert.deepStrictEqual(runs.map(({ output }) => output), Array.from({ length: 5 }, () => ({ n: 1 })))
      for (const { runId } of runs) assert.deepInclude(yield* said(process, runId, "CacheHit"), { stale: true })
      const before = yield* Effect.forEach(runs, ({ runId }) => process.events(runId))
      yield* Deferred.succeed(go, undefined)
      yield* until(
        Effect.map(process.cache.list({}), ([entry]) => entry !== undefined && entry.createdAtMs === 2_000),
        "the result to be replaced"
      )
      const next = yield* ended(process)
      assert.deepStrictEqual([next.output, seen.executions], [{ n: 2 }, 2])
      assert.notProperty((yield* said(process, next.runId, "CacheHit"))!, "stale")
      assert.deepStrictEqual(yield* Effect.forEach(runs, ({ runId }) => process.events(runId)), before)
      assert.strictEqual((yield* process.runs.get(runs[0]!.runId)).status, "finished")
    }))

  it.scoped("stays when its replacement fails, does not fit, or holds a secret", () =>
    Effect.gen(function*() {
      const { execute, process, seen } = yield* stale
      const token = credentials("stale")["github-token"]!
      const ways = [Effect.die("no"), Effect.succeed({ n: "no number" }), Effect.succeed({ n: 2, more: token })]
      for (const way of ways) {
        const executions = seen.executions
        execute(() => way)
        assert.deepStrictEqual((yield* ended(process)).output, { n: 1 })
        yield* until(Effect.sync(() => seen.executions === executions + 1), "the execution")
        yield* quiet
      }
      const [entry] = yield* process.cache.list({})
      assert.strictEqual(entry?.createdAtMs, 0)
      assert.notInclude(yield* dump(process.persistence), token)
    }))

  it.scoped("whose replacement never comes back holds its key for ten minutes, no longer", () =>
    Effect.gen(function*() {
      const { execute, process, seen } = yield* stale
      execute(() => Effect.never)
      yield* ended(process)
      yield* until(Effect.sync(() => seen.executions === 2), "the execution")
      execute((n) => Effect.succeed({ n }))
      // It is expired now; who misses it waits for the execution that is under way.
      yield* TestClock.adjust("9 minutes")
      const waiting = yield* Effect.fork(ended(process))
      yield* quiet
      assert.strictEqual(seen.executions, 2)
      yield* TestClock.adjust("1 minutes")
      assert.deepStrictEqual((yield* Fiber.join(waiting)).output, { n: 3 })
    }))

  it.scoped("is interrupted with its service, and the next one replaces it", () =>
    Effect.gen(function*() {
      const { execute, process } = yield* stale
      let interrupted = false
      execute(() => Effect.onInterrupt(Effect.never, () => Effect.sync(() => void (interrupted = true))))
      yield* ended(process)
      yield* quiet
      yield* process.stop
      assert.isTrue(interrupted)
    }))
})

it.scoped("a hit outlives the process, and a replay of the hit does not look again", () =>
  Effect.gen(function*() {
    const { ask, layer, seen } = counted()
    const home = yield* makeHome
    ask({ policy: {} })
    const before = yield* Effect.scoped(Effect.gen(function*() {
      const process = yield* startProcess(yield* openHome(home), layer)
      const run = yield* ended(process)
      yield* process.stop
      return run
    }))
    const process = yield* startProcess(yield* openHome(home), layer)
    yield* Effect.addFinalizer(() => process.stop)
    const after = yield* ended(process)
    assert.deepStrictEqual(after.output, before.output)
    assert.strictEqual(seen.executions, 1)
    assert.deepNestedInclude(yield* said(process, after.runId, "CacheHit"), { "producer.runId": before.runId })
  }), 30_000)

it.scoped("a thousand runs that miss the same at once execute once", () =>
  Effect.gen(function*() {
    const { ask, execute, layer, seen } = counted()
    const process = yield* fresh(layer)
    ask({ policy: {} })
    const go = Deferred.unsafeMake<void>(FiberId.none)
    execute((n) => Effect.as(Deferred.await(go), { n }))
    const runIds = yield* Effect.replicateEffect(process.launch(), 1_000, { concurrency: 100 })
    yield* quiet
    yield* Deferred.succeed(go, undefined)
    const runs = yield* Effect.forEach(runIds, process.end, { concurrency: "unbounded" })
    assert.strictEqual(seen.executions, 1)
    assert.isTrue(runs.every(({ status }) => status === "finished"))
    assert.strictEqual(new Set(runs.map(({ output }) => JSON.stringify(output))).size, 1)
    const hits = yield* Effect.forEach(runIds, (runId) => said(process, runId, "CacheHit"))
    const shared = hits.filter((hit) => hit?.["shared"] === true)
    assert.strictEqual(hits.filter((hit) => hit === undefined).length, 1)
    assert.isAtLeast(shared.length, 1)
    const leader = runIds[hits.indexOf(undefined)]
    assert.deepNestedInclude(shared[0], { "producer.runId": leader, ageMs: 0 })
  }), 60_000)

it.scoped("when the run that executes fails, another executes; none fails for its sake", () =>
  Effect.gen(function*() {
    const { ask, execute, layer, seen } = counted()
    const process = yield* fresh(layer)
    ask({ policy: {} })
    const go = Deferred.unsafeMake<void>(FiberId.none)
    execute((n) => Effect.zipRight(Deferred.await(go), n === 1 ? Effect.die("bad luck") : Effect.succeed({ n })))
    const runIds = yield* Effect.replicateEffect(process.launch(), 20)
    yield* quiet
    assert.strictEqual(seen.executions, 1)
    yield* Deferred.succeed(go, undefined)
    const runs = yield* Effect.forEach(runIds, process.end, { concurrency: "unbounded" })
    assert.deepStrictEqual(runs.filter(({ status }) => status === "failed").length, 1)
    assert.isAtMost(seen.executions, 3)
  }))

it.scoped("an attempt that is to be repeated does not keep others waiting through its pause", () =>
  Effect.gen(function*() {
    let executions = 0
    const process = yield* fresh(workflow(() =>
      Task.run({
        id: "task",
        output: Output,
        cache: {},
        retry: { times: 1, backoff: "1 hour" },
        execute: Effect.suspend(() =>
          ++executions === 1 ? Effect.zipRight(quiet, Effect.fail("busy")) : Effect.succeed({ n: executions })
        )
      })
    ))
    const first = yield* process.launch()
    yield* until(Effect.sync(() => executions === 1), "the first attempt")
    const second = yield* process.end(yield* process.launch())
    assert.deepStrictEqual(second.output, { n: 2 })
    assert.include(types(yield* process.events(first)), "NodeRetrying")
    // The repetition finds what the other one stored.
    yield* TestClock.adjust("1 hour")
    const { output } = yield* process.end(first)
    assert.deepStrictEqual(output, { n: 2 })
    assert.strictEqual(executions, 2)
    assert.deepStrictEqual(
      (yield* process.runs.attempts(first)).map(({ attempt, cached, state }) => [attempt, state, cached]),
      [[1, "failed", false], [2, "finished", true]]
    )
  }))

describe("when the run that executes is cancelled", () => {
  it.scoped("exactly one of those who wait executes", () =>
    Effect.gen(function*() {
      const { ask, execute, layer, seen } = counted()
      const process = yield* fresh(layer)
      ask({ policy: {} })
      execute((n) => n === 1 ? Effect.never : Effect.succeed({ n }))
      const leader = yield* process.launch()
      yield* until(Effect.sync(() => seen.executions === 1), "the execution")
      const others = yield* Effect.replicateEffect(process.launch(), 10)
      yield* quiet
      yield* process.engine.cancel(leader, actor)
      assert.strictEqual((yield* process.end(leader)).status, "cancelled")
      const runs = yield* Effect.forEach(others, process.end)
      assert.isTrue(runs.every(({ output }) => JSON.stringify(output) === `{"n":2}`))
      assert.strictEqual(seen.executions, 2)
    }))

  it.scoped("and does not stop, those who wait are released with it", () =>
    Effect.gen(function*() {
      const { ask, execute, layer, seen } = counted()
      const process = yield* fresh(layer, { config: { cancelGrace: Duration.seconds(1) } })
      ask({ policy: {} })
      const stuck = Deferred.unsafeMake<void>(FiberId.none)
      execute((n) => n === 1 ? Effect.as(Effect.uninterruptible(Deferred.await(stuck)), { n }) : Effect.succeed({ n }))
      const leader = yield* process.launch()
      yield* until(Effect.sync(() => seen.executions === 1), "the execution")
      const other = yield* process.launch()
      yield* quiet
      yield* process.engine.cancel(leader, actor)
      yield* TestClock.adjust("1 minute")
      assert.deepStrictEqual((yield* process.end(other)).output, { n: 2 })
      yield* Deferred.succeed(stuck, undefined)
      yield* quiet
      assert.strictEqual((yield* process.engine.awaitEnd(leader)).status, "cancelled")
      // What came too late is not stored.
      assert.deepStrictEqual((yield* ended(process)).output, { n: 2 })
    }))
})

it.scoped("a run that waits for another's execution can be cancelled and paused, and is not parked meanwhile", () =>
  Effect.gen(function*() {
    const { ask, execute, layer, seen } = counted()
    const process = yield* fresh(layer)
    ask({ policy: {} })
    const go = Deferred.unsafeMake<void>(FiberId.none)
    execute((n) => Effect.as(Deferred.await(go), { n }))
    const leader = yield* process.launch()
    yield* until(Effect.sync(() => seen.executions === 1), "the execution")
    const [cancelled, paused] = [yield* process.launch(), yield* process.launch()]
    yield* quiet
    yield* process.engine.cancel(cancelled, actor)
    assert.strictEqual((yield* process.end(cancelled)).status, "cancelled")
    yield* process.engine.pause(paused, actor)
    yield* quiet
    assert.strictEqual((yield* process.runs.get(paused)).status, "running")
    yield* Deferred.succeed(go, undefined)
    assert.strictEqual((yield* process.end(leader)).status, "finished")
    // It had started to wait before the pause: it takes what it waited for, as a step that executes would end.
    assert.deepStrictEqual((yield* process.end(paused)).output, { n: 1 })
    assert.strictEqual(seen.executions, 1)
  }))

it.scoped("a pause holds a step before it looks; whoever is to execute next is not a paused run", () =>
  Effect.gen(function*() {
    const { ask, execute, layer, seen } = counted()
    const process = yield* fresh(layer)
    ask({ policy: {} })
    execute((n) => n === 1 ? Effect.never : Effect.succeed({ n }))
    const leader = yield* process.launch()
    yield* until(Effect.sync(() => seen.executions === 1), "the execution")
    const paused = yield* process.launch()
    yield* quiet
    const other = yield* process.launch()
    yield* quiet
    yield* process.engine.pause(paused, actor)
    yield* process.engine.cancel(leader, actor)
    assert.deepStrictEqual((yield* process.end(other)).output, { n: 2 })
    yield* process.reaches(paused, "paused")
    yield* process.engine.resume(paused, actor)
    assert.deepStrictEqual((yield* process.end(paused)).output, { n: 2 })
    assert.strictEqual(seen.executions, 2)
  }))

describe("trust", () => {
  it.scoped("an untrusted run reads what is global and writes nothing of it; its own workflow's it may write", () =>
    Effect.gen(function*() {
      const { ask, layer, seen } = counted()
      const process = yield* fresh(layer)
      ask({ policy: global })
      const eve = yield* ended(process, { actor: untrusted })
      assert.deepInclude(yield* said(process, eve.runId, "CacheMiss"), { reason: "Absent", stored: false })
      assert.deepStrictEqual(yield* process.cache.list({}), [])
      assert.deepStrictEqual((yield* ended(process)).output, { n: 2 })
      assert.deepStrictEqual((yield* ended(process, { actor: untrusted })).output, { n: 2 })
      ask({ policy: {} })
      yield* ended(process, { actor: untrusted })
      assert.deepStrictEqual((yield* ended(process)).output, { n: 3 })
      assert.strictEqual(seen.executions, 3)
      assert.deepStrictEqual(
        (yield* process.cache.list({})).map(({ scope, writer }) => [scope, writer]).sort(),
        [["global", "user:ada"], ["workflow", "user:eve"]]
      )
    }))

  for (
    const [scopes, stores] of [
      [["run:admin"], true],
      [["run:write"], false],
      [["admin"], false],
      [["run.*"], false],
      [[], false]
    ] as const
  ) {
    it.scoped(`a launcher with the scopes [${scopes.join()}] ${stores ? "stores" : "does not store"} globally`, () =>
      Effect.gen(function*() {
        const { ask, layer } = counted()
        const process = yield* fresh(layer)
        ask({ policy: global })
        yield* ended(process, { actor: { ...untrusted, scopes } })
        assert.strictEqual((yield* process.cache.list({})).length, stores ? 1 : 0)
      }))
  }

  it.scoped("a child run is trusted as its parent is, also when it is taken up by another process", () =>
    Effect.gen(function*() {
      const Child = Workflow.make({
        name: "child",
        payload: { by: Schema.String },
        success: Output,
        idempotencyKey: ({ by }) => by
      })
      const child = Child.toLayer(({ by }) =>
        Effect.gen(function*() {
          yield* Task.run({
            id: "one",
            output: Output,
            cache: { scope: "global", by },
            execute: Effect.succeed({ n: 1 })
          })
          yield* Effect.suspend(() => gate)
          return yield* Task.run({
            id: "two",
            output: Output,
            cache: { scope: "global", by },
            execute: Effect.succeed({ n: 2 })
          })
        })
      )
      let gate: Effect.Effect<void> = Effect.void
      const definitions = Layer.merge(workflow(({ by }) => Child.execute({ by: String(by) })), child)
      const database = yield* freshDatabase
      const before = yield* startProcess(database, definitions)
      for (const [by, launcher] of [["ada", actor], ["eve", untrusted]] as const) {
        yield* before.end(yield* before.launch({ by }, { actor: launcher }))
      }
      const written = Effect.map(
        before.cache.list({}),
        (all) => all.map(({ nodeId, writer }) => `${nodeId} ${writer}`).sort()
      )
      assert.deepStrictEqual(yield* written, ["one user:ada", "two user:ada"])
      gate = Effect.never
      const waiting = [
        yield* before.launch({ by: "ida" }),
        yield* before.launch({ by: "eva" }, { actor: untrusted })
      ]
      const finished = (runId: string) =>
        Effect.flatMap(before.runs.list({ parentRunId: runId }), ([child]) =>
          child === undefined
            ? Effect.succeed(false)
            : Effect.map(before.runs.summary(child.runId), (summary) => summary["finished"] === 1))
      for (const runId of waiting) yield* until(finished(runId), "the first task of the child")
      before.line.die()
      gate = Effect.void
      const after = yield* startProcess(database, definitions, { supervised: true })
      yield* Effect.addFinalizer(() => after.stop)
      for (const runId of waiting) yield* after.end(runId)
      assert.deepStrictEqual(
        (yield* after.cache.list({})).map(({ nodeId, writer }) => `${nodeId} ${writer}`).sort(),
        ["one user:ada", "one user:ada", "two user:ada", "two user:ada"]
      )
    }))
})

for (const committed of [false, true]) {
  it.scoped(
    committed
      ? "a process that dies after the commit of a result, before anybody hears of it, has stored it"
      : "a process that dies between execution and commit has stored nothing",
    () =>
      Effect.gen(function*() {
        const { ask, layer, seen } = counted()
        const database = yield* freshDatabase
        const before = yield* startProcess(database, layer)
        ask({ policy: {} })
        const held = yield* Effect.fork(before.line.hold("NodeFinished"))
        yield* quiet
        const runId = yield* before.launch()
        const release = yield* held
        assert.strictEqual(seen.executions, 1)
        before.line.die()
        if (committed) yield* Effect.zipRight(release, quiet)
        const after = yield* startProcess(database, layer)
        yield* Effect.addFinalizer(() => after.stop)
        assert.strictEqual((yield* after.cache.list({})).length, committed ? 1 : 0)
        yield* after.runner.resume(runId)
        const n = committed ? 1 : 2
        assert.deepStrictEqual((yield* after.end(runId)).output, { n })
        assert.deepStrictEqual((yield* ended(after)).output, { n })
        assert.strictEqual(seen.executions, n)
      })
  )
}

it.scoped("a run that was taken up in the middle of a task may find its result, and says what became of the attempt", () =>
  Effect.gen(function*() {
    const { ask, execute, layer, seen } = counted()
    const database = yield* freshDatabase
    const before = yield* startProcess(database, layer)
    ask({ policy: {} })
    execute(() => Effect.never)
    const runId = yield* before.launch()
    yield* until(Effect.map(before.runs.summary(runId), (summary) => summary["in-progress"] === 1), "the start")
    before.line.die()
    execute((n) => Effect.succeed({ n }))
    const after = yield* startProcess(database, layer)
    yield* Effect.addFinalizer(() => after.stop)
    assert.deepStrictEqual((yield* ended(after)).output, { n: 2 })
    yield* after.runner.resume(runId)
    assert.deepStrictEqual((yield* after.end(runId)).output, { n: 2 })
    assert.strictEqual(seen.executions, 2)
    assert.deepStrictEqual(
      (yield* after.runs.attempts(runId)).map(({ attempt, cached, state }) => [attempt, state, cached]),
      [[1, "cancelled", false], [2, "finished", true]]
    )
    assert.deepStrictEqual(types(yield* eventsOf(after.journal, runId)).slice(-3), [
      "CacheHit",
      "NodeFinished",
      "RunFinished"
    ])
  }))

it.scoped("what is too large is given to those who wait for it, not stored, and said", () =>
  Effect.gen(function*() {
    const Text = Schema.String
    let executions = 0
    const process = yield* fresh(workflow(() =>
      Effect.map(
        Task.run({
          id: "large",
          output: Text,
          cache: {},
          execute: Effect.sync(() => (executions++, "x".repeat(16_777_216)))
        }),
        (text) => text.length
      )
    ))
    const run = yield* ended(process)
    assert.strictEqual(run.output, 16_777_216)
    const finished = (yield* process.events(run.runId)).find(({ type }) => type === "NodeFinished")
    assert.match(String(finished?.data["notCached"]), /at most 16777216/)
    assert.deepStrictEqual(yield* process.cache.list({}), [])
    yield* ended(process)
    assert.strictEqual(executions, 2)
  }))

it.scoped("a void result is cached, and a task that must not execute twice may use a stored one", () =>
  Effect.gen(function*() {
    let executions = 0
    const process = yield* fresh(workflow(() =>
      Task.run({
        id: "once",
        output: Schema.Void,
        cache: {},
        atMostOnce: true,
        execute: Effect.sync(() => {
          executions++
        })
      })
    ))
    for (let i = 0; i < 3; i++) assert.strictEqual((yield* ended(process)).status, "finished")
    assert.strictEqual(executions, 1)
  }))

it.scoped("a failure is not cached, and tasks of one run share what scope run stores", () =>
  Effect.gen(function*() {
    let executions = 0
    const process = yield* fresh(workflow(({ fail }) =>
      Effect.forEach([0, 1, 2], (index) =>
        Task.run({
          id: "task",
          output: Output,
          error: Schema.String,
          cache: { scope: "run" },
          execute: Effect.suspend(
            () => (executions++, fail === true ? Effect.fail("no") : Effect.succeed({ n: executions }))
          )
        }).pipe(Task.iteration(index), Effect.exit, Effect.map(Exit.isSuccess)))
    ))
    const failing = yield* process.end(yield* process.launch({ fail: true }))
    assert.deepStrictEqual(failing.output, [false, false, false])
    assert.strictEqual(executions, 3)
    const sharing = yield* process.end(yield* process.launch({}))
    assert.deepStrictEqual(sharing.output, [true, true, true])
    assert.strictEqual(executions, 4)
    // What only the run itself could use goes with it.
    assert.strictEqual((yield* process.cache.list({ runId: sharing.runId })).length, 1)
    yield* process.engine.remove(sharing.runId, actor)
    assert.deepStrictEqual(yield* process.cache.list({}), [])
  }))

it.scoped("what is shared outlives the run that made it", () =>
  Effect.gen(function*() {
    const { ask, layer, seen } = counted()
    const process = yield* fresh(layer)
    ask({ policy: {} })
    const { runId } = yield* ended(process)
    yield* process.engine.remove(runId, actor)
    yield* ended(process)
    assert.strictEqual(seen.executions, 1)
  }))

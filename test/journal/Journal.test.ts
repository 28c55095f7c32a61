import { assert, it } from "@effect/vitest"
import { Array, Chunk, Context, Deferred, Effect, FastCheck, Fiber, Layer, Option, Stream } from "effect"
import { Journal, RunStore } from "../../src/journal/index.ts"
import { migrations } from "../../src/journal/migrations.ts"
import { Bounds, type RunEvent } from "../../src/model/index.ts"
import { Persistence, type PersistenceError, Write } from "../../src/persistence/index.ts"
import { actor, eventsOf, freshDatabase, quiet, until } from "../support/Engine.ts"
import { makeHome, openHome, turn } from "../support/Home.ts"

const open = (persistence: Persistence.Persistence["Type"]) =>
  Effect.map(
    Layer.build(
      Layer.mergeAll(Journal.layer, RunStore.layer).pipe(
        Layer.provide(Layer.succeed(Persistence.Persistence, persistence))
      )
    ),
    (context) => ({
      persistence,
      journal: Context.get(context, Journal.Journal),
      runs: Context.get(context, RunStore.RunStore)
    })
  )

const fresh = Effect.flatMap(freshDatabase, open)

type Opened = Effect.Effect.Success<typeof fresh>

const insert = ({ persistence, runs }: Opened, runId: string) =>
  persistence.write(runs.insert({
    runId,
    parentRunId: null,
    workflow: "w",
    inputJson: "{}",
    idempotencyKey: null,
    actor,
    startedBy: null,
    moduleRevision: null,
    ownerId: "test",
    createdAtMs: 1
  }))

const beat = ({ journal }: Opened, runId: string, n: number) =>
  journal.append({ runId, type: "TaskHeartbeat", timestampMs: n, data: { n } })

const append = (opened: Opened, runId: string, from: number, count: number) =>
  opened.persistence.write(Write.all(Array.makeBy(count, (i) => beat(opened, runId, from + i))))

const seqs = (events: Iterable<RunEvent>) => Array.map(Array.fromIterable(events), ({ seq }) => seq)

it.scoped("Guarantee 3: sequences start at 1 and have no gap and no duplicate, with many writers to many runs at once", () =>
  Effect.gen(function*() {
    const opened = yield* fresh
    const ids = Array.makeBy(10, (i) => `run-${i}`)
    yield* Effect.forEach(ids, (id) => insert(opened, id))
    const answered = yield* Effect.forEach(
      Array.makeBy(2_000, (i) => i),
      (i) => opened.persistence.write(beat(opened, ids[i % 10]!, i)),
      { concurrency: "unbounded" }
    )
    for (const id of ids) {
      const expected = Array.range(1, 200)
      assert.deepStrictEqual(seqs(yield* eventsOf(opened.journal, id)), expected)
      assert.deepStrictEqual(
        seqs(answered.filter(({ runId }) => runId === id)).sort((a, b) => a - b),
        expected
      )
      assert.strictEqual(yield* opened.journal.lastSeq(id), 200)
    }
  }))

it.scoped("Guarantee 3: a unit that fails takes its number back", () =>
  Effect.gen(function*() {
    const opened = yield* fresh
    yield* insert(opened, "r")
    yield* Effect.forEach(Array.range(1, 40), (n) =>
      Effect.ignore(opened.persistence.write(Write.all([
        beat(opened, "r", n),
        ...(n % 3 === 0 ? [opened.runs.fence("r", 99)] : [])
      ]))), { concurrency: "unbounded" })
    assert.deepStrictEqual(seqs(yield* eventsOf(opened.journal, "r")), Array.range(1, 27))
  }))

it.scoped("an event of a run that does not exist is refused", () =>
  Effect.gen(function*() {
    const opened = yield* fresh
    const error = yield* Effect.flip(opened.persistence.write(beat(opened, "nobody", 1)))
    assert.strictEqual(error.reason, "Constraint")
  }))

it.scoped("Guarantee 3: nobody sees an event before it is durable", () =>
  Effect.gen(function*() {
    const opened = yield* fresh
    yield* insert(opened, "r")
    const early: Array<number> = []
    const checks: Array<Effect.Effect<void, PersistenceError>> = []
    yield* opened.journal.watch((event) => {
      checks.push(Effect.map(opened.journal.page("r", event.seq - 1, 1), (page) => {
        if (page[0]?.seq !== event.seq) early.push(event.seq)
      }))
    })
    yield* Effect.forEach(Array.range(1, 50), (n) => opened.persistence.write(beat(opened, "r", n)), {
      concurrency: "unbounded"
    })
    yield* Effect.all(checks)
    assert.strictEqual(checks.length, 50)
    assert.deepStrictEqual(early, [])
  }))

it.scoped("Guarantee 3: a stream that starts anywhere gets every later event exactly once, whatever is appended meanwhile", () =>
  Effect.gen(function*() {
    const opened = yield* fresh
    let runs = 0
    const step = FastCheck.oneof(
      FastCheck.record({ kind: FastCheck.constant("append" as const), count: FastCheck.integer({ min: 1, max: 40 }) }),
      FastCheck.record({
        kind: FastCheck.constant("subscribe" as const),
        after: FastCheck.integer({ min: 0, max: 60 })
      }),
      FastCheck.record({ kind: FastCheck.constant("turn" as const), count: FastCheck.integer({ min: 1, max: 4 }) })
    )
    const scenarios = FastCheck.sample(FastCheck.array(step, { minLength: 4, maxLength: 14 }), { numRuns: 60, seed: 7 })
    for (const scenario of scenarios) {
      yield* Effect.scoped(Effect.gen(function*() {
        const runId = `run-${runs++}`
        yield* insert(opened, runId)
        const readers: Array<{ after: number; seen: Array<number> }> = []
        const writes: Array<Fiber.Fiber<unknown, PersistenceError>> = []
        let last = 0
        for (const each of scenario) {
          if (each.kind === "append") {
            for (let i = 0; i < each.count; i++) {
              writes.push(yield* Effect.fork(opened.persistence.write(beat(opened, runId, ++last))))
            }
          } else if (each.kind === "subscribe") {
            const reader = { after: each.after, seen: [] as Array<number> }
            readers.push(reader)
            yield* Effect.forkScoped(
              Stream.runForEach(
                opened.journal.stream(runId, each.after),
                ({ seq }) => Effect.sync(() => reader.seen.push(seq))
              )
            )
          } else {
            yield* Effect.repeatN(turn, each.count)
          }
        }
        yield* Fiber.joinAll(writes)
        yield* quiet
        for (const { after, seen } of readers) {
          assert.deepStrictEqual(seen, after < last ? Array.range(after + 1, last) : [])
        }
      }))
    }
  }))

it.scoped("Guarantee 3: a reader slower than the bound reads the log again and still gets each event once", () =>
  Effect.gen(function*() {
    const opened = yield* fresh
    yield* insert(opened, "r")
    const gate = yield* Deferred.make<void>()
    const total = Bounds.subscriberEvents * 3 + 17
    const reading = yield* opened.journal.stream("r", 0).pipe(
      Stream.tap(({ seq }) => seq === 1 ? Deferred.await(gate) : Effect.void),
      Stream.take(total),
      Stream.runCollect,
      Effect.fork
    )
    yield* opened.persistence.write(beat(opened, "r", 1))
    yield* quiet
    yield* append(opened, "r", 2, total - 1)
    yield* Deferred.succeed(gate, undefined)
    assert.deepStrictEqual(seqs(yield* Fiber.join(reading)), Array.range(1, total))
  }))

it.scoped("Guarantee 3: 10,001 events arrive complete and in order", () =>
  Effect.gen(function*() {
    const opened = yield* fresh
    yield* insert(opened, "r")
    const reading = yield* opened.journal.stream("r", 0).pipe(Stream.take(10_001), Stream.runCollect, Effect.fork)
    for (let from = 1; from <= 10_001; from += 500) {
      yield* append(opened, "r", from, Math.min(500, 10_002 - from))
    }
    assert.deepStrictEqual(seqs(yield* Fiber.join(reading)), Array.range(1, 10_001))
  }))

it.scoped("Guarantee 3: numbers go on after a restart, and a reader that comes back with its last seq misses nothing", () =>
  Effect.gen(function*() {
    const home = yield* makeHome
    const seen = yield* Effect.scoped(Effect.gen(function*() {
      const opened = yield* Effect.flatMap(openHome(home, "normal"), open)
      yield* insert(opened, "r")
      yield* append(opened, "r", 1, 30)
      return yield* opened.journal.stream("r", 0).pipe(Stream.take(20), Stream.runCollect)
    }))
    const opened = yield* Effect.flatMap(openHome(home, "normal"), open)
    const after = Chunk.unsafeLast(seen).seq
    const reading = yield* opened.journal.stream("r", after).pipe(Stream.take(20), Stream.runCollect, Effect.fork)
    yield* append(opened, "r", 31, 10)
    assert.deepStrictEqual(seqs([...seen, ...(yield* Fiber.join(reading))]), Array.range(1, 40))
  }))

it.scoped("a stream of a run that does not exist fails at once", () =>
  Effect.gen(function*() {
    const { journal } = yield* fresh
    const error = yield* Effect.flip(Stream.runDrain(journal.stream("nobody", 0)))
    assert.strictEqual(error._tag, "RunNotFound")
  }))

it.scoped("a listener hears nothing more once its scope is closed", () =>
  Effect.gen(function*() {
    const opened = yield* fresh
    yield* insert(opened, "r")
    let heard = 0
    yield* Effect.scoped(Effect.zipRight(opened.journal.watch(() => heard++), append(opened, "r", 1, 1)))
    yield* append(opened, "r", 2, 1)
    assert.strictEqual(heard, 1)
  }))

it.scoped("frames are numbered by transitions of the node tree, from the start of the run", () =>
  Effect.gen(function*() {
    const opened = yield* fresh
    yield* insert(opened, "r")
    const kinds = [
      "RunStarted",
      "NodeStarted",
      "TaskHeartbeat",
      "NodeFinished",
      "NodeStarted",
      "NodeFailed",
      "RunFailed"
    ]
    yield* opened.persistence.write(
      Write.all(kinds.map((type) => opened.journal.append({ runId: "r", type: type as "RunStarted", timestampMs: 1 })))
    )
    assert.deepStrictEqual((yield* eventsOf(opened.journal, "r")).map(({ frameNo }) => frameNo), [0, 1, 1, 2, 3, 4, 4])
  }))

it.scoped("a page is bounded, whatever is asked for", () =>
  Effect.gen(function*() {
    const opened = yield* fresh
    yield* insert(opened, "r")
    yield* append(opened, "r", 1, Bounds.pageRows + 5)
    assert.strictEqual((yield* opened.journal.page("r", 0, 1_000_000)).length, Bounds.pageRows)
  }))

it.scoped("what an event says comes back as it was written, from the log as from the live feed", () =>
  Effect.gen(function*() {
    const opened = yield* fresh
    yield* insert(opened, "r")
    const data = FastCheck.sample(
      FastCheck.dictionary(FastCheck.fullUnicodeString(), FastCheck.jsonValue()),
      { numRuns: 100, seed: 3 }
    )
    const live: Array<RunEvent> = []
    yield* opened.journal.watch((event) => live.push(event))
    yield* Effect.forEach(data, (each, i) =>
      opened.persistence.write(opened.journal.append({
        runId: "r",
        type: "NodeStarted",
        timestampMs: i,
        nodeId: "n",
        iteration: 0,
        attempt: 1,
        data: each
      })), { concurrency: "unbounded", discard: true })
    const stored = yield* eventsOf(opened.journal, "r")
    yield* until(Effect.sync(() => live.length === 100), "the live events")
    assert.strictEqual(JSON.stringify(live), JSON.stringify(stored))
  }))

/** A database as a release left it whose last step of the journal was this one, with a finished node in it. */
const databaseOf = Effect.fnUntraced(function*(last: string) {
  const persistence = yield* freshDatabase
  const steps = Object.fromEntries(Object.entries(migrations.steps).filter(([name]) => name <= last))
  yield* persistence.migrate({ table: migrations.table, steps })
  const add = (text: string) => persistence.write(Write.run(text, []))
  yield* add(`INSERT INTO _smithers_runs (run_id, workflow, status, input_json, actor_json, created_at_ms)
    VALUES ('old', 'w', 'running', '{}', '{}', 1)`)
  yield* add(`INSERT INTO _smithers_nodes (run_id, node_id, iteration, ordinal, kind, state, attempt, output_json,
    started_at_ms, finished_at_ms, updated_at_ms) VALUES ('old', 'n', 0, 1, 'task', 'finished', 2, '1', 2, 2, 2)`)
  return { persistence, add }
})

const attemptsOf = ({ runs }: { readonly runs: RunStore.RunStore["Type"] }) =>
  Effect.map(runs.attempts("old"), (all) => all.map(({ attempt, cached }) => [attempt, cached]))

it.scoped("attempts of a database of the release before were executed: they are not cached", () =>
  Effect.gen(function*() {
    const { add, persistence } = yield* databaseOf("0002_journal")
    yield* add(`INSERT INTO _smithers_attempts (run_id, node_id, iteration, attempt, state, started_at_ms)
      VALUES ('old', 'n', 0, 1, 'failed', 1)`)
    const opened = yield* open(persistence)
    assert.deepStrictEqual(yield* attemptsOf(opened), [[1, false], [2, false]])
    assert.deepStrictEqual((yield* opened.runs.nodes("old")).map(({ cached }) => cached), [false])
  }))

it.scoped("what an older release recorded as cached still is, and the node says so itself", () =>
  Effect.gen(function*() {
    const { add, persistence } = yield* databaseOf("0003_cached")
    yield* add(`INSERT INTO _smithers_attempts (run_id, node_id, iteration, attempt, state, started_at_ms, cached)
      VALUES ('old', 'n', 0, 1, 'failed', 1, 0), ('old', 'n', 0, 2, 'finished', 2, 1)`)
    const opened = yield* open(persistence)
    assert.deepStrictEqual(yield* attemptsOf(opened), [[1, false], [2, true]])
    assert.deepStrictEqual((yield* opened.runs.nodes("old")).map(({ cached }) => cached), [true])
  }))

it.scoped("the last event of a node is found among those of other nodes, iterations, runs and types", () =>
  Effect.gen(function*() {
    const opened = yield* fresh
    const { journal, persistence } = opened
    yield* insert(opened, "a")
    yield* insert(opened, "b")
    const node = { runId: "a", nodeId: "n", iteration: 1 }
    yield* persistence.write(Write.all([
      journal.append({ ...node, type: "CacheMiss", timestampMs: 1 }),
      journal.append({ ...node, type: "CacheHit", timestampMs: 2 }),
      journal.append({ ...node, type: "NodeFinished", timestampMs: 3 }),
      journal.append({ ...node, iteration: 0, type: "CacheMiss", timestampMs: 4 }),
      journal.append({ ...node, nodeId: "m", type: "CacheMiss", timestampMs: 5 }),
      journal.append({ ...node, runId: "b", type: "CacheMiss", timestampMs: 6 })
    ]))
    const found = yield* journal.latestOf(node, ["CacheHit", "CacheMiss"])
    assert.strictEqual(Option.getOrThrow(found).timestampMs, 2)
    assert.isTrue(Option.isNone(yield* journal.latestOf({ ...node, iteration: 2 }, ["CacheHit"])))
  }))

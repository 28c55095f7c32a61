import { NodeContext } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Duration, Effect, Layer, Option, TestClock } from "effect"
import { Audit } from "../../src/audit/index.ts"
import { Cache } from "../../src/cache/index.ts"
import { EngineConfig, Retention } from "../../src/engine/index.ts"
import { Journal, RunStore } from "../../src/journal/index.ts"
import { systemActor } from "../../src/model/index.ts"
import { Persistence, Write } from "../../src/persistence/index.ts"
import { SecretGuard } from "../../src/secrets/index.ts"

/** The real one looks after its entries every minute: a month of them is long. */
const cache = Layer.mock(Cache.Cache, {
  forget: () => Write.run("DELETE FROM _smithers_runs WHERE run_id = ?", [""]),
  store: () => assert.fail("not in this test"),
  refusal: () => assert.fail("not in this test"),
  undo: () => assert.fail("not in this test")
})

const kept = (runRetention: Option.Option<Duration.Duration>) =>
  Retention.layer.pipe(
    Layer.provide(Layer.succeed(EngineConfig.EngineConfig, { ...EngineConfig.defaults, runRetention })),
    Layer.provideMerge(Layer.mergeAll(Journal.layer, RunStore.layer, cache, Audit.layer)),
    Layer.provideMerge(Layer.merge(Persistence.layerTemp, SecretGuard.layer)),
    Layer.provideMerge(NodeContext.layer)
  )

const day = Duration.toMillis("1 day")

/** A run that was made on that day, and ended on that one if it has. */
const run = (runId: string, madeOn: number, endedOn: number | null, parentRunId: string | null = null) =>
  Effect.gen(function*() {
    const { write } = yield* Persistence.Persistence
    const runs = yield* RunStore.RunStore
    yield* write(runs.insert({
      runId,
      workflow: "w",
      parentRunId,
      inputJson: "{}",
      idempotencyKey: null,
      actor: systemActor,
      startedBy: null,
      moduleRevision: null,
      ownerId: "pid:1:test",
      createdAtMs: madeOn * day
    }))
    if (endedOn !== null) yield* write(runs.setStatus(runId, "finished", { finishedAtMs: endedOn * day }))
  })

const runIds = Effect.flatMap(
  RunStore.RunStore,
  (runs) => Effect.map(runs.list({ limit: 100 }), (rows) => rows.map(({ runId }) => runId).sort())
)
const prunes = Effect.flatMap(Audit.Audit, (audit) => audit.list({ action: "run.prune", limit: 10 }))

/** Lets days pass until something is so: a fiber does what a day asks for, and nobody waits for it. */
const passUntil = <E, R>(done: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.gen(function*() {
    while (!(yield* done)) yield* TestClock.adjust("1 day")
  })

it.effect("runs that ended longer ago than they are kept go, in batches, each with a row in the audit", () =>
  Effect.gen(function*() {
    yield* Effect.forEach(
      Array.from({ length: 45 }, (_, i) => `old-${String(i).padStart(2, "0")}`),
      (id) => run(id, 0, 1)
    )
    yield* run("works-still", 0, null)
    yield* run("ended-late", 0, 20)
    yield* run("child-of-one-that-works", 0, 1, "works-still")
    yield* run("parent-of-one-that-works", 0, 1)
    yield* run("working-child", 0, null, "parent-of-one-that-works")
    yield* run("ended-family", 0, 1)
    yield* run("ended-child", 0, 1, "ended-family")
    yield* passUntil(Effect.map(prunes, ({ length }) => length === 3))
    assert.deepStrictEqual(yield* runIds, [
      "child-of-one-that-works",
      "ended-late",
      "parent-of-one-that-works",
      "working-child",
      "works-still"
    ])
    const rows = yield* prunes
    assert.deepStrictEqual(rows.map(({ detail }) => detail["count"]), [7, 20, 20])
    assert.deepStrictEqual([rows[0]?.actor, rows[0]?.outcome], ["system", "ok"])
    assert.include(rows.flatMap(({ detail }) => detail["runs"]), "old-44")
    yield* passUntil(Effect.map(prunes, ({ length }) => length === 4))
    assert.deepStrictEqual((yield* prunes)[0]?.detail["runs"], ["ended-late"])
  }).pipe(Effect.provide(kept(Option.some(Duration.days(10))))))

it.effect("runs are kept for ever unless a retention is set", () =>
  Effect.gen(function*() {
    assert.deepStrictEqual(EngineConfig.defaults.runRetention, Option.none())
    yield* run("old", 0, 1)
    yield* TestClock.adjust("20 days")
    assert.deepStrictEqual([yield* runIds, yield* prunes], [["old"], []])
  }).pipe(Effect.provide(kept(Option.none()))))

import { assert, it } from "@effect/vitest"
import { Duration, Effect, Fiber, Layer, Option, TestClock } from "effect"
import { Audit, AuditConfig, Retention } from "../../src/audit/index.ts"
import { appendRows, layerTemp, named, verify } from "./support/Trail.ts"

const kept = (retention: Option.Option<Duration.Duration>) =>
  Layer.provideMerge(Retention.layer, layerTemp()).pipe(
    Layer.provide(Layer.succeed(AuditConfig.AuditConfig, {
      ...AuditConfig.defaults,
      checkpointInterval: Duration.days(1),
      retention
    }))
  )

const rows = Effect.map(verify, ({ rows }) => rows)
const prunes = Effect.flatMap(Audit.Audit, (audit) => audit.list({ action: "audit.prune", limit: 10 }))

/** Lets days pass until something is so: a fiber does what a day asks for, and nobody waits for it. */
const passUntil = <E, R>(done: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.gen(function*() {
    while (!(yield* done)) yield* TestClock.adjust("1 day")
  })

it.effect("rows older than the audit is kept are sealed and removed, day after day, and the rest verifies", () =>
  Effect.gen(function*() {
    yield* appendRows(5)
    yield* TestClock.adjust("30 days")
    assert.deepStrictEqual(yield* prunes, [])
    yield* passUntil(Effect.map(prunes, ({ length }) => length === 1))
    const [first] = yield* prunes
    assert.deepStrictEqual([first?.actor, first?.outcome, first?.target], ["system", "ok", "1..4"])
    yield* appendRows(1_200, 10)
    yield* passUntil(Effect.map(rows, (count) => count < 10))
    const found = yield* verify
    assert.strictEqual(named(found), "none")
    assert.isAbove(found.sealedThroughId, 1_000)
  }).pipe(Effect.provide(kept(Option.some(Duration.days(60))))))

it.effect("nothing goes where the audit is kept for ever, which is the default", () =>
  Effect.gen(function*() {
    assert.deepStrictEqual(AuditConfig.defaults.retention, Option.none())
    yield* appendRows(5)
    yield* TestClock.adjust("4000 days")
    const found = yield* Effect.fork(verify)
    assert.deepStrictEqual([(yield* Fiber.join(found)).rows, yield* prunes], [5, []])
  }).pipe(Effect.provide(kept(Option.none()))))

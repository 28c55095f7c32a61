import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, Schema, TestClock } from "effect"
import { Cache, type Ticket } from "../../src/cache/index.ts"
import { Write } from "../../src/persistence/index.ts"
import { cacheLayer, commit, entries, lookup, Output, turn, until } from "./support.ts"

/** A task that counts its executions. */
const counting = () => {
  const seen = { executions: 0, running: 0, most: 0 }
  const execute = <E>(body: (execution: number) => Effect.Effect<{ readonly n: number }, E>) =>
    Effect.suspend(() => {
      seen.executions++
      seen.running++
      seen.most = Math.max(seen.most, seen.running)
      return Effect.ensuring(body(seen.executions), Effect.sync(() => seen.running--))
    })
  return { seen, execute }
}

const ask = <E>(execute: Effect.Effect<{ readonly n: number }, E>, policy: { ttlMs?: number; staleMs?: number } = {}) =>
  Cache.make({ key: "k", output: Output, policy, execute })

it.effect("a thousand equal misses at once execute once", () =>
  Effect.gen(function*() {
    const { execute, seen } = counting()
    const task = ask(execute(() => Effect.as(turn, { n: 42 })))
    const results = yield* Effect.all(Array.from({ length: 1_000 }, () => task), { concurrency: "unbounded" })
    assert.strictEqual(seen.executions, 1)
    assert.isTrue(results.every(({ n }) => n === 42))
    assert.strictEqual((yield* entries).length, 1)
  }).pipe(Effect.provide(cacheLayer)))

it.effect("when the first fails others execute, and whoever then waits takes their result", () =>
  Effect.gen(function*() {
    const { execute, seen } = counting()
    const task = ask(execute((n) => Effect.zipRight(turn, n === 1 ? Effect.fail("bad luck") : Effect.succeed({ n }))))
    const exits = yield* Effect.all(Array.from({ length: 100 }, () => Effect.exit(task)), { concurrency: "unbounded" })
    assert.strictEqual(exits.filter(Exit.isFailure).length, 1)
    assert.isAtMost(seen.executions, 3)
  }).pipe(Effect.provide(cacheLayer)))

it.effect("a task that always fails fails for everybody, with ever more executions at once and never more than 64", () =>
  Effect.gen(function*() {
    const { execute, seen } = counting()
    const task = ask(execute(() => Effect.zipRight(turn, Effect.fail("always"))))
    const exits = yield* Effect.all(Array.from({ length: 500 }, () => Effect.exit(task)), { concurrency: "unbounded" })
    assert.isTrue(exits.every(Exit.isFailure))
    assert.strictEqual(seen.executions, 500)
    assert.strictEqual(seen.most, 64)
    assert.deepStrictEqual(yield* entries, [])
  }).pipe(Effect.provide(cacheLayer)))

it.effect("when the first is interrupted exactly one other executes", () =>
  Effect.gen(function*() {
    const { execute, seen } = counting()
    const task = ask(execute((n) => n === 1 ? Effect.never : Effect.as(turn, { n })))
    const first = yield* Effect.fork(task)
    yield* until(Effect.sync(() => seen.executions === 1))
    const others = yield* Effect.forkAll(Array.from({ length: 50 }, () => task))
    yield* turn
    yield* Fiber.interrupt(first)
    const results = yield* Fiber.join(others)
    assert.strictEqual(seen.executions, 2)
    assert.isTrue(results.every(({ n }) => n === 2))
  }).pipe(Effect.provide(cacheLayer)))

it.effect("whoever stops waiting is forgotten and holds nobody up", () =>
  Effect.gen(function*() {
    const { execute, seen } = counting()
    const gate = yield* Deferred.make<void>()
    const task = ask(
      execute((n) => Effect.zipRight(Deferred.await(gate), n === 1 ? Effect.fail("no") : Effect.succeed({ n })))
    )
    const first = yield* Effect.fork(Effect.exit(task))
    yield* until(Effect.sync(() => seen.executions === 1))
    const waiting = yield* Effect.fork(task)
    const last = yield* Effect.fork(task)
    yield* turn
    yield* Fiber.interrupt(waiting)
    yield* Deferred.succeed(gate, undefined)
    assert.isTrue(Exit.isFailure(yield* Fiber.join(first)))
    assert.deepStrictEqual(yield* Fiber.join(last), { n: 2 })
    assert.strictEqual(seen.executions, 2)
  }).pipe(Effect.provide(cacheLayer)))

const missed = Effect.gen(function*() {
  const found = yield* lookup()
  assert(found._tag === "Miss" && found.ticket !== null)
  return found.ticket
})

it.effect("whoever is interrupted just when the lead comes to him hands it on", () =>
  Effect.gen(function*() {
    const cache = yield* Cache.Cache
    const fly = (ticket: Ticket, lead: Effect.Effect<string>) =>
      cache.flight(ticket, { lead, follow: () => Effect.succeed("followed") })
    const [one, two, three] = [yield* missed, yield* missed, yield* missed]
    const first = yield* Effect.fork(fly(one, Effect.never))
    yield* turn
    const second = yield* Effect.fork(fly(two, Effect.succeed("second")))
    yield* turn
    yield* Effect.zipRight(cache.abandon(one), Effect.sync(() => second.unsafeInterruptAsFork(second.id())))
    assert.isTrue(Exit.isInterrupted(yield* Fiber.await(second)))
    assert.strictEqual(yield* fly(three, Effect.succeed("third")), "third")
    yield* Fiber.interrupt(first)
  }).pipe(Effect.provide(cacheLayer)))

it.effect("a result that came between lookup and execution is taken", () =>
  Effect.gen(function*() {
    const cache = yield* Cache.Cache
    const [one, two] = [yield* missed, yield* missed]
    yield* cache.put(one, { text: `{"n":5}`, atMs: 0, durationMs: 1 })
    const got = yield* cache.flight(two, {
      lead: Effect.succeed<string | null>("executed"),
      follow: ({ text }) => Effect.succeed(text)
    })
    assert.strictEqual(got, `{"n":5}`)
  }).pipe(Effect.provide(cacheLayer)))

it.effect("a stored result that the lookup refused is not taken then either", () =>
  Effect.gen(function*() {
    const cache = yield* Cache.Cache
    yield* cache.put(yield* missed, { text: `{"n":"one"}`, atMs: 0, durationMs: 1 })
    const refusing = yield* missed
    yield* cache.put(yield* Effect.map(missed, (ticket) => ({ ...ticket, key: "another" })), {
      text: null,
      atMs: 0,
      durationMs: 1
    })
    const got = yield* cache.flight(refusing, {
      lead: Effect.succeed<string | null>("lead"),
      follow: ({ text }) => Effect.succeed(text)
    })
    assert.strictEqual(got, "lead")
  }).pipe(Effect.provide(cacheLayer)))

it.effect("those who wait are released when the execution is given up, though its effect goes on", () =>
  Effect.gen(function*() {
    const cache = yield* Cache.Cache
    const [one, two] = [yield* missed, yield* missed]
    const leading = yield* Effect.fork(
      cache.flight(one, { lead: Effect.zipRight(cache.abandon(one), Effect.never), follow: () => Effect.void })
    )
    yield* turn
    const got = yield* cache.flight(two, { lead: Effect.succeed("lead"), follow: () => Effect.succeed("follow") })
    assert.strictEqual(got, "lead")
    yield* Fiber.interrupt(leading)
  }).pipe(Effect.provide(cacheLayer)))

it.effect("a result whose commit is refused is nobody's: whoever waits executes", () =>
  Effect.gen(function*() {
    const cache = yield* Cache.Cache
    const [one, two] = [yield* missed, yield* missed]
    const complete = (ticket: Ticket, fence: Write.Write<unknown, string>) =>
      commit(Write.discard([fence, cache.store(ticket, { text: `{"n":1}`, atMs: 0, durationMs: 0 })]))
    const stale = Write.guard("SELECT 1 WHERE false", [], () => "stale epoch")
    const first = yield* Effect.fork(cache.flight(one, {
      lead: Effect.zipRight(turn, complete(one, stale)),
      follow: () => Effect.void
    }))
    yield* Effect.yieldNow()
    const second = yield* Effect.fork(cache.flight(two, {
      lead: Effect.as(complete(two, Write.none), "led"),
      follow: () => Effect.succeed("followed")
    }))
    assert.deepStrictEqual(yield* Fiber.await(first), Exit.fail("stale epoch"))
    assert.strictEqual(yield* Fiber.join(second), "led")
    assert.strictEqual((yield* lookup())._tag, "Hit")
  }).pipe(Effect.provide(cacheLayer)))

it.effect("a hit does not wait for a slot of the executions", () =>
  Effect.gen(function*() {
    const slots = Effect.unsafeMakeSemaphore(1)
    const task = ask(slots.withPermits(1)(Effect.succeed({ n: 1 })))
    yield* task
    const hog = yield* Effect.fork(slots.withPermits(1)(Effect.never))
    yield* turn
    assert.deepStrictEqual(yield* task, { n: 1 })
    yield* Fiber.interrupt(hog)
  }).pipe(Effect.provide(cacheLayer)))

it.effect("a stale result is given out at once while one execution replaces it", () =>
  Effect.gen(function*() {
    const { execute, seen } = counting()
    const task = ask(execute((n) => Effect.as(turn, { n })), { ttlMs: 1_000, staleMs: 1_000 })
    assert.deepStrictEqual(yield* task, { n: 1 })
    yield* TestClock.adjust(1_500)
    const stale = yield* Effect.all(Array.from({ length: 20 }, () => task), { concurrency: "unbounded" })
    assert.isTrue(stale.every(({ n }) => n === 1))
    yield* until(Effect.map(task, ({ n }) => n === 2))
    assert.strictEqual(seen.executions, 2)
  }).pipe(Effect.provide(cacheLayer)))

it.effect("a result that does not fit its schema is the caller's error and releases the others", () =>
  Effect.gen(function*() {
    const Positive = Schema.Struct({ n: Schema.Positive })
    const task = Cache.make({ key: "p", output: Positive, execute: Effect.as(turn, { n: -1 }) })
    const exits = yield* Effect.all([Effect.exit(task), Effect.exit(task)], { concurrency: "unbounded" })
    assert.isTrue(exits.every(Exit.isFailure))
    assert.deepStrictEqual(yield* entries, [])
  }).pipe(Effect.provide(cacheLayer)))

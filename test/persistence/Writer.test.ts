import { assert, it } from "@effect/vitest"
import { Effect, Exit, Fiber, Metric, MetricState, Scope, TestClock } from "effect"
import { Bounds } from "../../src/model/index.ts"
import { type Persistence, PersistenceError, Write } from "../../src/persistence/index.ts"
import { foreignConnection, freshPersistence, makeHome, openHome, turn } from "../support/Home.ts"

type Service = Persistence.Persistence["Type"]

const createTable = Write.run(
  "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, k TEXT NOT NULL UNIQUE) STRICT",
  []
)
const insert = (k: string) => Write.run("INSERT INTO t (k) VALUES (?)", [k])
const both = (...units: ReadonlyArray<Write.Write<unknown>>): Write.Write<unknown> => Write.all(units)
const rename = (from: string, to: string) =>
  Write.guard("UPDATE t SET k = ? WHERE k = ?", [to, from], () => new NoSuchKey(from))

class NoSuchKey {
  readonly _tag = "NoSuchKey"
  readonly key: string
  constructor(key: string) {
    this.key = key
  }
}

const keys = (persistence: Service) =>
  Effect.map(persistence.sql.unsafe<{ k: string }>("SELECT k FROM t ORDER BY id"), (rows) => rows.map((row) => row.k))

const withTable = Effect.tap(freshPersistence, (persistence) => persistence.write(createTable))

/** Hands all of them over before the first is committed; the answers. */
const submitAll = <A, E>(persistence: Service, units: ReadonlyArray<Write.Write<A, E>>) =>
  Effect.forEach(units, (unit) => Effect.map(persistence.submit(() => unit), ({ answer }) => answer))

/** Hands all of them over before the first is committed, then waits for all answers. */
const together = <A, E>(persistence: Service, units: ReadonlyArray<Write.Write<A, E>>) =>
  Effect.flatMap(submitAll(persistence, units), Effect.forEach(Effect.exit))

/** Lets writer and test clock go on until the fiber is done. */
const driveUntilDone = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) =>
  Effect.zipRight(
    Effect.repeat(Effect.zipRight(turn, TestClock.adjust("25 millis")), {
      until: () => fiber.unsafePoll() !== null
    }),
    Fiber.await(fiber)
  )

/** The state of the metric of this name; the registry is the process's, so tests compare. */
const metric = (name: string) =>
  Effect.map(Metric.snapshot, (pairs) => pairs.find((pair) => pair.metricKey.name === name)?.metricState)

const histogram = (name: string) =>
  Effect.map(
    metric(name),
    (state) => MetricState.isHistogramState(state) ? { count: state.count, sum: state.sum } : { count: 0, sum: 0 }
  )

const reasonOf = (exit: Exit.Exit<unknown, unknown>) =>
  Exit.match(exit, {
    onSuccess: () => undefined,
    onFailure: (cause) =>
      cause._tag === "Fail"
        ? cause.error instanceof PersistenceError ? cause.error.reason : cause.error
        : cause._tag
  })

it.scoped("units that are ready together share one commit", () =>
  Effect.gen(function*() {
    const persistence = yield* withTable
    const before = yield* histogram("smithers_persistence_batch_units")
    yield* Effect.forEach(Array.from({ length: 500 }, (_, i) => insert(`k${i}`)), persistence.write, {
      concurrency: "unbounded"
    })
    const after = yield* histogram("smithers_persistence_batch_units")
    assert.strictEqual(after.count - before.count, 1)
    assert.strictEqual(after.sum - before.sum, 500)
    assert.strictEqual((yield* keys(persistence)).length, 500)
  }))

it.scoped("a unit of many statements is kept or undone as a whole", () =>
  Effect.gen(function*() {
    const persistence = yield* withTable
    const exits = yield* together(persistence, [
      both(insert("a"), insert("b")),
      both(insert("c"), insert("a"), insert("d"))
    ])
    assert.deepStrictEqual(exits[0], Exit.succeed<unknown>([1, 1]))
    assert.strictEqual(reasonOf(exits[1]!), "Constraint")
    assert.deepStrictEqual(yield* keys(persistence), ["a", "b"])
  }))

it.scoped("a unit that violates a constraint fails alone and the others of its batch commit", () =>
  Effect.gen(function*() {
    const persistence = yield* withTable
    const exits = yield* together(persistence, ["a", "b", "a", "c", "b", "d"].map(insert))
    assert.deepStrictEqual(exits.map(reasonOf), [
      undefined,
      undefined,
      "Constraint",
      undefined,
      "Constraint",
      undefined
    ])
    assert.deepStrictEqual(yield* keys(persistence), ["a", "b", "c", "d"])
  }))

it.scoped("a guard that matches no row undoes its unit only, whether it is the first statement or a later one", () =>
  Effect.gen(function*() {
    const persistence = yield* withTable
    const exits = yield* together<unknown, NoSuchKey>(persistence, [
      insert("a"),
      rename("x", "y"),
      Write.all([insert("b"), rename("x", "z"), insert("c")]),
      rename("a", "A"),
      insert("d")
    ])
    assert.deepStrictEqual(exits.map(reasonOf), [
      undefined,
      new NoSuchKey("x"),
      new NoSuchKey("x"),
      undefined,
      undefined
    ])
    assert.deepStrictEqual(yield* keys(persistence), ["A", "d"])
  }))

it.scoped("a constraint that speaks up at COMMIT fails its own unit only", () =>
  Effect.gen(function*() {
    const persistence = yield* withTable
    yield* persistence.write(
      Write.run("CREATE TABLE c (k TEXT NOT NULL REFERENCES t (k) DEFERRABLE INITIALLY DEFERRED) STRICT", [])
    )
    const exits = yield* together(persistence, [
      insert("a"),
      Write.run("INSERT INTO c (k) VALUES ('nowhere')", []),
      both(Write.run("INSERT INTO c (k) VALUES ('b')", []), insert("b")),
      insert("c")
    ])
    assert.deepStrictEqual(exits.map(reasonOf), [undefined, "Constraint", undefined, undefined])
    assert.deepStrictEqual(yield* keys(persistence), ["a", "b", "c"])
  }))

it.scoped("a value that SQLite cannot bind, as a boolean, fails its own unit only", () =>
  Effect.gen(function*() {
    const persistence = yield* withTable
    const exits = yield* together(persistence, [
      insert("a"),
      // The type forbids it; a JavaScript caller may do it all the same.
      Write.run("INSERT INTO t (k) VALUES (?)", [true as unknown as string]),
      insert("b")
    ])
    assert.deepStrictEqual(exits.map(reasonOf), [undefined, "Sql", undefined])
    assert.deepStrictEqual(yield* keys(persistence), ["a", "b"])
  }))

it.scoped("answers are read out of the unit's own results, however units are joined and mapped", () =>
  Effect.gen(function*() {
    const persistence = yield* withTable
    const seen: Array<number> = []
    const returning = (k: string) =>
      Write.rows("INSERT INTO t (k) VALUES (?) RETURNING id", [k]).pipe(
        Write.map((rows) => Number(rows[0]!["id"])),
        Write.tapCommitted((id) => seen.push(id))
      )
    const answer = yield* persistence.write(
      Write.all([returning("a"), Write.none, Write.all([insert("b"), returning("c")]), rename("a", "A")])
    )
    assert.deepStrictEqual(answer, [1, undefined, [1, 3], undefined])
    assert.deepStrictEqual(seen, [1, 3])
  }))

it.scoped("a unit may hold more statements than a call can take arguments", () =>
  Effect.gen(function*() {
    const persistence = yield* withTable
    const many = Write.all(Array.from({ length: 150_000 }, () => Write.rows("SELECT 1", [])))
    yield* persistence.write(Write.all([many, insert("a")]))
    assert.deepStrictEqual(yield* keys(persistence), ["a"])
  }))

it.scoped("hooks are called in the order of the commits, before the callers resume", () =>
  Effect.gen(function*() {
    const persistence = yield* withTable
    const hooked: Array<string> = []
    const resumed: Array<string> = []
    const unit = (i: number) =>
      (i % 7 === 3 ? both(insert(`k${i}`), insert("k0")) : both(insert(`k${i}`))).pipe(
        Write.tapCommitted(() => hooked.push(`k${i}`))
      )
    yield* Effect.forEach(
      Array.from({ length: 3_000 }, (_, i) => i),
      (i) =>
        Effect.zipRight(
          persistence.write(unit(i)),
          Effect.sync(() => {
            assert.include(hooked, `k${i}`)
            resumed.push(`k${i}`)
          })
        ).pipe(Effect.ignore),
      { concurrency: "unbounded" }
    )
    assert.deepStrictEqual(hooked, yield* keys(persistence))
    assert.strictEqual(resumed.length, hooked.length)
  }))

it.scoped("a hook that throws is a defect of its caller: the commit stands, every other hook and caller is served", () =>
  Effect.gen(function*() {
    const persistence = yield* withTable
    const seen: Array<string> = []
    const hooked = (k: string) => insert(k).pipe(Write.tapCommitted(() => seen.push(k)))
    const bad = insert("bad").pipe(Write.tapCommitted(() => {
      throw new Error("a bug")
    }))
    const exits = yield* together<unknown, never>(persistence, [
      hooked("a"),
      Write.all([bad, hooked("b")]),
      hooked("c")
    ])
    assert.deepStrictEqual(exits.map(reasonOf), [undefined, "Die", undefined])
    assert.deepStrictEqual(seen, ["a", "b", "c"])
    assert.deepStrictEqual(yield* keys(persistence), ["a", "bad", "b", "c"])
  }))

it.scoped("interrupting a caller that waits for its commit neither loses nor halves nor repeats the unit", () =>
  Effect.gen(function*() {
    const persistence = yield* withTable
    const fibers = yield* Effect.forEach(
      Array.from({ length: 100 }, (_, i) => i),
      (i) => Effect.fork(persistence.write(Write.all([insert(`a${i}`), insert(`b${i}`)])))
    )
    yield* Effect.yieldNow()
    yield* Fiber.interruptAll(fibers)
    // An interrupted caller is gone when its unit is through, not before.
    const found = yield* keys(persistence)
    assert.strictEqual(found.length, 200)
    for (let i = 0; i < 100; i++) assert.includeMembers(found, [`a${i}`, `b${i}`])
    yield* persistence.write(insert("last"))
    assert.strictEqual((yield* keys(persistence)).length, 201)
  }))

it.scoped("a unit can be taken back as long as no batch has it, and is then never written", () =>
  Effect.gen(function*() {
    const persistence = yield* withTable
    const [first, second, third] = yield* Effect.all([
      persistence.submit(() => insert("a")),
      persistence.submit(() => insert("b")),
      persistence.submit(() => insert("c"))
    ])
    assert.isTrue(second.withdraw())
    assert.isFalse(second.withdraw())
    yield* Effect.all([first.answer, third.answer])
    assert.isFalse(first.withdraw())
    assert.deepStrictEqual(yield* keys(persistence), ["a", "c"])
  }))

it.scoped("a unit that a batch has taken cannot be taken back, not even while the batch waits or is tried again", () =>
  Effect.gen(function*() {
    const persistence = yield* withTable
    const operator = yield* foreignConnection(persistence.file)
    operator.exec("BEGIN IMMEDIATE")
    const units = yield* Effect.forEach(["a", "b", "a", "c"].map(insert), (unit) => persistence.submit(() => unit))
    yield* Effect.repeatN(turn, 2)
    assert.deepStrictEqual(units.map((unit) => unit.withdraw()), [false, false, false, false])
    const later = yield* persistence.submit(() => insert("later"))
    assert.isTrue(later.withdraw())
    operator.exec("COMMIT")
    yield* driveUntilDone(yield* Effect.fork(Effect.forEach(units, (unit) => Effect.exit(unit.answer))))
    assert.deepStrictEqual(yield* keys(persistence), ["a", "b", "c"])
  }))

it.effect("units that were taken back do not keep the layer from closing", () =>
  Effect.scoped(Effect.gen(function*() {
    const scope = yield* Scope.make()
    const persistence = yield* Scope.extend(freshPersistence, scope)
    const unit = yield* persistence.submit(() => insert("a"))
    assert.isTrue(unit.withdraw())
    yield* Scope.close(scope, Exit.void)
  })))

it.scoped("a full queue makes callers wait, loses nothing, and forgets a waiting caller that is interrupted", () =>
  Effect.gen(function*() {
    const persistence = yield* withTable
    const operator = yield* foreignConnection(persistence.file)
    operator.exec("BEGIN IMMEDIATE")
    const total = Bounds.writeQueueUnits + 3_000
    let handedOver = 0
    const callers = yield* Effect.forEach(
      Array.from({ length: total }, (_, i) => i),
      (i) =>
        persistence.submit(() => insert(`k${i}`)).pipe(
          Effect.tap(Effect.sync(() => handedOver++)),
          Effect.flatMap(({ answer }) => answer),
          Effect.fork
        )
    )
    yield* Effect.repeatN(Effect.zipRight(turn, TestClock.adjust("25 millis")), 5)
    // One batch is in the hands of the writer.
    assert.isAtMost(handedOver, Bounds.writeQueueUnits + 1_024)
    assert.isAtLeast(handedOver, Bounds.writeQueueUnits)
    yield* Fiber.interrupt(callers[total - 1]!)
    operator.exec("COMMIT")
    yield* driveUntilDone(yield* Effect.fork(Fiber.joinAll(callers.slice(0, total - 1))))
    const found = yield* keys(persistence)
    assert.strictEqual(found.length, total - 1)
    assert.deepStrictEqual(found, Array.from({ length: total - 1 }, (_, i) => `k${i}`))
  }))

it.effect("closing carries out what was handed over, then refuses more", () =>
  Effect.scoped(Effect.gen(function*() {
    const home = yield* makeHome
    const scope = yield* Scope.make()
    const persistence = yield* Scope.extend(openHome(home), scope)
    yield* persistence.write(createTable)
    const answers = yield* submitAll(persistence, Array.from({ length: 5_000 }, (_, i) => insert(`k${i}`)))
    yield* Scope.close(scope, Exit.void)
    yield* Effect.all(answers)
    assert.strictEqual(reasonOf(yield* Effect.exit(persistence.write(insert("late")))), "Closed")
    const reopened = yield* openHome(home)
    assert.strictEqual((yield* keys(reopened)).length, 5_000)
  })))

it.effect("closing under a foreign write lock ends after the patience of one batch, not of every batch", () =>
  Effect.scoped(Effect.gen(function*() {
    const home = yield* makeHome
    const scope = yield* Scope.make()
    const persistence = yield* Scope.extend(openHome(home), scope)
    yield* persistence.write(createTable)
    const operator = yield* foreignConnection(persistence.file)
    operator.exec("BEGIN IMMEDIATE")
    const answers = yield* submitAll(persistence, Array.from({ length: 5_000 }, (_, i) => insert(`k${i}`)))
    let rounds = 0
    const closing = yield* Effect.fork(Scope.close(scope, Exit.void))
    yield* Effect.repeat(
      Effect.all([turn, TestClock.adjust("25 millis"), Effect.sync(() => rounds++)]),
      { until: () => closing.unsafePoll() !== null }
    )
    assert.isBelow(rounds, 450)
    for (const answer of answers) assert.strictEqual(reasonOf(yield* Effect.exit(answer)), "Busy")
  })))

it.scoped("a write lock held by somebody else is waited for without blocking, and then the units commit in order", () =>
  Effect.gen(function*() {
    const persistence = yield* withTable
    const operator = yield* foreignConnection(persistence.file)
    operator.exec("BEGIN IMMEDIATE")
    const fiber = yield* Effect.fork(together(persistence, ["a", "b"].map(insert)))
    yield* Effect.repeatN(Effect.zipRight(turn, TestClock.adjust("25 millis")), 50)
    assert.isNull(fiber.unsafePoll())
    operator.exec("INSERT INTO t (k) VALUES ('operator'); COMMIT")
    yield* driveUntilDone(fiber)
    assert.deepStrictEqual(yield* keys(persistence), ["operator", "a", "b"])
  }))

it.scoped("a write lock that is held for more than five seconds fails the units as Busy, and the next ones are served", () =>
  Effect.gen(function*() {
    const persistence = yield* withTable
    const operator = yield* foreignConnection(persistence.file)
    operator.exec("BEGIN IMMEDIATE")
    const exit = yield* driveUntilDone(yield* Effect.fork(persistence.write(insert("a"))))
    assert.strictEqual(reasonOf(exit), "Busy")
    operator.exec("COMMIT")
    yield* persistence.write(insert("b"))
    assert.deepStrictEqual(yield* keys(persistence), ["b"])
  }))

it.scoped("a full disk fails exactly the units that need room, typed, and the service goes on", () =>
  Effect.gen(function*() {
    const persistence = yield* withTable
    yield* persistence.write(insert("a"))
    const [pages] = yield* persistence.write(Write.rows("PRAGMA page_count", []))
    yield* persistence.write(Write.rows(`PRAGMA max_page_count = ${String(pages!["page_count"])}`, []))
    const big = (c: string) => insert(c.repeat(50_000))
    const exits = yield* together<unknown, NoSuchKey>(persistence, [
      insert("b"),
      big("x"),
      rename("a", "A"),
      big("y"),
      insert("c")
    ])
    assert.deepStrictEqual(exits.map(reasonOf), [undefined, "Full", undefined, "Full", undefined])
    yield* persistence.write(Write.rows("PRAGMA max_page_count = 1000000", []))
    yield* persistence.write(big("z"))
    assert.deepStrictEqual(yield* keys(persistence), ["A", "b", "c", "z".repeat(50_000)])
  }))

it.scoped("reads wait neither behind the queue of writes nor behind somebody's write lock", () =>
  Effect.gen(function*() {
    const persistence = yield* withTable
    const answers = yield* submitAll(persistence, Array.from({ length: 12_000 }, (_, i) => insert(`k${i}`)))
    yield* turn
    const early = yield* keys(persistence)
    assert.isBelow(early.length, 12_000)
    yield* Effect.all(answers)
    const operator = yield* foreignConnection(persistence.file)
    operator.exec("BEGIN IMMEDIATE; DELETE FROM t")
    assert.strictEqual((yield* keys(persistence)).length, 12_000)
    operator.exec("ROLLBACK")
  }))

it.scoped("a read after an answered write sees it", () =>
  Effect.gen(function*() {
    const persistence = yield* withTable
    for (let i = 0; i < 50; i++) {
      yield* persistence.write(insert(`k${i}`))
      assert.strictEqual((yield* keys(persistence)).length, i + 1)
    }
  }))

it.scoped("the reading connection cannot write", () =>
  Effect.gen(function*() {
    const persistence = yield* withTable
    const exit = yield* Effect.exit(persistence.sql.unsafe("INSERT INTO t (k) VALUES ('x')"))
    assert.isTrue(Exit.isFailure(exit))
    assert.deepStrictEqual(yield* keys(persistence), [])
  }))

it.scopedLive("a batch that takes long is committed in parts, and the event loop goes on in between", () =>
  Effect.gen(function*() {
    const persistence = yield* withTable
    const slow = Write.rows(
      "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 300000) SELECT MAX(i) FROM n",
      []
    )
    const before = yield* histogram("smithers_persistence_batch_units")
    const order: Array<number> = []
    const exits = yield* together(
      persistence,
      Array.from({ length: 12 }, (_, i) => Write.map(() => order.push(i))(slow))
    )
    const after = yield* histogram("smithers_persistence_batch_units")
    assert.isTrue(exits.every(Exit.isSuccess))
    assert.deepStrictEqual(order, Array.from({ length: 12 }, (_, i) => i))
    assert.isAtLeast(after.count - before.count, 2)
    assert.strictEqual(after.sum - before.sum, 12)
  }))

it.scoped("the metrics tell how many units wait, also while the writer itself waits for a lock", () =>
  Effect.gen(function*() {
    const persistence = yield* withTable
    const depth = Effect.map(
      metric("smithers_persistence_queue_depth"),
      (state) => MetricState.isGaugeState(state) ? state.value : undefined
    )
    const commits = yield* histogram("smithers_persistence_commit_micros")
    const operator = yield* foreignConnection(persistence.file)
    operator.exec("BEGIN IMMEDIATE")
    yield* persistence.submit(() => insert("a"))
    yield* Effect.repeatN(turn, 2)
    yield* Effect.forEach(["b", "c", "d"].map(insert), (unit) => persistence.submit(() => unit))
    yield* TestClock.adjust("25 millis")
    yield* turn
    assert.strictEqual(yield* depth, 3)
    operator.exec("COMMIT")
    yield* driveUntilDone(yield* Effect.fork(persistence.write(insert("e"))))
    assert.strictEqual(yield* depth, 0)
    const after = yield* histogram("smithers_persistence_commit_micros")
    assert.strictEqual(after.count - commits.count, 2)
    // The virtual clock moved 25 ms while the first batch waited.
    assert.isAtLeast(after.sum - commits.sum, 25_000)
  }))

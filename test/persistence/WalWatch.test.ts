import { assert, it } from "@effect/vitest"
import { Effect, Logger, Metric, MetricState, TestClock } from "effect"
import { statSync } from "node:fs"
import { Write } from "../../src/persistence/index.ts"
import { foreignConnection, makeHome, openHome, turn } from "../support/Home.ts"

const bound = 64 * 1024 * 1024

/** The log outgrows its bound under somebody who reads on and on. */
const grown = Effect.gen(function*() {
  const warnings: Array<string> = []
  const home = yield* makeHome
  const persistence = yield* openHome(home, "normal").pipe(
    Effect.provide(Logger.replace(
      Logger.defaultLogger,
      Logger.make(({ logLevel, message }) => {
        if (logLevel._tag === "Warning") warnings.push(String(message))
      })
    ))
  )
  yield* persistence.write(Write.run("CREATE TABLE t (a BLOB) STRICT", []))
  const reader = yield* foreignConnection(persistence.file)
  reader.exec("BEGIN")
  reader.prepare("SELECT COUNT(*) FROM t").get()
  yield* persistence.write(Write.run("INSERT INTO t (a) VALUES (zeroblob(70000000))", []))
  const size = () => statSync(`${persistence.file}-wal`).size
  assert.isAbove(size(), bound)
  return { persistence, reader, warnings, size, look: TestClock.adjust("30 seconds") }
})

const gauge = Effect.map(Metric.snapshot, (pairs) => {
  const state = pairs.find((pair) => pair.metricKey.name === "smithers_persistence_wal_bytes")?.metricState
  return MetricState.isGaugeState(state) ? Number(state.value) : undefined
})

/** A look is asynchronous (stat), so the real event loop has to turn as well as the test clock. */
const until = (done: () => boolean) => Effect.repeat(turn, { until: done })

it.scoped("a log that a steady reader keeps from being emptied is reported at every look, and measured", () =>
  Effect.gen(function*() {
    const { look, size, warnings } = yield* grown
    assert.deepStrictEqual(warnings, [])
    yield* look
    yield* until(() => warnings.length === 1)
    assert.include(warnings[0], "a reader of")
    assert.include(warnings[0], String(bound))
    assert.strictEqual(yield* gauge, size())
    yield* look
    yield* until(() => warnings.length === 2)
  }))

it.scoped("a log beyond its bound is emptied when no reader stands in the way, and writing goes on", () =>
  Effect.gen(function*() {
    const { look, persistence, reader, size, warnings } = yield* grown
    reader.exec("COMMIT")
    yield* look
    yield* until(() => size() === 0)
    yield* persistence.write(Write.run("INSERT INTO t (a) VALUES (zeroblob(10))", []))
    assert.deepStrictEqual(warnings, [])
    assert.strictEqual((yield* persistence.sql.unsafe("SELECT rowid FROM t")).length, 2)
  }))

it.scoped("a log within its bound is left to SQLite, which keeps it small without readers", () =>
  Effect.gen(function*() {
    const persistence = yield* openHome(yield* makeHome, "normal")
    yield* persistence.write(Write.run("CREATE TABLE t (a BLOB) STRICT", []))
    const insert = Write.run("INSERT INTO t (a) VALUES (zeroblob(4000))", [])
    for (let round = 0; round < 20; round++) {
      yield* Effect.forEach(Array.from({ length: 1_000 }, () => insert), persistence.write, {
        concurrency: "unbounded",
        discard: true
      })
    }
    assert.isBelow(statSync(`${persistence.file}-wal`).size, bound)
  }))

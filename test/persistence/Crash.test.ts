import { NodeContext } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Option, Ref, Stream } from "effect"
import { startChild } from "../support/Child.ts"
import { foreignConnection, makeHome, openHome, turn } from "../support/Home.ts"

const program = "test/persistence/programs/writeAndAcknowledge.ts"

layer(NodeContext.layer, { excludeTestServices: true })("Crash", (it) => {
  it.scoped(
    "whatever was acknowledged before kill -9 is there after it, in every table, time after time",
    () =>
      Effect.gen(function*() {
        const home = yield* makeHome
        const acknowledged: Array<number> = []
        for (let round = 1; round <= 4; round++) {
          yield* Effect.scoped(Effect.gen(function*() {
            const { child, lines } = yield* startChild(program, home)
            const wanted = acknowledged.length + round * 211
            const reading = yield* lines.pipe(
              Stream.filter((line) => line !== "ready"),
              Stream.runForEach((line) => Effect.sync(() => acknowledged.push(Number(line)))),
              Effect.fork
            )
            yield* Effect.repeat(turn, { until: () => acknowledged.length >= wanted })
            yield* Effect.ignore(child.kill("SIGKILL"))
            yield* Effect.ignore(Fiber.join(reading))
          }))
          yield* Effect.scoped(Effect.gen(function*() {
            const { file } = yield* openHome(home)
            const db = yield* foreignConnection(file)
            const a = new Set(db.prepare("SELECT id FROM a").pluck().all())
            const b = new Set(db.prepare("SELECT id FROM b").pluck().all())
            assert.deepStrictEqual(acknowledged.filter((id) => !a.has(id)), [])
            assert.deepStrictEqual(b, a)
            assert.strictEqual(db.pragma("integrity_check", { simple: true }), "ok")
          }))
        }
        assert.strictEqual(new Set(acknowledged).size, acknowledged.length)
      }),
    60_000
  )

  it.scoped("another process that has the home is named by its pid, and once killed with SIGKILL the home is free", () =>
    Effect.gen(function*() {
      const home = yield* makeHome
      const { child, lines } = yield* startChild(program, home, "idle")
      assert.deepStrictEqual(yield* Stream.runHead(lines), Option.some("ready"))
      const error = yield* Effect.flip(Effect.scoped(openHome(home)))
      assert.strictEqual(error.reason, "InstanceLocked")
      assert.include(error.message, `process ${child.pid} `)
      yield* Effect.ignore(child.kill("SIGKILL"))
      yield* openHome(home)
    }))

  it.scoped("of two processes that start on a new home at once one has it, and no more than one", () =>
    Effect.gen(function*() {
      const home = yield* makeHome
      const ready = yield* Ref.make(0)
      const children = yield* Effect.all([startChild(program, home, "idle"), startChild(program, home, "idle")], {
        concurrency: 2
      })
      yield* Effect.forEach(
        children,
        ({ lines }) =>
          Effect.fork(Stream.runForEach(
            Stream.filter(lines, (line) => line === "ready"),
            () => Ref.update(ready, (n) => n + 1)
          ))
      )
      const exitCode = yield* Effect.raceAll(children.map(({ child }) => child.exitCode))
      assert.notStrictEqual(exitCode, 0)
      yield* Effect.repeat(turn, { until: () => Effect.map(Ref.get(ready), (n) => n > 0) })
      assert.strictEqual(yield* Ref.get(ready), 1)
      const running = yield* Effect.filter(children, ({ child }) => child.isRunning)
      assert.strictEqual(running.length, 1)
    }))
})

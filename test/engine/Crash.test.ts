import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Random, Stream } from "effect"
import { has } from "../support/Assert.ts"
import { startChild } from "../support/Child.ts"
import { startProcess, until, workflow } from "../support/Engine.ts"
import { foreignConnection, makeHome, openHome } from "../support/Home.ts"

const program = "test/engine/programs/appendLines.ts"

layer(NodeContext.layer, { excludeTestServices: true })("Crash", (it) => {
  it.scoped(
    "Guarantee 1: no kill -9 repeats an acknowledged task, loses an event, or keeps the run from its end",
    () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const home = yield* makeHome
        const file = `${yield* makeHome}/lines`
        yield* fs.writeFileString(file, "")
        const executions = Effect.map(fs.readFileString(file), (text) => {
          const counts = new Map<string, number>()
          for (const id of text.split("\n").filter((line) => line !== "")) counts.set(id, (counts.get(id) ?? 0) + 1)
          return counts
        })
        const acknowledged = new Map<string, number>()
        let kills = 0
        let ended: string | undefined
        while (ended === undefined) {
          yield* Effect.scoped(Effect.gen(function*() {
            const more = yield* Random.nextIntBetween(1, 9)
            const enough = acknowledged.size + more
            // A child that is not killed in time, on a busy machine, waits for it a few tasks later.
            const { child, lines } = yield* startChild(program, home, file, String(kills < 4 ? more + 3 : 40))
            const reading = yield* lines.pipe(
              Stream.runForEach((line) =>
                Effect.sync(() => {
                  if (line.startsWith("end ")) ended = line
                  else acknowledged.set(line, acknowledged.get(line) ?? 0)
                })
              ),
              Effect.fork
            )
            yield* Effect.race(
              until(Effect.delay(Effect.sync(() => acknowledged.size >= enough && kills < 4), "1 millis"), "the tasks"),
              Effect.ignore(Fiber.join(reading))
            )
            if (ended === undefined) kills++
            assert.isBelow(kills, 30)
            yield* Effect.ignore(child.kill("SIGKILL"))
            yield* Effect.ignore(Fiber.join(reading))
          }))
          const counts = yield* executions
          for (const [id, count] of acknowledged) {
            // What was acknowledged before has not been executed since.
            if (count > 0) assert.strictEqual(counts.get(id), count, id)
            acknowledged.set(id, counts.get(id)!)
          }
        }
        assert.strictEqual(ended, "end finished")
        assert.isAbove(kills, 2)
        assert.strictEqual((yield* executions).size, 40)
        const { file: database } = yield* Effect.scoped(Effect.gen(function*() {
          const persistence = yield* openHome(home)
          const { events, runs } = yield* startProcess(persistence, workflow(() => Effect.void))
          const all = yield* events("lines")
          assert.deepStrictEqual(all.map(({ seq }) => seq), all.map((_, i) => i + 1))
          const finished = all.filter(({ type }) => type === "NodeFinished").map(({ nodeId }) => nodeId)
          assert.strictEqual(finished.length, 40)
          assert.strictEqual(new Set(finished).size, 40)
          has(yield* runs.summary("lines"), { finished: 40 })
          return persistence
        }))
        const db = yield* foreignConnection(database)
        assert.strictEqual(db.pragma("integrity_check", { simple: true }), "ok")
        assert.deepStrictEqual(db.pragma("foreign_key_check"), [])
      }),
    120_000
  )
})

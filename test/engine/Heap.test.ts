import { assert, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { Approval, Task } from "../../src/workflow/index.ts"
import { fresh, quiet, workflow } from "../support/Engine.ts"

setFlagsFromString("--expose-gc")
const collect: () => void = runInNewContext("gc")

const task = (id: string) => Task.run({ id, output: Schema.String, execute: Effect.succeed(id) })

it.scoped("runs that have ended or parked leave nothing in memory", () =>
  Effect.gen(function*() {
    const { end, launch, reaches } = yield* fresh(workflow(({ waits }) =>
      Effect.zipRight(
        Effect.forEach(["a", "b", "c"], task, { concurrency: "unbounded" }),
        waits === true ? Approval.ask({ id: "gate", title: "", payload: null }) : Effect.void
      )
    ))
    const heapAfter = (runs: number) =>
      Effect.gen(function*() {
        for (let done = 0; done < runs; done += 50) {
          yield* Effect.forEach(
            Array.from({ length: 50 }),
            () => Effect.flatMap(launch({ waits: true }), (runId) => reaches(runId, "waiting-approval")),
            { concurrency: "unbounded", discard: true }
          )
          yield* Effect.forEach(Array.from({ length: 50 }), () => Effect.flatMap(launch(), end), {
            concurrency: "unbounded",
            discard: true
          })
        }
        yield* quiet
        collect()
        collect()
        return process.memoryUsage().heapUsed
      })
    // Compiled code and its profiles grow for a while too.
    yield* heapAfter(3_000)
    const before = yield* heapAfter(1_000)
    const after = yield* heapAfter(2_000)
    // 4,000 runs more; what is allowed is far below what one kept run would take each.
    assert.isBelow((after - before) / 4_000, 200)
  }), 120_000)

import { FileSystem } from "@effect/platform"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Context, Effect, Layer, Schema } from "effect"
import { Engine } from "../../../src/engine/index.ts"
import { Task } from "../../../src/workflow/index.ts"
import { startProcess, workflow } from "../../support/Engine.ts"
import { openHome } from "../../support/Home.ts"

/**
 * Executes the run `lines` on the home given as argument: 40 tasks, three at a time, each appending its id to the file
 * given as second argument. An id is printed when its task has been acknowledged, `end` with the status at the end. No more
 * tasks than the third argument says come to their end in this process: it waits to be killed then.
 */
const [home, file, most] = process.argv.slice(2) as [string, string, string]
let executed = 0

const lines = Layer.unwrapEffect(
  Effect.map(FileSystem.FileSystem, (fs) =>
    workflow(() =>
      Effect.forEach(
        Array.from({ length: 40 }, (_, i) => `t${i}`),
        (id) =>
          Task.run({
            id,
            output: Schema.String,
            execute: Effect.suspend(() =>
              executed++ < Number(most)
                ? Effect.as(fs.writeFileString(file, `${id}\n`, { flag: "a" }), id)
                : Effect.never
            )
          }).pipe(Effect.tap(Console.log(id)), Effect.delay("25 millis")),
        { concurrency: 3, discard: true }
      )
    ))
)

const program = Effect.gen(function*() {
  const persistence = yield* openHome(home)
  const services = yield* Effect.context<FileSystem.FileSystem>()
  const { context, launch, stop } = yield* startProcess(
    persistence,
    Layer.provide(lines, Layer.succeedContext(services)),
    {
      supervised: true,
      config: { maxResumesWithoutProgress: 1_000 }
    }
  )
  yield* Effect.ignore(launch({}, { runId: "lines" }))
  const { status } = yield* Context.get(context, Engine.Engine).awaitEnd("lines")
  yield* Console.log(`end ${status}`)
  yield* stop
})

const main = Effect.scoped(program).pipe(Effect.provide(NodeContext.layer))

// @effect-diagnostics-next-line effectRun:off -- the entry of a process that tests start and kill
NodeRuntime.runMain(main)

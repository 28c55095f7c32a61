import { FileSystem } from "@effect/platform"
import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Stream } from "effect"
import { openDesk } from "../support/ReleaseDesk.ts"

/**
 * A service of its own that writes notes and tells what it does, line by line, until it is killed. With `stuck`, the
 * notes are in place and nobody hears of it: `rename` is done and never answers.
 */
const [home = "", root = "", repo = "", searchPath = "", mode = ""] = process.argv.slice(2)

const stuckAfterRename = Layer.effect(
  FileSystem.FileSystem,
  Effect.map(FileSystem.FileSystem, (fs) => ({
    ...fs,
    rename: (from: string, to: string) =>
      fs.rename(from, to).pipe(Effect.zipRight(Console.log("renamed")), Effect.zipRight(Effect.never))
  }))
).pipe(Layer.provideMerge(NodeContext.layer))

const program = Effect.gen(function*() {
  const desk = yield* openDesk({ home, root }, {
    searchPath,
    ...(mode === "stuck" && { platform: stuckAfterRename })
  })
  yield* desk.launch({ repo }, "r")
  yield* Effect.forkScoped(
    desk.journal.stream("r", 0).pipe(Stream.runForEach(({ nodeId, type }) => Console.log(`${type} ${nodeId ?? ""}`)))
  )
  if (mode === "stuck") {
    yield* desk.asked("r")
    yield* desk.decide("r", true)
  }
  return yield* Effect.never
})

NodeRuntime.runMain(Effect.scoped(program))

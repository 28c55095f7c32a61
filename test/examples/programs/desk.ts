import { NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer, Stream } from "effect"
import { ArtifactStore, FileStore } from "../../../src/artifacts/index.ts"
import { openDesk } from "../support/ReleaseDesk.ts"

/**
 * A service of its own that writes notes and tells what it does, line by line, until it is killed. With `stuck`, the
 * notes are in place and nobody hears of it: the store has put them and never answers.
 */
const [home = "", root = "", repo = "", searchPath = "", mode = ""] = process.argv.slice(2)

const stuckAfterPut = Layer.effect(
  ArtifactStore.ArtifactStore,
  Effect.map(ArtifactStore.ArtifactStore, (store) => ({
    ...store,
    put: (...given: Parameters<typeof store.put>) =>
      store.put(...given).pipe(Effect.zipRight(Console.log("written")), Effect.zipRight(Effect.never))
  }))
).pipe(Layer.provide(FileStore.layer(home)))

const program = Effect.gen(function*() {
  const desk = yield* openDesk({ home, root }, {
    searchPath,
    ...(mode === "stuck" && { artifacts: stuckAfterPut })
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

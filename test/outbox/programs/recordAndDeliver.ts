import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Console, Effect, Layer } from "effect"
import { persistenceAt } from "../../support/Home.ts"
import { delivering, org, use } from "../support.ts"

/** Delivers what the home given as argument holds to the URL given as second; with a third argument records one event before. */
const [home, url, record] = process.argv.slice(2)

const program = Effect.gen(function*() {
  if (record !== undefined) {
    yield* org("acme")
    yield* use("acme", 7)
  }
  yield* Console.log("ready")
  return yield* Effect.never
}).pipe(
  Effect.provide(delivering(url!).pipe(Layer.provideMerge(persistenceAt(home!)), Layer.provideMerge(NodeContext.layer)))
)

// @effect-diagnostics-next-line effectRun:off -- the entry of a process that tests start and kill
NodeRuntime.runMain(program)

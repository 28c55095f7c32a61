import { FileSystem } from "@effect/platform"
import { Config, Effect, Layer, Option, Schema, Stream } from "effect"
import { Engine } from "../engine/index.ts"
import { Journal, RunStore } from "../journal/index.ts"
import { type RunStatus, systemActor } from "../model/index.ts"
import { importLayer } from "./internal/ModuleLayer.ts"

/** What is left for the service outside; `wire-protocol.md` §9. */
const Report = Schema.parseJson(Schema.Struct({
  status: Schema.Literal("finished", "failed"),
  outputs: Schema.optional(Schema.Unknown),
  error: Schema.optional(Schema.String)
}))

const settings = Config.nested(
  Config.all({ request: Config.nonEmptyString("REQUEST_PATH"), result: Config.nonEmptyString("RESULT_PATH") }),
  "SMITHERS_SANDBOX"
)

/** What somebody outside would have to do something about. */
const stuck: Partial<Record<RunStatus, string>> = {
  "waiting-approval": "it waits for an approval",
  "waiting-event": "it waits for a signal",
  paused: "it is paused"
}

/** Why the run will not end by itself; never, while it may. */
const parked = (runId: string) =>
  Effect.gen(function*() {
    const journal = yield* Journal.Journal
    const runs = yield* RunStore.RunStore
    return yield* journal.stream(runId, 0).pipe(
      Stream.filter(({ type }) => type === "RunStatusChanged"),
      Stream.mapEffect(() => runs.get(runId)),
      Stream.filterMap(({ hold, status }) =>
        Option.map(
          Option.fromNullable(stuck[status]),
          (why) => `${hold?.reason ?? why}; nobody within a sandbox can answer it`
        )
      ),
      Stream.runHead
    )
  }).pipe(Effect.flatMap(Option.match({ onNone: () => Effect.never, onSome: Effect.succeed })))

const outcomeOf = Effect.fnUntraced(function*(module: string, workflow: string, request: string) {
  const fs = yield* FileSystem.FileSystem
  const engine = yield* Engine.Engine
  yield* Layer.build(yield* importLayer(module))
  const input = yield* Effect.flatMap(fs.readFileString(request), Schema.decode(Schema.parseJson()))
  const { runId } = yield* engine.launch({ workflow, input, actor: systemActor })
  const end = yield* Effect.raceFirst(engine.awaitEnd(runId), parked(runId))
  if (typeof end === "string") return { status: "failed" as const, error: end }
  return end.status === "finished"
    ? { status: "finished" as const, outputs: end.output }
    : { status: "failed" as const, error: end.error === null ? end.status : `${end.error.name}: ${end.error.message}` }
})

/**
 * Executes a workflow of a compiled module to its end, in the sandbox that this process is in, and leaves in its result
 * file what became of it.
 */
export const run = Effect.fnUntraced(function*(module: string, workflow: string) {
  const fs = yield* FileSystem.FileSystem
  const { request, result } = yield* settings
  const report = yield* Effect.catchAll(
    outcomeOf(module, workflow, request),
    (error) => Effect.succeed({ status: "failed" as const, error: "detail" in error ? error.detail : error.message })
  )
  yield* fs.writeFileString(result, yield* Schema.encode(Report)(report))
})

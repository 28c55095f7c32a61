import { type CommandExecutor, FileSystem, Path } from "@effect/platform"
import { WorkflowEngine } from "@effect/workflow"
import { Cause, Context, Effect, Exit, Layer, Option, Predicate, Schema, Scope } from "effect"
import { createHash } from "node:crypto"
import { Runner } from "../engine/index.ts"
import { Persistence } from "../persistence/index.ts"
import type { Sandbox } from "../sandbox/index.ts"
import type { Secrets } from "../secrets/index.ts"
import { compileModule } from "./internal/compileModule.ts"
import { WorkflowsConfig } from "./WorkflowsConfig.ts"

/** A workflow module could not be used; the service runs without it. */
class ModuleFailed extends Schema.TaggedError<ModuleFailed>()("ModuleFailed", {
  file: Schema.String,
  reason: Schema.Literal("Missing", "Compile", "Import", "Shape", "Start"),
  detail: Schema.String
}) {
  override get message(): string {
    return `Workflow module ${this.file} is not loaded (${this.reason.toLowerCase()}): ${this.detail}`
  }
}

/** A module whose workflows can be launched. */
interface LoadedModule {
  readonly file: string
  /** SHA-256 of the compiled text. */
  readonly revision: string
}

/** The modules of workflow authors, as they were found at start. A module that fails never keeps the others back. */
export class WorkflowModules extends Context.Tag("smithers-orchestrator/cli/WorkflowModules")<WorkflowModules, {
  readonly loaded: ReadonlyArray<LoadedModule>
  readonly failed: ReadonlyArray<ModuleFailed>
}>() {}

/** What a module's layer may require: the engine it registers with, sandboxes, secrets, and the platform. */
type ModuleServices =
  | WorkflowEngine.WorkflowEngine
  | Sandbox.Sandbox
  | Secrets.Secrets
  | CommandExecutor.CommandExecutor
  | FileSystem.FileSystem
  | Path.Path

/** What building it fails with is described, whatever it is. */
type ModuleLayer = Layer.Layer<never, Error, ModuleServices>

const ModuleExports = Schema.Struct({
  layer: Schema.optional(Schema.Unknown),
  default: Schema.optional(Schema.Unknown)
})

const layerOf = (exported: typeof ModuleExports.Type): ModuleLayer | undefined =>
  [exported.layer, exported.default].find((value): value is ModuleLayer => Layer.isLayer(value))

const describe = (cause: unknown): string =>
  Predicate.isError(cause) ? `${cause.name}: ${cause.message}` : String(cause)

/** The shipped examples, next to this service's own compiled code. */
const shipped = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const folder = yield* path.fromFileUrl(new URL("../examples/", import.meta.url))
  const names = yield* Effect.orElseSucceed(fs.readDirectory(folder), (): ReadonlyArray<string> => [])
  return names.filter((name) => name.endsWith(".js")).sort().map((name) => path.join(folder, name))
})

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex")

/** A shipped module is imported as it is; what it is made of lies beside it. */
const prepareShipped = Effect.fnUntraced(function*(file: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const folder = path.dirname(file)
  const names = (yield* fs.readDirectory(folder, { recursive: true })).filter((name) => name.endsWith(".js")).sort()
  const texts = yield* Effect.forEach(names, (name) => fs.readFileString(path.join(folder, name)))
  return { revision: sha256(texts.join("")), target: file }
})

/** An author's module is compiled, and written where it can be imported from. */
const prepareAuthored = Effect.fnUntraced(function*(file: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { home } = yield* Persistence.Persistence
  if (!(yield* Effect.orElseSucceed(fs.exists(file), () => false))) {
    return yield* new ModuleFailed({
      file,
      reason: "Missing",
      detail: "there is no such file. Check SMITHERS_WORKFLOWS."
    })
  }
  const folder = path.join(home, "modules")
  const text = yield* Effect.mapError(
    compileModule(file, folder),
    (detail) => new ModuleFailed({ file, reason: "Compile", detail })
  )
  const revision = sha256(text)
  const target = path.join(folder, `${revision}.mjs`)
  yield* fs.makeDirectory(folder, { recursive: true })
  yield* fs.writeFileString(target, text)
  return { revision, target }
})

/** The engine as a module registers with it: its workflows carry the module's revision. */
const withRevision = (engine: WorkflowEngine.WorkflowEngine["Type"], revision: string) =>
  WorkflowEngine.WorkflowEngine.of({
    ...engine,
    register: (workflow, execute) => engine.register(workflow.annotate(Runner.ModuleRevision, revision), execute)
  })

const load = Effect.fnUntraced(function*(file: string, isShipped: boolean) {
  const path = yield* Path.Path
  const { revision, target } = yield* (isShipped ? prepareShipped(file) : prepareAuthored(file)).pipe(
    Effect.catchTags({
      BadArgument: (cause) => new ModuleFailed({ file, reason: "Compile", detail: cause.message }),
      SystemError: (cause) => new ModuleFailed({ file, reason: "Compile", detail: cause.message })
    })
  )
  const url = yield* Effect.orDie(path.toFileUrl(target))
  const exported = yield* Effect.tryPromise({
    try: () => import(url.href) as Promise<unknown>,
    catch: (cause) => new ModuleFailed({ file, reason: "Import", detail: describe(cause) })
  }).pipe(Effect.flatMap((module) => Effect.orDie(Schema.decodeUnknown(ModuleExports)(module))))
  const layer = layerOf(exported)
  if (layer === undefined) {
    return yield* new ModuleFailed({
      file,
      reason: "Shape",
      detail: "it has no export `layer` (or default) that is a Layer, as Workflow.toLayer(…) makes one."
    })
  }
  const scope = yield* Effect.flatMap(Effect.scope, (parent) => Scope.fork(parent, parent.strategy))
  const engine = yield* WorkflowEngine.WorkflowEngine
  const registering = Layer.succeed(WorkflowEngine.WorkflowEngine, withRevision(engine, revision))
  yield* Layer.buildWithScope(Layer.provide(layer, registering), scope).pipe(
    Effect.catchAllCause((cause) =>
      Effect.zipRight(
        Scope.close(scope, Exit.void),
        new ModuleFailed({ file, reason: "Start", detail: describe(Cause.squash(cause)) })
      )
    )
  )
  return { file, revision }
})

const make = Effect.gen(function*() {
  const path = yield* Path.Path
  const config = yield* WorkflowsConfig
  const files = Option.match(config.files, {
    onNone: () => Effect.map(shipped, (names) => names.map((name) => ({ file: name, isShipped: true }))),
    onSome: (names) => Effect.succeed(names.map((name) => ({ file: path.resolve(name), isShipped: false })))
  })
  const outcomes = yield* Effect.forEach(yield* files, ({ file, isShipped }) => Effect.either(load(file, isShipped)))
  const loaded = outcomes.flatMap((outcome) => outcome._tag === "Right" ? [outcome.right] : [])
  const failed = outcomes.flatMap((outcome) => outcome._tag === "Left" ? [outcome.left] : [])
  yield* Effect.forEach(failed, (failure) => Effect.logError(failure.message), { discard: true })
  return WorkflowModules.of({ loaded, failed })
})

/** Loads every configured module and registers its workflows for as long as the layer lives. */
export const layer = Layer.scoped(WorkflowModules, make)

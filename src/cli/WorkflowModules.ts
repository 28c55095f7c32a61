import { FileSystem, Path } from "@effect/platform"
import { WorkflowEngine } from "@effect/workflow"
import { Cause, Context, Effect, Exit, Layer, Option, Schema, Scope } from "effect"
import { createHash } from "node:crypto"
import { Audit } from "../audit/index.ts"
import { Runner } from "../engine/index.ts"
import { systemActor } from "../model/index.ts"
import { Persistence } from "../persistence/index.ts"
import { Sandbox } from "../sandbox/index.ts"
import { compileModule } from "./internal/compileModule.ts"
import { describe, importLayer, layerFrom } from "./internal/ModuleLayer.ts"
import { insideScript, ownCode } from "./OwnCode.ts"
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

/** Modules that ship with the service: the name of the file in the folder of the compiled examples, and how to get it. */
type Shipped = Readonly<Record<string, () => Promise<unknown>>>

interface Module {
  readonly file: string
  /** Of a module that ships with the service, which may have been bundled with it. */
  readonly shipped?: () => Promise<unknown>
}

/** Those that there are, next to this service's own compiled code. */
const shippedModules = Effect.fnUntraced(function*(modules: Shipped) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const folder = yield* path.fromFileUrl(new URL("../examples/", import.meta.url))
  const all = Object.entries(modules).map(([name, shipped]): Module => ({ file: path.join(folder, name), shipped }))
  return yield* Effect.filter(all, ({ file }) => Effect.orElseSucceed(fs.exists(file), () => false))
})

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex")

/** A shipped module is loaded as it is; what it is made of lies beside it. */
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

/** The engine as a module registers with it: its workflows carry the module's revision and are offered to sandboxes. */
const registering = (
  engine: WorkflowEngine.WorkflowEngine["Type"],
  revision: string,
  offer: (key: string) => Effect.Effect<void, never, Scope.Scope>
) =>
  WorkflowEngine.WorkflowEngine.of({
    ...engine,
    register: (workflow, execute) =>
      Effect.zipRight(
        offer(workflow.name),
        engine.register(workflow.annotate(Runner.ModuleRevision, revision), execute)
      )
  })

const load = Effect.fnUntraced(function*({ file, shipped }: Module) {
  const isShipped = shipped !== undefined
  const { revision, target } = yield* (isShipped ? prepareShipped(file) : prepareAuthored(file)).pipe(
    Effect.catchTags({
      BadArgument: (cause) => new ModuleFailed({ file, reason: "Compile", detail: cause.message }),
      SystemError: (cause) => new ModuleFailed({ file, reason: "Compile", detail: cause.message })
    })
  )
  const layer = yield* Effect.mapError(
    isShipped ? layerFrom(shipped) : importLayer(target),
    (error) => new ModuleFailed({ file, ...error })
  )
  const scope = yield* Effect.flatMap(Effect.scope, (parent) => Scope.fork(parent, parent.strategy))
  const engine = yield* WorkflowEngine.WorkflowEngine
  const sandbox = yield* Sandbox.Sandbox
  const script = yield* insideScript
  const code = yield* ownCode(isShipped ? [] : [file])
  const offer = (key: string) =>
    sandbox.offer(key, { command: [script, target, key], code: isShipped ? code : [...code, target] })
  const withRevision = Layer.succeed(WorkflowEngine.WorkflowEngine, registering(engine, revision, offer))
  yield* Layer.buildWithScope(Layer.provide(layer, withRevision), scope).pipe(
    Effect.catchAllCause((cause) =>
      Effect.zipRight(
        Scope.close(scope, Exit.void),
        new ModuleFailed({ file, reason: "Start", detail: describe(Cause.squash(cause)) })
      )
    )
  )
  return { file, revision }
})

const make = Effect.fnUntraced(function*(shipped: Shipped) {
  const path = yield* Path.Path
  const config = yield* WorkflowsConfig
  const files = Option.match(config.files, {
    onNone: () => shippedModules(shipped),
    onSome: (names) => Effect.succeed(names.map((name): Module => ({ file: path.resolve(name) })))
  })
  const outcomes = yield* Effect.forEach(yield* files, (module) => Effect.either(load(module)))
  const loaded = outcomes.flatMap((outcome) => outcome._tag === "Right" ? [outcome.right] : [])
  const failed = outcomes.flatMap((outcome) => outcome._tag === "Left" ? [outcome.left] : [])
  yield* Effect.forEach(failed, (failure) => Effect.logError(failure.message), { discard: true })
  const audit = yield* Audit.Audit
  const about = { actor: systemActor, action: "workflow.load", runId: null, detail: {} }
  yield* Effect.forEach(outcomes, (outcome) =>
    audit.record(
      outcome._tag === "Right"
        ? {
          ...about,
          target: outcome.right.file,
          outcome: "ok",
          reason: null,
          moduleRevision: outcome.right.revision
        }
        : { ...about, target: outcome.left.file, outcome: "failed", reason: outcome.left.message }
    ), { discard: true, concurrency: "unbounded" })
  return WorkflowModules.of({ loaded, failed })
})

/**
 * Loads every configured module, or the shipped ones if none is, and registers their workflows for as long as the layer
 * lives.
 */
export const layer = (shipped: Shipped) => Layer.scoped(WorkflowModules, make(shipped))

import { type CommandExecutor, type FileSystem, Path } from "@effect/platform"
import type { WorkflowEngine } from "@effect/workflow"
import { Effect, Layer, Predicate, Schema } from "effect"
import type { Sandbox } from "../../sandbox/index.ts"
import type { Secrets } from "../../secrets/index.ts"

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

export const describe = (cause: unknown): string =>
  Predicate.isError(cause) ? `${cause.name}: ${cause.message}` : String(cause)

/** The layer that a module exports. */
export const layerFrom = Effect.fnUntraced(function*(load: () => Promise<unknown>) {
  const exported = yield* Effect.tryPromise({
    try: load,
    catch: (cause) => ({ reason: "Import" as const, detail: describe(cause) })
  }).pipe(Effect.flatMap((module) => Effect.orDie(Schema.decodeUnknown(ModuleExports)(module))))
  const layer = layerOf(exported)
  return layer ?? (yield* Effect.fail({
    reason: "Shape" as const,
    detail: "it has no export `layer` (or default) that is a Layer, as Workflow.toLayer(…) makes one."
  }))
})

/** The layer that a compiled module exports. */
export const importLayer = Effect.fnUntraced(function*(file: string) {
  const path = yield* Path.Path
  const url = yield* Effect.orDie(path.toFileUrl(file))
  return yield* layerFrom(() => import(url.href) as Promise<unknown>)
})

import * as NodeContext from "@effect/platform-node/NodeContext"
import * as NodeRuntime from "@effect/platform-node/NodeRuntime"
import { Effect, Exit, Layer } from "effect"
import { ArtifactStore } from "./artifacts/index.ts"
import { Audit } from "./audit/index.ts"
import { Cache } from "./cache/index.ts"
import * as InsideRun from "./cli/InsideRun.ts"
import * as Logs from "./cli/Logs.ts"
import { ApprovalStore, Engine, EngineConfig, Runner, Supervisor, TaskCache, TimerStore } from "./engine/index.ts"
import { Journal, RunStore } from "./journal/index.ts"
import { Persistence } from "./persistence/index.ts"
import { Sandbox } from "./sandbox/index.ts"
import { EnvironmentProvider, RedactedLogger, SecretGuard, SecretProviders, Secrets } from "./secrets/index.ts"

// The program of a sandbox that executes a workflow (`Sandbox.run({ workflow })`): an engine on a database in the
// sandbox's own /tmp, with no gateway, and no secrets but its environment.

const Providers = Layer.unwrapEffect(Effect.map(EnvironmentProvider.make, (own) => SecretProviders.layer([own])))

const Inside = Layer.mergeAll(
  Engine.layer,
  Supervisor.layer,
  TaskCache.layer,
  Sandbox.layerNone,
  ArtifactStore.layerNone
).pipe(
  Layer.provideMerge(Runner.layer),
  Layer.provideMerge(Layer.mergeAll(ApprovalStore.layer, TimerStore.layer, Cache.layer)),
  Layer.provideMerge(Layer.merge(Journal.layer, RunStore.layer)),
  Layer.provideMerge(Layer.merge(Secrets.layer, RedactedLogger.layer)),
  Layer.provideMerge(Layer.merge(SecretGuard.layer, Audit.layer)),
  Layer.provide(Providers),
  Layer.provide(EngineConfig.layerDefault),
  Layer.provideMerge(Persistence.layerTemp),
  Layer.provideMerge(Layer.merge(NodeContext.layer, Logs.layer))
)

const [module = "", workflow = ""] = process.argv.slice(2)

const main = Effect.scoped(
  Effect.flatMap(Layer.build(Inside), (context) => Effect.provide(InsideRun.run(module, workflow), context))
)

NodeRuntime.runMain(main, {
  // Whatever the workflow left open: its result is there.
  teardown: (exit) => process.exit(Exit.isSuccess(exit) ? 0 : 1)
})

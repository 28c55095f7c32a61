import { NodeContext, NodeRuntime } from "@effect/platform-node"
import { Config, Console, Effect, Layer, Option } from "effect"
import { Access, AccessConfig } from "../../../src/access/index.ts"
import { Audit } from "../../../src/audit/index.ts"
import { ApprovalStore, Engine, EngineConfig, Runner, Supervisor, TimerStore } from "../../../src/engine/index.ts"
import { Gateway, GatewayConfig } from "../../../src/gateway/index.ts"
import { Journal, RunStore } from "../../../src/journal/index.ts"
import { Persistence, PersistenceConfig } from "../../../src/persistence/index.ts"
import * as Greeting from "./Greeting.ts"

const Listening = Layer.effect(
  GatewayConfig.GatewayConfig,
  Effect.map(Effect.all([Config.integer("PORT"), Config.string("CONSOLE")]), ([port, consoleDirectory]) => ({
    ...GatewayConfig.defaults,
    port,
    consoleDirectory: Option.some(consoleDirectory)
  }))
)

const Announced = Layer.effectDiscard(
  Effect.flatMap(Gateway.Gateway, ({ address }) => Console.log(`http://${address.host}:${address.port}`))
)

NodeRuntime.runMain(Layer.launch(
  Announced.pipe(
    Layer.provide(Gateway.layer),
    Layer.provide(Listening),
    Layer.provide(Supervisor.layer),
    Layer.provide(Greeting.layer),
    Layer.provideMerge(Engine.layer),
    Layer.provideMerge(Runner.layer),
    Layer.provideMerge(Layer.mergeAll(ApprovalStore.layer, TimerStore.layer, Access.layer)),
    Layer.provideMerge(Layer.mergeAll(Journal.layer, RunStore.layer, Audit.layer)),
    Layer.provide([EngineConfig.layerDefault, AccessConfig.layerConfig, Gateway.layerMethods]),
    Layer.provide(Persistence.layer),
    Layer.provide(PersistenceConfig.layerConfig),
    Layer.provide(NodeContext.layer)
  )
))

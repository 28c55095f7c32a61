import { Path } from "@effect/platform"
import type { Rpc } from "@effect/rpc"
import { Context, Duration, Effect, FiberId, FiberSet, Layer, Option, RuntimeFlags, RuntimeFlagsPatch } from "effect"
import { Access, Methods, Tenants } from "../access/index.ts"
import { ArtifactStore } from "../artifacts/index.ts"
import { Audit } from "../audit/index.ts"
import { Engine } from "../engine/index.ts"
import { Journal, RunStore } from "../journal/index.ts"
import { Persistence } from "../persistence/index.ts"
import { SecretGuard } from "../secrets/index.ts"
import * as ApprovalHandlers from "./ApprovalHandlers.ts"
import * as ArtifactHandlers from "./ArtifactHandlers.ts"
import * as AuditHandlers from "./AuditHandlers.ts"
import * as CacheHandlers from "./CacheHandlers.ts"
import { type GatewayRpc, methodScopes } from "./contract.ts"
import * as ControlPlaneHandlers from "./ControlPlaneHandlers.ts"
import * as DoctorHandlers from "./DoctorHandlers.ts"
import * as EventHandlers from "./EventHandlers.ts"
import { GatewayConfig } from "./GatewayConfig.ts"
import * as HealthHandlers from "./HealthHandlers.ts"
import { makeAccessLog } from "./internal/AccessLog.ts"
import { loadConsole, noConsole, together } from "./internal/ConsoleFiles.ts"
import { makeDispatcher } from "./internal/Dispatcher.ts"
import { makeHttpFace } from "./internal/HttpFace.ts"
import { makeHub } from "./internal/Hub.ts"
import { type Address, listen } from "./internal/Listener.ts"
import { makeSnapshot } from "./internal/Snapshot.ts"
import { makeStreamCaps } from "./internal/StreamCaps.ts"
import { loadUi } from "./internal/UiFiles.ts"
import { makeUpgrades } from "./internal/Upgrades.ts"
import * as NodeHandlers from "./NodeHandlers.ts"
import * as OrgRecordHandlers from "./OrgRecordHandlers.ts"
import * as OutboxHandlers from "./OutboxHandlers.ts"
import * as RunHandlers from "./RunHandlers.ts"
import * as SandboxHandlers from "./SandboxHandlers.ts"
import * as ServiceState from "./ServiceState.ts"
import * as TeamHandlers from "./TeamHandlers.ts"
import * as TokenHandlers from "./TokenHandlers.ts"
import * as WorkerHandlers from "./WorkerHandlers.ts"
import * as WorkflowHandlers from "./WorkflowHandlers.ts"

/** The service's face to its clients: HTTP and WebSocket on one port, up as long as the layer lives. */
export class Gateway extends Context.Tag("smithers-orchestrator/gateway/Gateway")<Gateway, {
  /** Where it listens; the port is the real one also when any free one was asked for. */
  readonly address: Address
  /** Where the console is, else the user interface of one's own; null without either. */
  readonly mountPath: string | null
}>() {}

/** The life of a fiber per request is not worth measuring: the calls are, and counting both costs as much as a call. */
const withoutFiberMetrics = RuntimeFlagsPatch.disable(RuntimeFlags.RuntimeMetrics)

const make = Effect.gen(function*() {
  const config = yield* GatewayConfig
  const access = yield* Access.Access
  const engine = yield* Engine.Engine
  const journal = yield* Journal.Journal
  const runs = yield* RunStore.RunStore
  const state = yield* ServiceState.ServiceState
  const path = yield* Path.Path
  const handlers = yield* Effect.context<Rpc.ToHandler<GatewayRpc>>()

  const consoleDirectory = Option.getOrElse(
    config.consoleDirectory,
    () => path.resolve(path.dirname(new URL(import.meta.url).pathname), "../console")
  )
  const { home } = yield* Persistence.Persistence
  const ui = yield* Option.match(config.ui, {
    onNone: () => Effect.succeed(noConsole),
    onSome: (custom) => loadUi(custom, home)
  })
  const builtIn = config.console && ui.mountPath !== "/console" ? yield* loadConsole(consoleDirectory) : noConsole
  const accessLog = yield* makeAccessLog(yield* Audit.Audit)
  const tenants = yield* Tenants
  const dispatcher = makeDispatcher(access, tenants, runs, handlers, yield* SecretGuard.SecretGuard, accessLog)
  const serve = makeHttpFace({
    dispatcher,
    engine,
    runs,
    artifacts: yield* ArtifactStore.ArtifactStore,
    state,
    console: together(ui, builtIn),
    allowedOrigins: config.allowedOrigins
  })
  const hub = yield* makeHub(journal, runs, state, Duration.toMillis(config.heartbeat))
  const snapshot = yield* makeSnapshot(engine, runs, state)

  // The edge: callbacks of the raw server become fibers here, and nowhere else; these sets own them.
  const forkConnection = yield* FiberSet.makeRuntime()
  const forkRequest = yield* Effect.withRuntimeFlagsPatch(FiberSet.makeRuntime(), withoutFiberMetrics)
  let requests = 0
  const upgrades = makeUpgrades(
    {
      access,
      tenants,
      dispatcher,
      state,
      hub,
      caps: makeStreamCaps(),
      budget: { used: 0 },
      snapshot,
      heartbeat: config.heartbeat
    },
    config.allowedOrigins,
    forkConnection
  )
  const address = yield* listen(config, {
    onRequest: (request, response) => {
      requests += 1
      const fiber = forkRequest(serve(request, response))
      response.on("close", () => {
        requests -= 1
        // Nobody is left to be answered (traps.md 8).
        if (!response.writableFinished) fiber.unsafeInterruptAsFork(FiberId.none)
      })
    },
    onUpgrade: upgrades.onUpgrade,
    requests: () => requests,
    sockets: upgrades.count,
    goodbye: upgrades.goodbye,
    terminate: upgrades.terminate
  })
  return Gateway.of({ address, mountPath: builtIn.mountPath ?? ui.mountPath })
})

const handlers = Layer.mergeAll(
  RunHandlers.layer,
  NodeHandlers.layer,
  ArtifactHandlers.layer,
  ApprovalHandlers.layer,
  WorkflowHandlers.layer,
  EventHandlers.layer,
  CacheHandlers.layer,
  AuditHandlers.layer,
  DoctorHandlers.layer,
  SandboxHandlers.layer,
  TokenHandlers.layer,
  HealthHandlers.layer,
  WorkerHandlers.layer,
  ControlPlaneHandlers.layer,
  TeamHandlers.layer,
  OrgRecordHandlers.layer,
  OutboxHandlers.layer
)

/** Listens as `GatewayConfig` says, from its building until its scope closes. */
export const layer = Layer.scoped(Gateway, make).pipe(Layer.provide(handlers), Layer.provide(ServiceState.layer))

/** What `Access` has to know of the methods that a grant may name. */
export const layerMethods = Layer.succeed(Methods, methodScopes)

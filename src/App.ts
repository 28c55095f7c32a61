import * as NodeContext from "@effect/platform-node/NodeContext"
import { ConfigError, Effect, Layer, Option } from "effect"
import { Access, AccessConfig } from "./access/index.ts"
import { ArtifactsConfig, FileStore, Removals, RunArtifacts, S3Store } from "./artifacts/index.ts"
import { Audit, AuditConfig, AuditTrail, Checkpoints, Deployment, Retention as AuditRetention } from "./audit/index.ts"
import { Cache, CacheConfig } from "./cache/index.ts"
import * as Build from "./cli/Build.ts"
import { Home, ServiceInfo } from "./cli/index.ts"
import * as SecretAudit from "./cli/SecretAudit.ts"
import * as StartAudit from "./cli/StartAudit.ts"
import { version } from "./cli/Version.ts"
import * as Worker from "./cli/Worker.ts"
import * as WorkerLink from "./cli/WorkerLink.ts"
import * as WorkflowModules from "./cli/WorkflowModules.ts"
import * as WorkflowsConfig from "./cli/WorkflowsConfig.ts"
import {
  ControlPlane,
  GrantTenants,
  OidcVerifier,
  OrgEnding,
  OrgSecretsConfig,
  RunBudget,
  RunSecrets,
  RunTenancy,
  ScriptChanges
} from "./control-plane/index.ts"
import {
  ApprovalStore,
  Engine,
  EngineConfig,
  Retention as RunRetention,
  Runner,
  Supervisor,
  TaskCache,
  TimerStore
} from "./engine/index.ts"
import type { GatewayClient } from "./gateway/client.ts"
import { Deployed, Gateway, GatewayConfig } from "./gateway/index.ts"
import { Journal, RunStore } from "./journal/index.ts"
import { Outbound, OutboundConfig } from "./outbound/index.ts"
import { Courier, DeadLetters, Feeds, Outbox, OutboxConfig, WebhookConfig, Webhooks } from "./outbox/index.ts"
import { Persistence, PersistenceConfig } from "./persistence/index.ts"
import {
  BlobStore,
  EgressProxy,
  EgressResolver,
  Probe,
  RemoteWorkers,
  RuntimeConfig,
  Runtimes,
  Sandbox,
  SandboxConfig,
  SandboxStore
} from "./sandbox/index.ts"
import { RedactedLogger, SecretGuard, SecretProviders, Secrets, SecretsConfig } from "./secrets/index.ts"

const Providers = SecretProviders.layerConfig.pipe(
  Layer.catchAll((error) =>
    Layer.fail(
      ConfigError.isConfigError(error) ? error : ConfigError.InvalidData(["SMITHERS_SECRETS_COMMANDS"], error.message)
    )
  ),
  Layer.provide(NodeContext.layer)
)

const settings = [
  PersistenceConfig.layerConfig,
  AuditConfig.layerConfig,
  Deployment.layerConfig(version),
  AccessConfig.layerConfig,
  EngineConfig.layerConfig,
  CacheConfig.layerConfig,
  SecretsConfig.layerConfig,
  Providers,
  OrgSecretsConfig.layerConfig,
  WorkflowsConfig.layerConfig,
  SandboxConfig.layerConfig,
  RuntimeConfig.layerConfig,
  GatewayConfig.layerConfig,
  OutboundConfig.layerConfig,
  OutboxConfig.layerConfig,
  WebhookConfig.layerConfig,
  ArtifactsConfig.layerConfig
] as const

/** Reads every setting of the service; fails with all that is wrong, not with the first. */
export const checkSettings = Effect.validateAll(
  settings,
  (layer: Layer.Layer<never, ConfigError.ConfigError>) => Effect.scoped(Layer.build(layer)),
  { discard: true }
).pipe(Effect.mapError(([first, ...others]) => others.reduce(ConfigError.And, first)))

/** They are read before anything is opened, so that a bad one leaves no trace. */
const Settings = Layer.unwrapEffect(Effect.as(checkSettings, Layer.mergeAll(...settings)))

/** What audit and control plane tell others of, in the commit that writes it down; nothing unless webhooks are set. */
const OutboxLive = Layer.provideMerge(Feeds.layer, Outbox.layer)

/** Signed from its beginning. */
const AuditLive = Layer.merge(StartAudit.layer, AuditRetention.layer).pipe(
  Layer.provideMerge(AuditTrail.layer),
  Layer.provideMerge(Checkpoints.layer),
  Layer.provideMerge(Audit.layer),
  Layer.provideMerge(OutboxLive)
)

/** What is in the outbox leaves the house. */
const CourierLive = Layer.merge(Layer.provide(Courier.layer, Webhooks.layer), DeadLetters.layer).pipe(
  Layer.provideMerge(Outbound.layer)
)

/** Grants, and the organizations that they are bound to. */
const AccessLive = Access.layer.pipe(
  Layer.provide(Gateway.layerMethods),
  Layer.provide(OidcVerifier.layer),
  Layer.provideMerge(GrantTenants.layer),
  Layer.provideMerge(ControlPlane.layer)
)

/** What removes a run writes down that its artifacts are to go. */
const JournalLive = Layer.merge(Journal.layer, RunStore.layer).pipe(Layer.provideMerge(Removals.layer))

/** What is built on it logs without secrets and stores none. */
const SecretsLive = Layer.merge(Secrets.layer, RedactedLogger.layer).pipe(
  Layer.provideMerge(SecretGuard.layer),
  Layer.provide(SecretAudit.layer),
  Layer.provide(Layer.provide(RunSecrets.layer, ControlPlane.layer))
)

/** Contents of reviewed files and change sets, under their own hashes. */
const BlobsLive = Layer.unwrapEffect(
  Effect.map(Persistence.Persistence, ({ home }) => BlobStore.layer(`${home}/blobs`))
)

/** The runtimes of this machine, and the one that remote workers are. */
const RuntimesLive = Layer.unwrapEffect(
  Effect.map(RemoteWorkers.RemoteWorkers, ({ runtime }) => Runtimes.layerWith([runtime]))
)

const SandboxLive = Sandbox.layer.pipe(
  Layer.provide(SandboxStore.layer),
  Layer.provide(Probe.layer),
  Layer.provide(RuntimesLive),
  Layer.provide(EgressProxy.layer),
  Layer.provide(EgressResolver.layer),
  Layer.provideMerge(RemoteWorkers.layer),
  Layer.provide(BlobsLive)
)

/** What runs leave: files in the home, unless an S3-compatible store is set. */
const ArtifactsLive = RunArtifacts.layer.pipe(
  Layer.provide(Layer.unwrapEffect(
    Effect.gen(function*() {
      const { s3 } = yield* ArtifactsConfig.ArtifactsConfig
      const { home } = yield* Persistence.Persistence
      return Option.match(s3, {
        onNone: () => FileStore.layer(home),
        onSome: (settings) => S3Store.layer(settings, home)
      })
    })
  ))
)

const EngineLive = Layer.merge(Engine.layer, TaskCache.layer).pipe(
  Layer.provideMerge(Runner.layer),
  Layer.provideMerge(Layer.merge(ApprovalStore.layer, TimerStore.layer)),
  // Runs of nobody's organization are never asked for.
  Layer.provide(RunBudget.layer()),
  Layer.provide(RunTenancy.layer)
)

/** Takes up unfinished runs and listens when, and only when, the workflows are there. */
const Doors = Layer.mergeAll(Supervisor.layer, RunRetention.layer, ScriptChanges.layer, Gateway.layer).pipe(
  Layer.provide(OrgEnding.layer),
  Layer.provide(Layer.effect(
    Deployed,
    Effect.gen(function*() {
      const { failed } = yield* WorkflowModules.WorkflowModules
      return { build: yield* Build.buildRecord, modulesFailed: failed }
    })
  ))
)

const Info = Layer.scoped(
  ServiceInfo,
  Effect.gen(function*() {
    const { home } = yield* Persistence.Persistence
    const { adminTokenFile } = yield* Access.Access
    const { address: { url }, mountPath } = yield* Gateway.Gateway
    const engine = yield* Engine.Engine
    const modules = yield* WorkflowModules.WorkflowModules
    yield* Home.publishAddress(home, url)
    return ServiceInfo.of({
      url,
      console: `${url}${mountPath ?? "/console"}`,
      pid: process.pid,
      home,
      adminTokenFile: Option.getOrNull(adminTokenFile),
      workflows: (yield* engine.workflows).map(({ key }) => key),
      modules
    })
  })
)

/** The whole service, from what the operator is told at the top down to the platform. */
export const App = Info.pipe(
  Layer.provideMerge(Doors),
  Layer.provideMerge(WorkflowModules.layer({ "index.js": () => import("./examples/index.ts") })),
  Layer.provideMerge(Layer.merge(SandboxLive, ArtifactsLive)),
  Layer.provideMerge(EngineLive),
  Layer.provideMerge(Layer.mergeAll(JournalLive, Cache.layer)),
  Layer.provideMerge(AccessLive),
  Layer.provideMerge(CourierLive),
  Layer.provideMerge(SecretsLive),
  Layer.provideMerge(AuditLive),
  Layer.provideMerge(Persistence.layer),
  Layer.provide(Settings),
  Layer.provide(NodeContext.layer)
)

/** What a worker is made of: no database, no home, no secrets of its own. */
const WorkerLive = (client: GatewayClient) =>
  Layer.merge(Probe.layer, Runtimes.layer).pipe(
    Layer.provide(EgressProxy.layer),
    Layer.provide(EgressResolver.layer),
    Layer.provide(RuntimeConfig.layerConfig),
    Layer.merge(WorkerLink.layer(client)),
    Layer.provideMerge(NodeContext.layer)
  )

/** Runs sandboxes of this machine for a service elsewhere. */
export const work = (client: GatewayClient, options: Worker.WorkerOptions) =>
  Effect.scoped(
    Effect.flatMap(Layer.build(WorkerLive(client)), (context) => Effect.provide(Worker.work(options), context))
  )

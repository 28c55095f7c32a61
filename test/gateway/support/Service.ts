import { NodeContext } from "@effect/platform-node"
import { Duration, Effect, Layer, Option, Redacted, Schema } from "effect"
import { Access, AccessConfig } from "../../../src/access/index.ts"
import { FileStore, Removals, RunArtifacts } from "../../../src/artifacts/index.ts"
import { Audit, AuditSink, AuditTrail, Checkpoints } from "../../../src/audit/index.ts"
import { Cache } from "../../../src/cache/index.ts"
import { ControlPlane, GrantTenants, OrgEnding, RunBudget, RunTenancy } from "../../../src/control-plane/index.ts"
import { ApprovalStore, Engine, EngineConfig, Runner, TaskCache, TimerStore } from "../../../src/engine/index.ts"
import { Gateway, GatewayConfig } from "../../../src/gateway/index.ts"
import { Journal, RunStore } from "../../../src/journal/index.ts"
import { type Run, systemActor } from "../../../src/model/index.ts"
import { DeadLetters, Outbox } from "../../../src/outbox/index.ts"
import { Persistence, Write } from "../../../src/persistence/index.ts"
import { BlobStore, RemoteWorkers, Sandbox } from "../../../src/sandbox/index.ts"
import { SecretGuard } from "../../../src/secrets/index.ts"
import { Approval, Task, Workflow } from "../../../src/workflow/index.ts"

export const adminToken = "admin-token-for-tests"

export const workflows: ReadonlyArray<Engine.WorkflowInfo> = [
  { key: "zeta", title: null, description: null, inputSchema: null, moduleRevision: null, approvals: null },
  {
    key: "demo",
    title: "Demo",
    description: "A demo",
    inputSchema: { type: "object" },
    moduleRevision: "r1",
    approvals: null
  }
]

/** An engine that does nothing: each test says what it needs of it. */
export const engineOf = (methods: Partial<Engine.Engine["Type"]>) =>
  Layer.effect(
    Engine.Engine,
    Effect.map(RunStore.RunStore, (runs) => {
      const missing = () => Effect.die("not in this test")
      return Engine.Engine.of({
        workflows: Effect.succeed(workflows),
        approvals: () => Effect.succeed([]),
        approvalPaths: Effect.succeed([]),
        view: (runId) =>
          Effect.zipWith(runs.get(runId), runs.summary(runId), (run, summary) => ({ run, summary, blocked: null })),
        launch: missing,
        cancel: missing,
        cancelOrg: () => Effect.succeed(false),
        pause: missing,
        resume: missing,
        retry: missing,
        decide: missing,
        remove: missing,
        awaitEnd: missing,
        ...methods
      })
    })
  )

const access = Access.layer.pipe(
  Layer.provide([
    Layer.succeed(AccessConfig.AccessConfig, {
      tokenMaxTtl: Duration.days(30),
      adminToken: Option.some(Redacted.make(adminToken))
    }),
    Gateway.layerMethods
  ]),
  Layer.provideMerge(Layer.merge(GrantTenants.layer, RunTenancy.layer)),
  Layer.provideMerge(ControlPlane.layer)
)

const workers = Layer.provide(
  RemoteWorkers.layer,
  Layer.unwrapEffect(Effect.map(Persistence.Persistence, ({ home }) => BlobStore.layer(`${home}/blobs`)))
)

const artifacts = RunArtifacts.layer.pipe(
  Layer.provide(Layer.unwrapEffect(Effect.map(Persistence.Persistence, ({ home }) => FileStore.layer(home))))
)

const audit = AuditTrail.layer.pipe(
  Layer.provideMerge(Checkpoints.layer),
  Layer.provide(AuditSink.layerNone),
  Layer.provideMerge(Audit.layer)
)

type Config = Partial<GatewayConfig.GatewayConfig["Type"]>

/** Sandboxes of which there are none. */
export const noSandboxes = Layer.succeed(
  Sandbox.Sandbox,
  Sandbox.Sandbox.of({
    offer: () => Effect.void,
    execute: () => Effect.die("not in this test"),
    changeSet: () => Effect.die("not in this test"),
    apply: () => Effect.die("not in this test"),
    nodeDiff: () => Effect.succeedNone,
    runDiff: () => Effect.succeedNone,
    verify: ({ runtime = "bubblewrap" } = {}) =>
      Effect.succeed({ runtime, policyHash: "", provedAtMs: 0, controls: [] }),
    runtimes: [],
    list: () => Effect.succeed([]),
    sweep: Effect.succeed({ folders: 0, blobs: 0, bytes: 0 })
  })
)

export const gatewayOver = <E, R, E2, R2>(
  engine: Layer.Layer<Engine.Engine, E, R>,
  sandboxes: Layer.Layer<Sandbox.Sandbox, E2, R2>,
  config: Config = {}
) =>
  Gateway.layer.pipe(
    Layer.provide(OrgEnding.layer),
    Layer.provide(Layer.succeed(GatewayConfig.GatewayConfig, { ...GatewayConfig.defaults, ...config })),
    Layer.provideMerge(Layer.merge(engine, TaskCache.layer)),
    Layer.provideMerge(sandboxes),
    Layer.provideMerge(Layer.mergeAll(Journal.layer, RunStore.layer, Cache.layer, access, workers, artifacts)),
    Layer.provideMerge(Removals.layer),
    Layer.provideMerge(DeadLetters.layer),
    Layer.provideMerge(audit),
    Layer.provideMerge(Outbox.layer),
    Layer.provideMerge(Persistence.layerTemp),
    Layer.provideMerge(SecretGuard.layer),
    Layer.provideMerge(NodeContext.layer)
  )

/** A gateway on any free port, over the real journal and the real access, and the engine of the test. */
export const gatewayWith = (engine: Partial<Engine.Engine["Type"]> = {}, config: Config = {}) =>
  gatewayOver(engineOf(engine), noSandboxes, config)

const Answer = Schema.Struct({ answer: Schema.Number })

/** `demo`: a task, an approval of its result, and a task after it. */
const demo = Workflow.make({
  name: "demo",
  payload: { question: Schema.String },
  success: Answer,
  error: Approval.ApprovalDenied,
  idempotencyKey: ({ question }) => question
}).toLayer(Effect.fnUntraced(function*() {
  const first = yield* Task.run({ id: "think", output: Answer, execute: Effect.succeed({ answer: 41 }) })
  yield* Approval.request({ id: "gate", title: "Ship it?", payload: first })
  return yield* Task.run({ id: "ship", output: Answer, execute: Effect.succeed({ answer: 42 }) })
}))

/** A gateway over the real engine, which knows the workflow `demo`. */
export const realGateway = gatewayOver(
  Layer.mergeAll(Engine.layer, demo).pipe(
    Layer.provideMerge(Runner.layer),
    Layer.provide(Layer.mergeAll(ApprovalStore.layer, TimerStore.layer, EngineConfig.layerDefault, RunBudget.layer()))
  ),
  noSandboxes
)

export const address = Effect.map(Gateway.Gateway, (gateway) => gateway.address)

/** A token with these scopes. */
export const tokenFor = (
  scopes: ReadonlyArray<string>,
  more: { readonly role?: string; readonly userId?: string; readonly ttlMs?: number } = {}
) =>
  Effect.gen(function*() {
    const access = yield* Access.Access
    const { grant, secret } = yield* access.issue({ role: "operator", scopes, actor: systemActor, ...more })
    return { token: Redacted.value(secret), tokenId: grant.tokenId }
  })

/** A stored run, and what happened in it. */
export const addRun = (runId: string, workflow = "demo", more: Partial<RunStore.NewRun> = {}) =>
  Effect.gen(function*() {
    const persistence = yield* Persistence.Persistence
    const runs = yield* RunStore.RunStore
    yield* persistence.write(runs.insert({
      runId,
      workflow,
      parentRunId: null,
      inputJson: "{\"a\":1}",
      idempotencyKey: null,
      actor: systemActor,
      startedBy: null,
      moduleRevision: null,
      ownerId: "pid:1:test",
      createdAtMs: 1_000,
      ...more
    }))
  })

export const setStatus = (runId: string, status: Run["status"]) =>
  Effect.gen(function*() {
    const persistence = yield* Persistence.Persistence
    const runs = yield* RunStore.RunStore
    yield* persistence.write(runs.setStatus(runId, status))
  })

export const addEvents = (runId: string, events: ReadonlyArray<Omit<Journal.NewEvent, "runId" | "timestampMs">>) =>
  Effect.gen(function*() {
    const persistence = yield* Persistence.Persistence
    const journal = yield* Journal.Journal
    yield* persistence.write(
      Write.all(events.map((event) => journal.append({ runId, timestampMs: 1_000, ...event })))
    )
  })

/** `count` finished nodes, as events. */
export const nodeEvents = (count: number, from = 0) =>
  Array.from({ length: count }, (_, i) => ({
    type: "NodeFinished" as const,
    nodeId: `n${from + i}`,
    iteration: 0,
    attempt: 1
  }))

import { NodeContext } from "@effect/platform-node"
import { Duration, Effect, Layer, Option, Redacted } from "effect"
import { Access, AccessConfig } from "../../../src/access/index.ts"
import { Audit } from "../../../src/audit/index.ts"
import { Engine } from "../../../src/engine/index.ts"
import { Gateway, GatewayConfig } from "../../../src/gateway/index.ts"
import { Journal, RunStore } from "../../../src/journal/index.ts"
import { type Run, systemActor } from "../../../src/model/index.ts"
import { Persistence, Write } from "../../../src/persistence/index.ts"

export const adminToken = "admin-token-for-tests"

export const workflows: ReadonlyArray<Engine.WorkflowInfo> = [
  { key: "zeta", title: null, description: null, inputSchema: null, moduleRevision: null },
  { key: "demo", title: "Demo", description: "A demo", inputSchema: { type: "object" }, moduleRevision: "r1" }
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
        view: (runId) =>
          Effect.zipWith(runs.get(runId), runs.summary(runId), (run, summary) => ({ run, summary, blocked: null })),
        launch: missing,
        cancel: missing,
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
  ])
)

/** A gateway on any free port, over the real journal and the real access, and the engine of the test. */
export const gatewayWith = (
  engine: Partial<Engine.Engine["Type"]> = {},
  config: Partial<GatewayConfig.GatewayConfig["Type"]> = {}
) =>
  Gateway.layer.pipe(
    Layer.provide(Layer.succeed(GatewayConfig.GatewayConfig, { ...GatewayConfig.defaults, ...config })),
    Layer.provide(engineOf(engine)),
    Layer.provideMerge(Layer.mergeAll(Journal.layer, RunStore.layer, access)),
    Layer.provideMerge(Audit.layer),
    Layer.provideMerge(Persistence.layerTemp),
    Layer.provideMerge(NodeContext.layer)
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

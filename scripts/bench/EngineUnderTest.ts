import { NodeContext } from "@effect/platform-node"
import { type WorkflowEngine } from "@effect/workflow"
import { Effect, Layer, Logger, LogLevel, ManagedRuntime, Schema } from "effect"
import { Audit } from "../../src/audit/index.ts"
import { Cache } from "../../src/cache/index.ts"
import { ApprovalStore, Engine, EngineConfig, Runner, Supervisor, TimerStore } from "../../src/engine/index.ts"
import { Journal, RunStore } from "../../src/journal/index.ts"
import { type Actor } from "../../src/model/index.ts"
import { Persistence, PersistenceConfig } from "../../src/persistence/index.ts"
import { SecretGuard } from "../../src/secrets/index.ts"

const actor: Actor = { userId: "user:bench", tokenId: null, role: "operator", scopes: ["*"] }

/** The engine as the service has it, on a home, with `synchronous=FULL`. */
const layerAt = (home: string, workflows: Layer.Layer<never, never, WorkflowEngine.WorkflowEngine>) => {
  const journal = Layer.mergeAll(Journal.layer, RunStore.layer).pipe(
    Layer.provideMerge(Layer.merge(Audit.layer, Cache.layer)),
    Layer.provideMerge(Persistence.layer),
    Layer.provide(
      Layer.succeed(PersistenceConfig.PersistenceConfig, { home, synchronous: "full", allowNetworkFileSystem: false })
    ),
    Layer.provide(NodeContext.layer)
  )
  const engine = Layer.mergeAll(Engine.layer, workflows).pipe(
    Layer.provideMerge(Runner.layer),
    Layer.provideMerge(Layer.mergeAll(ApprovalStore.layer, TimerStore.layer)),
    Layer.provideMerge(journal),
    Layer.provideMerge(SecretGuard.layer),
    Layer.provideMerge(EngineConfig.layerDefault)
  )
  return Supervisor.layer.pipe(
    Layer.provideMerge(engine),
    Layer.provide(Logger.minimumLogLevel(LogLevel.Error))
  )
}

interface EngineUnderTest {
  readonly launch: (workflow: string, input: unknown) => Promise<string>
  /** Launches and waits for the end; throws unless the run finished. */
  readonly finish: (workflow: string, input: unknown) => Promise<void>
  /** So many at once, each to its end. */
  readonly finishAll: (count: number, workflow: string, input: unknown) => Promise<void>
  /** Lookups that hit, one after the other; throws when one misses. */
  readonly lookUp: (count: number) => Promise<void>
  readonly summary: (runId: string) => Promise<Readonly<Record<string, number>>>
  readonly countByStatus: (status: string) => Promise<number>
  readonly close: () => Promise<void>
}

export const openEngine = async (
  home: string,
  workflows: Layer.Layer<never, never, WorkflowEngine.WorkflowEngine>
): Promise<EngineUnderTest> => {
  const runtime = ManagedRuntime.make(layerAt(home, workflows))
  const launch = (workflow: string, input: unknown) =>
    Effect.flatMap(Engine.Engine, (engine) => Effect.map(engine.launch({ workflow, input, actor }), (run) => run.runId))
  const finish = (workflow: string, input: unknown) =>
    Effect.gen(function*() {
      const engine = yield* Engine.Engine
      const run = yield* engine.awaitEnd(yield* launch(workflow, input))
      if (run.status !== "finished") yield* Effect.dieMessage(`${workflow} ${run.status}: ${run.error?.message ?? ""}`)
    })
  await runtime.runPromise(Effect.void)
  return {
    launch: (workflow, input) => runtime.runPromise(launch(workflow, input)),
    finish: (workflow, input) => runtime.runPromise(finish(workflow, input)),
    finishAll: (count, workflow, input) =>
      runtime.runPromise(
        Effect.forEach(Array.from({ length: count }), () => finish(workflow, input), {
          concurrency: "unbounded",
          discard: true
        })
      ),
    lookUp: (count) =>
      runtime.runPromise(Effect.flatMap(Cache.Cache, (cache) => {
        const request = {
          identity: { tenant: "", workflow: "bench", runId: "r", writer: "bench", writeGlobal: true },
          policy: { version: "1", by: { i: 1 } },
          nodeId: "step",
          iteration: 0,
          output: Schema.Int
        }
        const store = Effect.flatMap(cache.lookup(request), (found) =>
          found._tag === "Hit" || found.ticket === null
            ? Effect.void
            : cache.put(found.ticket, { text: "1", atMs: 0, durationMs: 1 }))
        const hit = Effect.flatMap(cache.lookup(request), (found) =>
          found._tag === "Hit" ? Effect.void : Effect.dieMessage(found.detail))
        return Effect.zipRight(store, Effect.repeatN(hit, count - 1))
      })),
    summary: (runId) =>
      runtime.runPromise(
        Effect.flatMap(Engine.Engine, (engine) => Effect.map(engine.view(runId), ({ summary }) => summary))
      ),
    countByStatus: (status) =>
      runtime.runPromise(Effect.flatMap(Persistence.Persistence, ({ sql }) =>
        Effect.map(
          sql.unsafe<{ count: number }>("SELECT COUNT(*) AS count FROM _smithers_runs WHERE status = ?", [status]),
          (rows) => rows[0]!.count
        ))),
    close: () => runtime.dispose()
  }
}

import { type Activity, type DurableClock, type DurableDeferred, Workflow, WorkflowEngine } from "@effect/workflow"
import { Clock, Duration, Effect, Exit, Option, Schema } from "effect"
import { createHash } from "node:crypto"
import type { RunStore } from "../../journal/index.ts"
import { codecOf, nodeKey } from "../../model/index.ts"
import type { PersistenceError, Write } from "../../persistence/index.ts"
import { awaitNode, type CompletedNode } from "../DurableWait.ts"
import type { InvalidInput, RunConflict, WorkflowNotFound } from "../EngineError.ts"
import * as Step from "../Step.ts"
import { ActiveRun, type RunServices } from "./ActiveRun.ts"
import { refuseSecretId } from "./CurrentStep.ts"
import { redactDeep } from "./Failure.ts"
import { refuseSecrets } from "./SecretCheck.ts"

/** A registered workflow and how its body is executed. */
export interface Definition {
  readonly workflow: Workflow.Any
  readonly execute: (
    payload: object,
    executionId: string
  ) => Effect.Effect<unknown, unknown, WorkflowEngine.WorkflowInstance | WorkflowEngine.WorkflowEngine>
}

/** The schemas of a workflow, which must need no services to decode and encode. */
interface WorkflowSchemas {
  readonly payload: Schema.Schema<object, unknown>
  readonly success: Schema.Schema<unknown, unknown>
  readonly error: Schema.Schema<unknown, unknown>
}

const schemas = new WeakMap<object, WorkflowSchemas>()

/** Made once per workflow, so that their codecs are compiled once. */
export const schemasOf = (workflow: Workflow.Any): WorkflowSchemas => {
  const known = schemas.get(workflow)
  if (known !== undefined) return known
  const made: WorkflowSchemas = {
    payload: Schema.make(workflow.payloadSchema.ast),
    success: Schema.make(workflow.successSchema.ast),
    error: Schema.make(workflow.errorSchema.ast)
  }
  schemas.set(workflow, made)
  return made
}

/** What the adapter needs of the runner. */
interface Host {
  readonly services: RunServices
  readonly define: (definition: Definition) => Effect.Effect<void>
  readonly launchChild: (
    workflow: Workflow.Any,
    runId: string,
    payload: object,
    parentRunId: string | null
  ) => Effect.Effect<void, RunStore.RunExists | RunConflict | WorkflowNotFound | InvalidInput | PersistenceError>
  readonly parentOf: (runId: string) => Effect.Effect<string | null, PersistenceError>
  readonly awaitExit: (
    workflow: Workflow.Any,
    runId: string
  ) => Effect.Effect<Exit.Exit<unknown, unknown>, RunStore.RunNotFound | PersistenceError>
  readonly pollExit: (
    workflow: Workflow.Any,
    runId: string
  ) => Effect.Effect<Exit.Exit<unknown, unknown> | undefined, PersistenceError>
  /** Commits the result of a wait, once, and hands it to the run. */
  readonly complete: (
    node: CompletedNode,
    also: ReadonlyArray<Write.Write<unknown>>
  ) => Effect.Effect<boolean, PersistenceError>
  /** Whether the run executes here and is being stopped: an interruption of its code is no result of it. */
  readonly isStopping: (runId: string) => boolean
  readonly interrupt: (runId: string) => Effect.Effect<void>
  readonly resume: (runId: string) => Effect.Effect<void>
}

/** An exit of encoded values, as nodes of activities, deferreds and children store it. */
const PlainExit = Schema.Exit({ success: Schema.Unknown, failure: Schema.Unknown, defect: Schema.Defect })
/** Failures and defects come to rest without secrets. */
const encodedExit = (
  clean: (text: string) => string
): Schema.Schema<typeof PlainExit.Type, typeof PlainExit.Encoded> =>
  Schema.transform(Schema.encodedSchema(PlainExit), PlainExit, {
    strict: false,
    decode: (exit) => exit,
    encode: (exit) => exit._tag === "Failure" ? redactDeep(clean, exit) : exit
  })

/** Names of `@effect/workflow` are free text, node ids are not: what does not fit is replaced and told apart by a hash. */
const nodeIdOf = (prefix: string, name: string): string => {
  const id = `${prefix}:${name.replace(/[^a-zA-Z0-9:_-]/g, "_")}`
  if (id === `${prefix}:${name}` && id.length <= 128) return id
  return `${id.slice(0, 115)}-${createHash("sha256").update(name).digest("hex").slice(0, 12)}`
}

const clockPrefix = "DurableClock/"
const racePrefix = "raceAll/"

const deferredNode = (name: string) =>
  name.startsWith(clockPrefix)
    ? { nodeId: nodeIdOf("timer", name.slice(clockPrefix.length)), kind: "timer" as const, wait: "timer" as const }
    : { nodeId: nodeIdOf("deferred", name), kind: "deferred" as const, wait: "event" as const }

/** How the stored exit of an activity looks, which says what of it may hold a secret. */
const storedExitOf = (activity: Activity.Any) =>
  Schema.Exit({ success: activity.successSchema, failure: activity.errorSchema, defect: Schema.Defect })

const exitSchemaOf = (activity: Activity.Any) =>
  Schema.ExitFromSelf({ success: activity.successSchema, failure: activity.errorSchema, defect: Schema.Defect })

/** Stops a run whose stored exit its code cannot read; the package itself would fail it. */
const fits = (run: ActiveRun, nodeId: string, exitSchema: Schema.Schema.Any) => (exit: unknown) =>
  Effect.catchAll(
    // Schemas of activities and deferreds need no services here, as those of workflows.
    Schema.decodeUnknown(exitSchema as Schema.Schema<unknown>)(exit),
    (error) => run.diverge(nodeId, `The stored result does not fit the schema: ${error.message}`)
  )

/**
 * The run that an execution id stands for. The package makes the id of a child of its workflow and payload alone: the
 * children of two tenants with equal payloads are two runs.
 */
const idFor = (caller: unknown, executionId: string): string => {
  const tenant = typeof caller === "object" && caller !== null && "run" in caller && caller.run instanceof ActiveRun
    ? caller.run.tenant
    : null
  if (tenant === null) return executionId
  const { orgId, projectId } = tenant
  return createHash("sha256").update(`${orgId} ${projectId ?? ""} ${executionId}`).digest("hex").slice(0, 32)
}

/** The same for whoever asks out of the body of a run. */
const calledFor = (executionId: string): Effect.Effect<string> =>
  Effect.map(
    Effect.serviceOption(WorkflowEngine.WorkflowInstance),
    (caller) => idFor(Option.getOrUndefined(caller), executionId)
  )

/** The node in the parent that stands for a child run. */
export const childNodeId = (childRunId: string): string => nodeIdOf("child", childRunId)

/**
 * Lets workflows of `@effect/workflow` (Activity, DurableDeferred, DurableClock, child workflows) run unchanged on our
 * journal. Where that package would suspend and poll, we wait on the node's row, so a result that arrives before the wait
 * is as good as one that arrives after it (Effect-TS/effect#6318, #8238).
 */
export const makeWorkflowEngine = (host: Host): WorkflowEngine.WorkflowEngine["Type"] => {
  const { services } = host
  const { guard } = services
  const EncodedExit = encodedExit(guard.redact)
  const exitCodec = codecOf(EncodedExit)
  const noSite = {}

  return WorkflowEngine.makeUnsafe({
    register: (workflow, execute) => host.define({ workflow, execute }),

    execute: (workflow, options) =>
      Effect.gen(function*() {
        const parent = options.parent
        const runId = idFor(parent, options.executionId)
        yield* host.launchChild(workflow, runId, options.payload, parent?.executionId ?? null).pipe(
          Effect.catchTag("RunExists", () => Effect.void)
        )
        if (options.discard) return undefined
        if (parent === undefined) return new Workflow.Complete({ exit: yield* host.awaitExit(workflow, runId) })
        const run = yield* Effect.provideService(Step.currentRun, WorkflowEngine.WorkflowInstance, parent)
        const nodeId = childNodeId(runId)
        // Its end may have committed when this process died before it told us.
        const ended = yield* host.pollExit(workflow, runId)
        if (ended !== undefined) return new Workflow.Complete({ exit: ended })
        // Its end is told to the run that launched it; any other waits in memory.
        if ((yield* host.parentOf(runId)) === run.runId) {
          yield* awaitNode(
            run,
            { nodeId, iteration: 0, kind: "child", label: workflow.name, wait: "event" },
            run.stored.get(nodeKey(nodeId, 0))
          )
        }
        return new Workflow.Complete({ exit: yield* host.awaitExit(workflow, runId) })
        // The Encoded interface has no error channel: a database that fails here fails the step that asked.
      }).pipe(Effect.orDie) as never,

    poll: (workflow, executionId) =>
      Effect.map(
        Effect.flatMap(calledFor(executionId), (runId) => Effect.orDie(host.pollExit(workflow, runId))),
        (exit) => exit === undefined ? undefined : new Workflow.Complete({ exit })
      ),

    interrupt: (_workflow, executionId) => Effect.flatMap(calledFor(executionId), host.interrupt),
    resume: (_workflow, executionId) => Effect.flatMap(calledFor(executionId), host.resume),

    activityExecute: (activity: Activity.Any, attempt: number) =>
      Effect.flatMap(Step.currentRun, (run) => {
        const nodeId = nodeIdOf("activity", activity.name)
        const exit = Step.run<Exit.Exit<unknown, unknown>, typeof PlainExit.Encoded, never, never, never, never>({
          id: nodeId,
          kind: "activity",
          label: activity.name,
          output: EncodedExit,
          stored: () => storedExitOf(activity),
          // @effect-diagnostics-next-line anyUnknownInErrorContext:off -- the Any interface leaves the channels open
          execute: () => Effect.exit(activity.executeEncoded as Effect.Effect<unknown, unknown>)
        }, noSite).pipe(Effect.provideService(Step.CurrentIteration, attempt - 1))
        const stored = run.stored.get(nodeKey(nodeId, attempt - 1))?.state === "finished"
        return Effect.map(
          stored ? Effect.tap(exit, fits(run, nodeId, exitSchemaOf(activity))) : exit,
          (exit) => new Workflow.Complete({ exit })
        )
      }),

    deferredResult: (deferred: DurableDeferred.Any) =>
      Effect.gen(function*() {
        const run = yield* Step.currentRun
        const { kind, nodeId, wait } = deferredNode(deferred.name)
        const stored = run.stored.get(nodeKey(nodeId, 0))
        // A race looks whether it was won before it starts.
        if (deferred.name.startsWith(racePrefix) && stored?.state !== "finished") return undefined
        const node = yield* awaitNode(
          run,
          {
            nodeId,
            iteration: 0,
            kind,
            label: deferred.name,
            wait,
            ...(kind === "timer" &&
              { withdrawal: [services.timers.remove({ runId: run.runId, nodeId, iteration: 0 })] })
          },
          stored
        )
        return yield* Effect.tap(
          Effect.orDie(exitCodec.decode(node.outputJson)),
          fits(run, nodeId, deferred.exitSchema)
        )
      }),

    deferredDone: (options) =>
      Effect.gen(function*() {
        if (Exit.isInterrupted(options.exit) && host.isStopping(options.executionId)) return
        const outputJson = yield* exitCodec.encode(options.exit)
        yield* refuseSecrets(guard, { field: "deferred", text: outputJson ?? "" })
        const { kind, nodeId } = deferredNode(options.deferredName)
        yield* host.complete({ runId: options.executionId, nodeId, iteration: 0, kind, outputJson }, [])
      }).pipe(Effect.orDie),

    scheduleClock: (_workflow, options: { readonly executionId: string; readonly clock: DurableClock.DurableClock }) =>
      Effect.gen(function*() {
        const run = yield* Effect.serviceOptional(WorkflowEngine.WorkflowInstance).pipe(
          Effect.flatMap((instance) =>
            Effect.provideService(Step.currentRun, WorkflowEngine.WorkflowInstance, instance)
          ),
          Effect.orDie
        )
        const { nodeId } = deferredNode(options.clock.deferred.name)
        const stored = run.stored.get(nodeKey(nodeId, 0))
        if (stored !== undefined && stored.state !== "cancelled") return
        yield* refuseSecretId(run, nodeId)
        const now = yield* Clock.currentTimeMillis
        const firesAtMs = now + Math.ceil(Duration.toMillis(options.clock.duration))
        yield* run.commit({
          units: [services.timers.create({ runId: run.runId, nodeId, iteration: 0, firesAtMs })],
          events: [{
            runId: run.runId,
            type: "TimerCreated",
            timestampMs: now,
            nodeId,
            iteration: 0,
            data: { firesAtMs, timerType: "duration" }
          }]
        }, now)
        services.timersChanged.unsafeOpen()
      })
  })
}

import { WorkflowEngine } from "@effect/workflow"
import {
  Cause,
  Clock,
  Context,
  DefaultServices,
  Effect,
  Either,
  Exit,
  Fiber,
  FiberId,
  FiberRef,
  FiberSet,
  Layer,
  Option,
  Schema,
  Scope
} from "effect"
import { randomUUID } from "node:crypto"
import { Audit } from "../audit/index.ts"
import { Cache } from "../cache/index.ts"
import { Journal, RunStore } from "../journal/index.ts"
import {
  type Actor,
  actorName,
  Bounds,
  codecOf,
  type Hold,
  type Run,
  type RunEventType,
  systemActor,
  tenantOf,
  terminalStatuses
} from "../model/index.ts"
import { Persistence, type PersistenceError, Write } from "../persistence/index.ts"
import { SecretGuard, SecretUser } from "../secrets/index.ts"
import { ApprovalStore } from "./ApprovalStore.ts"
import { Budget } from "./Budget.ts"
import { type CompletedNode, completion } from "./DurableWait.ts"
import { EngineConfig } from "./EngineConfig.ts"
import { RunConflict, WorkflowNotFound } from "./EngineError.ts"
import { ActiveRun, isDurable, type RunServices, type Wait } from "./internal/ActiveRun.ts"
import { type Ending, endingOf, exitOf, outcomeOf, told } from "./internal/Ending.ts"
import { watchEnds } from "./internal/EndWatch.ts"
import { quotaTurns } from "./internal/QuotaTurns.ts"
import { refuseSecrets } from "./internal/SecretCheck.ts"
import { childNodeId, type Definition, makeWorkflowEngine, schemasOf } from "./internal/WorkflowEngineAdapter.ts"
import { Tenancy } from "./Tenancy.ts"
import { TimerStore } from "./TimerStore.ts"

/** The revision of the module that a workflow comes from; the loader of modules annotates it. */
export class ModuleRevision extends Context.Reference<ModuleRevision>()("smithers-orchestrator/engine/ModuleRevision", {
  defaultValue: (): string | null => null
}) {}

/** A run about to be recorded, with its decoded payload. */
export type Launch = Omit<RunStore.NewRun, "ownerId"> & { readonly payload: object }

/**
 * Executes the runs that this process owns. A run is here from the moment its body is started until its end or its
 * parking is committed; a parked run is only a row.
 */
export class Runner extends Context.Tag("smithers-orchestrator/engine/Runner")<
  Runner,
  {
    readonly definition: (workflow: string) => Effect.Effect<Definition, WorkflowNotFound>
    readonly definitions: Effect.Effect<ReadonlyArray<Definition>>
    /** Records a new run and starts it. */
    readonly launch: (
      launch: Launch,
      definition: Definition
    ) => Effect.Effect<void, RunStore.RunExists | RunConflict | PersistenceError>
    /** Takes a run up from its journal; does nothing when it executes already, is held or has ended. */
    readonly resume: (
      runId: string
    ) => Effect.Effect<void, RunStore.RunNotFound | WorkflowNotFound | RunStore.StaleEpoch | PersistenceError>
    /** A node's result has committed: wakes the branch that waits for it, or takes the run up. */
    readonly arrive: (runId: string, node: RunStore.StoredNode) => Effect.Effect<void>
    readonly isActive: (runId: string) => boolean
    /**
     * Records that a run and its children are to end, each together with `also`, and ends them. Answers false when the
     * run does not execute here: then it has ended.
     */
    readonly cancel: (
      runId: string,
      by: Actor,
      also: (runId: string, atMs: number) => ReadonlyArray<Write.Write<unknown>>
    ) => Effect.Effect<boolean, RunStore.RunChanged | PersistenceError>
    /** From now on no step of an executing run starts. Answers false when it does not execute here. */
    readonly holdSteps: (runId: string) => boolean
    /** Undoes `holdSteps`: steps that were held go on. */
    readonly releaseSteps: (runId: string) => void
    /** Commits the result of a wait, once, and hands it to the run. Answers false if it has one, or the run has ended. */
    readonly complete: (
      node: CompletedNode,
      also: ReadonlyArray<Write.Write<unknown>>
    ) => Effect.Effect<boolean, PersistenceError>
    /** Completes when the run has ended, with the run as it then stands. */
    readonly awaitEnd: (runId: string) => Effect.Effect<Run, RunStore.RunNotFound | PersistenceError>
    /** Says that the runs of this process are alive, and takes up those that nobody executes. */
    readonly lookAfter: Effect.Effect<void, PersistenceError>
    /** Opened when a timer was created. */
    readonly timersChanged: Effect.Latch
  }
>() {}

/** The waiting state that a parked run shows: what nobody brings to it first, then people, then events, then time. */
const parkedStatus = (
  waits: ReadonlyArray<Wait>
): "waiting-quota" | "waiting-approval" | "waiting-event" | "waiting-timer" =>
  waits.some(({ kind }) => kind === "quota")
    ? "waiting-quota"
    : waits.some(({ kind }) => kind === "approval")
    ? "waiting-approval"
    : waits.some(({ kind }) => kind === "event")
    ? "waiting-event"
    : "waiting-timer"

/** One turn of the event loop: every fiber that is ready has run when it is over. */
const macrotask = Effect.async<void>((resume) => {
  const handle = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(handle))
})

/** How long bodies may take to stop when the service stops. */
const shutdownGrace = "500 millis"

const encodeText = Schema.encodeSync(Schema.parseJson())

const make = Effect.gen(function*() {
  const config = yield* EngineConfig
  const persistence = yield* Persistence.Persistence
  const journal = yield* Journal.Journal
  const runs = yield* RunStore.RunStore
  const approvals = yield* ApprovalStore
  const timers = yield* TimerStore
  const audit = yield* Audit.Audit
  const cache = yield* Cache.Cache
  const guard = yield* SecretGuard.SecretGuard
  const budget = yield* Budget
  const { stands } = yield* Tenancy
  const timersChanged = Effect.unsafeMakeLatch(false)
  const services: RunServices = { persistence, journal, runs, approvals, timers, cache, guard, budget, timersChanged }
  const ownerId = `pid:${process.pid}:${randomUUID()}`
  const definitions = new Map<string, Definition>()
  const active = new Map<string, ActiveRun>()
  /** Runs whose workflow is missing and that was said. */
  const missing = new Set<string>()
  const fork = yield* FiberSet.makeRuntime<never>()
  const surroundings = yield* Effect.context<never>()
  const surroundingServices = yield* FiberRef.get(DefaultServices.currentServices)
  const clock = yield* Effect.clock
  let closing = false

  const definition = (workflow: string) =>
    Effect.suspend(() => {
      const found = definitions.get(workflow)
      return found === undefined ? new WorkflowNotFound({ workflow }) : Effect.succeed(found)
    })

  const event = (runId: string, type: RunEventType, atMs: number, data?: Readonly<Record<string, unknown>>) =>
    journal.append(told(runId, type, atMs, data))

  /** Commits an end under the run's fence, then tells a parent that waits for it. */
  const end = (run: ActiveRun, how: Ending): Effect.Effect<void, PersistenceError | RunStore.StaleEpoch> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const { events, units } = endingOf(services, run.runId, how, now, run.hasWaited || how._tag === "Cancelled")
      run.close()
      const ended = persistence.write(Write.discard([journal.appendUnder(run.epoch, events), ...units]))
      return run.parentRunId === null ? ended : Effect.zipRight(ended, childEnded(run.runId, run.parentRunId))
    })

  /** The parent reads the child's row; this only wakes it. Repeated when the parent is taken up. */
  const childEnded = (runId: string, parentRunId: string) =>
    complete({ runId: parentRunId, nodeId: childNodeId(runId), iteration: 0, kind: "child", outputJson: null }, [])

  const complete = (node: CompletedNode, also: ReadonlyArray<Write.Write<unknown>>) =>
    Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      yield* persistence.write(Write.all([...completion(services, node, now), ...also]))
      yield* arrive(node.runId, {
        ...node,
        state: "finished",
        attempt: 1,
        errorJson: null,
        startedAtMs: now,
        failedAttempts: 0
      })
      return true
    }).pipe(
      Effect.catchTags({ NodeCompleted: () => Effect.succeed(false), RunChanged: () => Effect.succeed(false) }),
      Effect.uninterruptible
    )

  /** Parks a run unless one of its waits is over: then it is taken up at once. */
  const park = (run: ActiveRun) =>
    Effect.gen(function*() {
      const durable = run.parkedOn.filter((wait) => isDurable(wait.kind))
      const status = run.stop?._tag === "Pause" ? "paused" as const : parkedStatus(run.parkedOn)
      const now = yield* Clock.currentTimeMillis
      const again = Effect.sync(() => {
        run.again = true
      })
      run.close()
      yield* persistence.write(Write.all([
        runs.fence(run.runId, run.epoch),
        runs.mayPark(run.runId, status === "paused"),
        ...(status === "paused"
          ? []
          : durable.map((wait) => runs.stillWaiting(run.runId, wait.nodeId, wait.iteration))),
        runs.setStatus(run.runId, status, {
          ownerId: null,
          ...(status === "paused" && { pauseRequestedAtMs: null, resumesWithoutProgress: 0 as const }),
          ...(status === "waiting-quota" && { resumesWithoutProgress: 0 as const })
        }),
        event(run.runId, "RunStatusChanged", now, { status })
      ])).pipe(Effect.catchTags({ NodeCompleted: () => again, RunChanged: () => again }))
    })

  /** Parks a run for an operator, and says so in the audit. */
  const hold = (
    { runId, workflow }: Pick<ActiveRun, "runId" | "workflow">,
    epoch: number,
    found: Hold,
    type: RunEventType
  ) =>
    Effect.gen(function*() {
      // The reason may quote a value that does not fit.
      const why = { ...found, reason: guard.redact(found.reason) }
      const now = yield* Clock.currentTimeMillis
      yield* persistence.write(Write.all([
        runs.fence(runId, epoch),
        runs.setStatus(runId, "paused", { hold: why, ownerId: null }),
        event(runId, type, now, why),
        event(runId, "RunStatusChanged", now, { status: "paused" }),
        audit.append({
          atMs: now,
          actor: systemActor,
          action: why.kind === "quarantined" ? "run.quarantine" : "run.diverge",
          target: workflow.name,
          runId,
          outcome: "failed",
          reason: why.reason,
          moduleRevision: Context.get(workflow.annotations, ModuleRevision),
          detail: why.nodeId === undefined ? {} : { nodeId: why.nodeId }
        })
      ]))
      yield* Effect.logWarning(`Run ${runId} is held: ${why.reason}`)
    })

  const settle = (
    run: ActiveRun,
    exit: Exit.Exit<unknown, unknown> | undefined
  ): Effect.Effect<void, PersistenceError | RunStore.StaleEpoch> =>
    Effect.suspend(() => {
      const stop = run.stop
      // A body that came to its end although it was asked to stop has come to its end.
      if (stop?._tag !== "Lost" && (stop === undefined || (exit !== undefined && Exit.isSuccess(exit)))) {
        const ended = exit ?? Exit.void
        return Effect.flatMap(
          Effect.zipRight(Scope.close(run.scope, ended), outcomeOf(guard, run.workflow, ended)),
          (how) => end(run, how)
        )
      }
      switch (stop._tag) {
        case "Lost":
          return Effect.logWarning(`Run ${run.runId} is given up by this process: ${stop.cause.message}`)
        case "Cancel":
          return Effect.zipRight(
            Scope.close(run.scope, exit ?? Exit.interrupt(FiberId.none)),
            end(run, { _tag: "Cancelled", acknowledged: exit !== undefined })
          )
        case "Park":
        case "Pause":
          return park(run)
        case "Diverged":
          return hold(
            run,
            run.epoch,
            { kind: "diverged", reason: stop.reason, nodeId: stop.nodeId },
            "ReplayDiverged"
          )
        case "Shutdown":
          return Effect.void
      }
    })

  /** Records how a body ended, once; what cannot be recorded is left to whoever takes the run up next. */
  const conclude = (run: ActiveRun, exit: Exit.Exit<unknown, unknown> | undefined) =>
    Effect.suspend(() => {
      if (run.settling) return Effect.void
      run.settling = true
      return Effect.flatMap(
        Effect.catchAllCause(settle(run, exit), (cause) => {
          const refused = Cause.failureOption(cause)
          return Option.isSome(refused)
            ? Effect.logWarning(`Run ${run.runId} is given up by this process: ${refused.value.message}`)
            : Effect.logError(`Run ${run.runId}: the engine failed`, cause)
        }),
        () => {
          run.close()
          if (active.get(run.runId) === run) active.delete(run.runId)
          if (run.again) resumeLater(run.runId)
          return Effect.forEach(run.leading, cache.abandon, { discard: true })
        }
      )
    })

  /** Parks a run once nothing in it does anything but wait. */
  const parkWhenQuiet = (run: ActiveRun): Effect.Effect<void> =>
    Effect.gen(function*() {
      while (watched.has(run)) {
        watched.delete(run)
        yield* macrotask
        if (run.stop === undefined && !run.settling && (yield* run.isQuiescent)) {
          run.parkedOn = run.waits()
          run.requestStop({ _tag: run.pauseRequested ? "Pause" : "Park" })
        }
      }
      watching.delete(run)
    })
  const watched = new Set<ActiveRun>()
  const watching = new Set<ActiveRun>()
  const lookAt = (run: ActiveRun) => {
    watched.add(run)
    if (watching.has(run) || closing) return
    watching.add(run)
    fork(parkWhenQuiet(run))
  }

  /**
   * The body and the record of its end are one fiber, which only the body's part of can be interrupted. It has the services
   * of this layer: nothing of whoever starts a run, be it a request or a parent's body, is part of it.
   */
  const begin = (run: ActiveRun, { execute }: Definition, payload: object) =>
    Effect.suspend(() => {
      active.set(run.runId, run)
      // It is `running` in the journal: the next process takes it up.
      if (closing) return Effect.void
      return Effect.flatMap(Scope.make(), (scope) => {
        const ownContext = Context.make(WorkflowEngine.WorkflowInstance, run).pipe(
          Context.add(WorkflowEngine.WorkflowEngine, engine),
          Context.add(SecretUser, { runId: run.runId, tenant: run.tenant }),
          Context.add(Scope.Scope, scope)
        )
        const ownServices = Context.add(surroundingServices, Clock.Clock, run.clockOver(clock))
        // @effect-diagnostics-next-line anyUnknownInErrorContext:off -- the body of any workflow; its schema encodes its error
        const body = Effect.exit(Effect.interruptible(Effect.suspend(() => execute(payload, run.runId))))
        const whole = Effect.flatMap(body, (exit) =>
          Effect.flatMap(
            Effect.exit(Scope.close(scope, exit)),
            (closed) => conclude(run, Exit.zipLeft(exit, closed))
          ))
        return Effect.uninterruptible(whole).pipe(
          Effect.mapInputContext((_: Context.Context<never>) => Context.merge(surroundings, ownContext)),
          Effect.forkDaemon,
          Effect.locally(FiberRef.currentSupervisor, run.branches),
          Effect.locally(DefaultServices.currentServices, ownServices),
          Effect.map((fiber) => {
            run.body = fiber
            if (run.stop !== undefined) fiber.unsafeInterruptAsFork(FiberId.none)
          })
        )
      })
    })

  /** A run is registered before the journal says so: whoever finds it there and wants something of it finds it here. */
  const launch = (
    request: Launch,
    definition: Definition
  ): Effect.Effect<void, RunStore.RunExists | RunConflict | PersistenceError> =>
    Effect.uninterruptible(Effect.flatMap(Scope.make(), (scope) => {
      const { actor, createdAtMs, parentRunId, runId, tenant = null, workflow } = request
      const run = new ActiveRun({
        runId,
        parentRunId,
        workflow: definition.workflow,
        scope,
        services,
        actor: active.get(parentRunId ?? "")?.actor ?? actor,
        tenant,
        epoch: 1,
        lookAt
      })
      if (!active.has(runId)) active.set(runId, run)
      const record = Write.discard([
        runs.insert({ ...request, ownerId }),
        event(runId, "RunStarted", createdAtMs, { workflow }),
        audit.append({
          atMs: createdAtMs,
          actor,
          action: "run.launch",
          target: workflow,
          runId,
          orgId: tenant?.orgId,
          projectId: tenant?.projectId,
          outcome: "ok",
          reason: null,
          moduleRevision: request.moduleRevision,
          detail: parentRunId === null ? {} : { parentRunId }
        })
      ])
      const gone = () => new RunConflict({ runId, reason: "OrgDeleted", status: null })
      const recorded = tenant === null
        ? persistence.write(record)
        : persistence.write(Write.all([stands(tenant.orgId, gone), record]))
      return Effect.zipRight(
        Effect.onError(recorded, () => unregister(run)),
        begin(run, definition, request.payload)
      )
    }))

  const unregister = (run: ActiveRun) =>
    Effect.sync(() => {
      if (active.get(run.runId) === run) active.delete(run.runId)
      if (run.again || run.noticed) resumeLater(run.runId)
    })

  const endCancelled = (runId: string) =>
    Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      const last = endingOf(services, runId, { _tag: "Cancelled", acknowledged: true }, now, true)
      yield* persistence.write(Write.all([
        runs.unended(runId),
        runs.bumpEpoch(runId),
        ...last.units,
        ...last.events.map(journal.append)
      ]))
      const run = yield* runs.find(runId)
      if (Option.isSome(run) && run.value.parentRunId !== null) yield* childEnded(runId, run.value.parentRunId)
    }).pipe(Effect.catchTag("RunChanged", () => Effect.void))

  /** Claims a registered run and starts its body from the journal; what arrives meanwhile is kept by the run. */
  const open = (run: ActiveRun, found: Definition, input: unknown) =>
    Effect.gen(function*() {
      const { runId } = run
      const now = yield* Clock.currentTimeMillis
      const [claim] = yield* persistence.write(
        Write.all([runs.claim(runId, ownerId, now), event(runId, "RunResumed", now)])
      )
      run.epoch = claim.epoch
      if (claim.pauseRequested) run.pauseRequested = true
      if (claim.resumesWithoutProgress > config.maxResumesWithoutProgress) {
        const reason = `${claim.resumesWithoutProgress} resumes in a row brought no finished step.`
        return yield* hold(run, claim.epoch, { kind: "quarantined", reason }, "RunQuarantined")
      }
      const payload = yield* Effect.either(Schema.decodeUnknown(schemasOf(found.workflow).payload)(input))
      if (Either.isLeft(payload)) {
        const reason = `The input does not fit the payload schema: ${payload.left.message}`
        return yield* hold(run, claim.epoch, { kind: "diverged", reason }, "ReplayDiverged")
      }
      run.load(yield* runs.storedNodes(runId))
      yield* begin(run, found, payload.right)
    }).pipe(
      // Somebody cancelled, paused or ended it since it was read.
      Effect.catchTag("RunChanged", () =>
        Effect.sync(() => {
          run.again = true
        })),
      Effect.onExit(() => run.body === undefined ? unregister(run) : Effect.void)
    )

  /** Who launched a run, or its outermost ancestor that there is: a child run is launched by the service itself. */
  const launcherOf = ({ actor, parentRunId }: Run): Effect.Effect<Actor, PersistenceError> =>
    parentRunId === null
      ? Effect.succeed(actor)
      : Effect.flatMap(
        runs.find(parentRunId),
        Option.match({ onNone: () => Effect.succeed(actor), onSome: launcherOf })
      )

  const takeUp = (runId: string) =>
    Effect.gen(function*() {
      const row = yield* runs.get(runId)
      if (terminalStatuses.has(row.status)) return
      if (row.cancelRequestedAtMs !== null) return yield* endCancelled(runId)
      if (row.hold !== null || row.status === "paused") return
      const found = yield* definition(row.workflow)
      const actor = yield* launcherOf(row)
      const scope = yield* Scope.make()
      if (active.has(runId) || closing) return active.get(runId)?.notice()
      const { parentRunId } = row
      const { workflow } = found
      const run = new ActiveRun({
        runId,
        parentRunId,
        workflow,
        scope,
        services,
        actor,
        tenant: tenantOf(row),
        epoch: 0,
        lookAt
      })
      active.set(runId, run)
      yield* open(run, found, row.input)
    }).pipe(Effect.uninterruptible)

  const resume = (
    runId: string
  ): Effect.Effect<void, RunStore.RunNotFound | WorkflowNotFound | RunStore.StaleEpoch | PersistenceError> =>
    Effect.suspend(() => {
      const running = active.get(runId)
      if (running === undefined) return closing ? Effect.void : takeUp(runId)
      if (running.stop !== undefined || running.settling) running.again = true
      running.notice()
      return Effect.void
    })

  const resumeLater = (runId: string): void => {
    if (closing) return
    fork(
      Effect.catchAll(
        resume(runId),
        (cause) => Effect.logWarning(`Run ${runId} could not be taken up: ${cause.message}`)
      )
    )
  }

  const arrive = (runId: string, node: RunStore.StoredNode): Effect.Effect<void> =>
    Effect.sync(() => {
      const run = active.get(runId)
      if (run === undefined) resumeLater(runId)
      else if (!run.arrive(node)) run.again = true
    })

  const awaitEnd = yield* watchEnds(services, (runId) => {
    const run = active.get(runId)
    return run?.body !== undefined && !run.settling
  })

  const engine = makeWorkflowEngine({
    services,
    define: (found) =>
      Effect.sync(() => {
        definitions.set(found.workflow.name, found)
      }),
    complete,
    launchChild: (workflow, runId, payload, parentRunId) =>
      Effect.gen(function*() {
        const found = yield* definition(workflow.name)
        const schema = schemasOf(workflow).payload
        const inputJson = yield* Effect.orDie(codecOf(schema).encode(payload))
        yield* refuseSecrets(guard, { field: "input", text: inputJson ?? "", schema })
        const parent = parentRunId === null ? undefined : active.get(parentRunId)
        const tenant = parentRunId === null || parent !== undefined
          ? parent?.tenant
          : Option.getOrNull(yield* runs.tenantOf(parentRunId))
        yield* launch({
          runId,
          parentRunId,
          workflow: workflow.name,
          inputJson: inputJson ?? encodeText({}),
          idempotencyKey: null,
          actor: systemActor,
          startedBy: null,
          moduleRevision: Context.get(workflow.annotations, ModuleRevision),
          createdAtMs: yield* Clock.currentTimeMillis,
          tenant,
          payload
        }, found)
      }),
    parentOf: (runId) =>
      Effect.map(runs.find(runId), Option.match({ onNone: () => null, onSome: ({ parentRunId }) => parentRunId })),
    awaitExit: (workflow, runId) => Effect.flatMap(awaitEnd(runId), (run) => exitOf(workflow, run)),
    pollExit: (workflow, runId) =>
      Effect.flatMap(runs.find(runId), (run) =>
        Option.isSome(run) && terminalStatuses.has(run.value.status)
          ? exitOf(workflow, run.value)
          : Effect.succeed(undefined)),
    interrupt: (runId) => Effect.ignore(cancel(runId, systemActor, () => [])),
    isStopping: (runId) => active.get(runId)?.stop !== undefined,
    resume: (runId) => Effect.sync(() => resumeLater(runId))
  })

  const cancel = (
    runId: string,
    by: Actor,
    also: (runId: string, atMs: number) => ReadonlyArray<Write.Write<unknown>>
  ): Effect.Effect<boolean, RunStore.RunChanged | PersistenceError> =>
    Effect.gen(function*() {
      const now = yield* Clock.currentTimeMillis
      yield* persistence.write(Write.all([
        runs.requestCancel(runId, now),
        event(runId, "RunCancelRequested", now, { by: actorName(by) }),
        ...also(runId, now)
      ]))
      const run = active.get(runId)
      if (run === undefined) {
        yield* endCancelled(runId)
      } else {
        run.requestStop({ _tag: "Cancel" })
        fork(Effect.zipRight(Effect.sleep(config.cancelGrace), Effect.uninterruptible(conclude(run, undefined))))
      }
      for (const child of yield* runs.list({ parentRunId: runId, limit: Bounds.pageRows })) {
        if (!terminalStatuses.has(child.status)) yield* Effect.ignore(cancel(child.runId, by, also))
      }
      return run !== undefined
    })

  const resumeAffordable = quotaTurns({ services, active, launcherOf, resumeLater })

  const lookAfter = Effect.gen(function*() {
    const now = yield* Clock.currentTimeMillis
    yield* persistence.write(runs.touchOwned(ownerId, now))
    for (const runId of yield* runs.idsByStatus(["running"])) {
      const known = active.get(runId)
      if (known !== undefined) {
        // A parent's launch of a run that there is already goes away again: the run is taken up then.
        known.notice()
        continue
      }
      // One run that cannot be taken up is no reason to leave the others alone.
      yield* Effect.catchAllCause(resume(runId), (cause) => {
        const missed = Cause.failureOption(cause)
        if (Option.isNone(missed) || missed.value._tag !== "WorkflowNotFound") {
          return Effect.logWarning(`Run ${runId} could not be taken up.`, cause)
        }
        if (missing.has(runId)) return Effect.void
        missing.add(runId)
        return Effect.logWarning(`Run ${runId} waits: workflow ${missed.value.workflow} is not loaded.`)
      })
    }
    yield* resumeAffordable
    // A branch that was busy outside of any step may have fallen silent without a sign.
    for (const run of active.values()) if (run.waiters.size > 0) lookAt(run)
  })

  yield* Effect.addFinalizer(() =>
    Effect.gen(function*() {
      closing = true
      for (const run of active.values()) run.requestStop({ _tag: "Shutdown" })
      const bodies = [...active.values()].flatMap(({ body }) => body === undefined ? [] : [body])
      // Code that cannot be interrupted is left behind; the journal takes nothing more from it.
      yield* Effect.timeoutOption(Effect.interruptible(Fiber.awaitAll(bodies)), shutdownGrace)
      yield* Effect.ignoreLogged(persistence.write(runs.releaseOwner(ownerId)))
    })
  )

  return Context.make(WorkflowEngine.WorkflowEngine, engine).pipe(Context.add(
    Runner,
    Runner.of({
      definition,
      definitions: Effect.sync(() => [...definitions.values()]),
      launch,
      resume,
      arrive,
      complete,
      isActive: (runId) => active.has(runId),
      cancel,
      holdSteps: (runId) => {
        const run = active.get(runId)
        if (run !== undefined) run.pauseRequested = true
        return run !== undefined
      },
      releaseSteps: (runId) => active.get(runId)?.releaseSteps(),
      awaitEnd,
      lookAfter,
      timersChanged
    })
  ))
})

/** Executes runs; also the `WorkflowEngine` that `@effect/workflow` code registers with. */
export const layer = Layer.scopedContext(make)

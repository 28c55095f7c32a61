import { Clock, Context, DateTime, Effect, JSONSchema, Layer, Option, ParseResult, Schema } from "effect"
import { Audit, type AuditDetail } from "../audit/index.ts"
import { Cache } from "../cache/index.ts"
import { Journal, RunStore } from "../journal/index.ts"
import {
  type Actor,
  actorName,
  type Approval,
  ApprovalOutcome,
  Bounds,
  codecOf,
  IdempotencyKey,
  type Reach,
  type Run,
  RunId,
  StartedBy,
  type Tenant,
  terminalStatuses
} from "../model/index.ts"
import { Persistence, type PersistenceError, Write } from "../persistence/index.ts"
import { SecretGuard } from "../secrets/index.ts"
import { ApprovalPaths, type DeclaredApproval } from "./ApprovalPaths.ts"
import { type ApprovalPath, ApprovalStore } from "./ApprovalStore.ts"
import { Budget } from "./Budget.ts"
import { completion } from "./DurableWait.ts"
import {
  DecisionRefused,
  InvalidInput,
  NodeNotFound,
  QuotaExceeded,
  RunConflict,
  type WorkflowNotFound
} from "./EngineError.ts"
import { newRunId } from "./internal/NewRunId.ts"
import { refuseSecrets } from "./internal/SecretCheck.ts"
import { type Definition, schemasOf } from "./internal/WorkflowEngineAdapter.ts"
import { ModuleRevision, Runner } from "./Runner.ts"
import { Tenancy } from "./Tenancy.ts"
import { TimerStore } from "./TimerStore.ts"

export interface LaunchOptions {
  readonly workflow: string
  readonly input: unknown
  /** A UUID (version 7) unless given. */
  readonly runId?: string | undefined
  /** The same key of the same tenant for the same workflow answers the run that was launched with it first. */
  readonly idempotencyKey?: string | undefined
  readonly startedBy?: StartedBy | undefined
  /** Whose the run is, its children included; the operator's unless given. Whether there is such a one is not looked at. */
  readonly tenant?: Tenant | null | undefined
  readonly actor: Actor
}

export interface Launched {
  readonly runId: string
  readonly workflow: string
  /** True when the idempotency key named an earlier run: nothing was started. */
  readonly existing: boolean
}

/** A workflow that can be launched. */
export interface WorkflowInfo {
  readonly key: string
  readonly title: string | null
  readonly description: string | null
  /** JSON Schema of the launch input, if the payload schema has one. */
  readonly inputSchema: unknown
  readonly moduleRevision: string | null
  /** Where it asks for approval, as it says itself; null: it does not say. */
  readonly approvals: ReadonlyArray<DeclaredApproval> | null
}

/** What keeps a run from going on, if anything. */
export type Blocked =
  | { readonly kind: "approval"; readonly nodeId: string; readonly requestedAtMs: number }
  | { readonly kind: "event"; readonly nodeId: string }
  | { readonly kind: "timer"; readonly nodeId: string; readonly wakeAtMs: number }

/** A run, how its nodes stand, and what it waits for. */
export interface RunView {
  readonly run: Run
  /** Count of nodes per state. */
  readonly summary: Readonly<Record<string, number>>
  readonly blocked: Blocked | null
}

export interface CancelOutcome {
  readonly runId: string
  /** `requested`: a running task is being interrupted; `cancelled`: the run was parked and ended at once. */
  readonly outcome: "requested" | "cancelled" | "already-cancelled"
}

export interface Decision {
  readonly runId: string
  readonly nodeId: string
  readonly iteration: number
  readonly approved: boolean
  readonly note?: string | undefined
  /** Handed to the workflow as it is, JSON only. */
  readonly value?: unknown
  /** When given, the decision holds only for a payload of this SHA-256: what the approver saw. */
  readonly payloadSha256?: string | undefined
  readonly actor: Actor
  /** Whether the actor holds a scope that the approval asks for; literally, or by `*`, unless given. */
  readonly holds?: ((scope: string) => boolean) | undefined
}

/**
 * Durable execution of workflows.
 *
 * A task whose completion was acknowledged is never executed again; a task that was executing when the process died runs
 * again (at least once). Every answer of an operation that changes something comes after its commit.
 */
export class Engine extends Context.Tag("smithers-orchestrator/engine/Engine")<
  Engine,
  {
    /** The loaded workflows, by key. */
    readonly workflows: Effect.Effect<ReadonlyArray<WorkflowInfo>>
    /** Answers when the run is durable; its body goes on in the background. Launching twice with one id changes nothing. */
    readonly launch: (
      options: LaunchOptions
    ) => Effect.Effect<Launched, WorkflowNotFound | InvalidInput | RunConflict | QuotaExceeded | PersistenceError>
    readonly view: (runId: string) => Effect.Effect<RunView, RunStore.RunNotFound | PersistenceError>
    /** Interrupts running tasks, waits `cancelGrace`, then abandons them. Recorded as requested, acknowledged, finished. */
    readonly cancel: (
      runId: string,
      actor: Actor
    ) => Effect.Effect<CancelOutcome, RunStore.RunNotFound | RunConflict | PersistenceError>
    /**
     * Cancels every run of an organization that has not ended, unless that was asked for before; answers whether some
     * have not ended yet. Meant for one that was deleted: of another one new runs may begin meanwhile.
     */
    readonly cancelOrg: (orgId: string, actor: Actor) => Effect.Effect<boolean, PersistenceError>
    /** Starts no further task; parks as `paused` when those in flight are done. */
    readonly pause: (
      runId: string,
      actor: Actor
    ) => Effect.Effect<void, RunStore.RunNotFound | RunConflict | PersistenceError>
    /**
     * Goes on with a paused, held or interrupted run. Answers false when the run has ended, or is about to since its
     * organization was deleted.
     */
    readonly resume: (
      runId: string,
      actor: Actor
    ) => Effect.Effect<boolean, RunStore.RunNotFound | WorkflowNotFound | PersistenceError>
    /** Executes a failed node again, and with `resetDependents` every other failed or cancelled one; answers their ids. */
    readonly retry: (
      options: {
        readonly runId: string
        readonly nodeId: string
        readonly iteration: number
        readonly resetDependents: boolean
        readonly actor: Actor
      }
    ) => Effect.Effect<
      ReadonlyArray<string>,
      RunStore.RunNotFound | NodeNotFound | RunConflict | WorkflowNotFound | PersistenceError
    >
    /** Pending approvals, oldest first. */
    readonly approvals: (
      filter: {
        readonly runId?: string | undefined
        readonly workflow?: string | undefined
        readonly orgId?: string | undefined
        readonly projectId?: string | undefined
        readonly reach?: Reach | null | undefined
        readonly limit?: number | undefined
      }
    ) => Effect.Effect<ReadonlyArray<Approval>, PersistenceError>
    /** What workflows have asked approvals for: of each node that ever did the newest request, at most 10,000. */
    readonly approvalPaths: Effect.Effect<ReadonlyArray<ApprovalPath>, PersistenceError>
    /** Decides once; the run goes on in the background. Never lost, whether the run has parked yet or not. */
    readonly decide: (
      decision: Decision
    ) => Effect.Effect<Approval, RunStore.RunNotFound | DecisionRefused | InvalidInput | PersistenceError>
    /**
     * Deletes an ended run and everything that hangs on it, its cached results of scope `run` included, with an audit
     * row in the same commit. What it shares with other runs stays.
     */
    readonly remove: (
      runId: string,
      actor: Actor
    ) => Effect.Effect<void, RunStore.RunNotFound | RunConflict | PersistenceError>
    /** Completes when the run has ended, with the run as it then stands. */
    readonly awaitEnd: (runId: string) => Effect.Effect<Run, RunStore.RunNotFound | PersistenceError>
  }
>() {}

/** What a workflow is called in lists; annotate a workflow with them. */
export class Title extends Context.Reference<Title>()("smithers-orchestrator/engine/Title", {
  defaultValue: (): string | null => null
}) {}

export class Description extends Context.Reference<Description>()("smithers-orchestrator/engine/Description", {
  defaultValue: (): string | null => null
}) {}

/** Runs of an organization that are looked up in one go, and those of them that are cancelled at once. */
const cancelBatch = 256
const cancelConcurrency = 32

const isRunId = Schema.is(RunId)
const isIdempotencyKey = Schema.is(IdempotencyKey)
const encodeStartedBy = Schema.encodeSync(Schema.parseJson(StartedBy))
const encodeDecision = Schema.encodeUnknown(Schema.parseJson())
const outcomeCodec = codecOf(ApprovalOutcome)

const bounded = (field: string, text: string, bound: number) =>
  Buffer.byteLength(text) <= bound
    ? Effect.void
    : new InvalidInput({ field, problem: `has ${Buffer.byteLength(text)} bytes, at most ${bound} are accepted` })

const actionOf = ({ approved }: Decision) => approved ? "approval.grant" : "approval.deny"

const make = Effect.gen(function*() {
  const persistence = yield* Persistence.Persistence
  const journal = yield* Journal.Journal
  const runs = yield* RunStore.RunStore
  const approvals = yield* ApprovalStore
  const timers = yield* TimerStore
  const audit = yield* Audit.Audit
  const cache = yield* Cache.Cache
  const runner = yield* Runner
  const guard = yield* SecretGuard.SecretGuard
  const budget = yield* Budget
  const { stands } = yield* Tenancy

  /** A value outside of its schema, named by its path. What is wrong about it may quote it. */
  const invalid = (field: string) => (error: ParseResult.ParseError) => {
    const [issue] = ParseResult.ArrayFormatter.formatErrorSync(error)
    return new InvalidInput({
      field: guard.redact([field, ...(issue?.path ?? [])].map(String).join(".")),
      problem: guard.redact(issue?.message ?? error.message)
    })
  }

  const operated = (
    atMs: number,
    actor: Actor,
    action: string,
    target: string,
    { moduleRevision, orgId, projectId, runId }:
      & Pick<Run, "orgId" | "projectId" | "moduleRevision">
      & { readonly runId: string },
    detail: AuditDetail = {},
    reason: string | null = null
  ) =>
    audit.append({
      atMs,
      actor,
      action,
      target,
      runId,
      orgId,
      projectId,
      outcome: "ok",
      reason,
      moduleRevision,
      detail
    })

  const info = ({ workflow }: Definition): WorkflowInfo => ({
    key: workflow.name,
    title: Context.get(workflow.annotations, Title),
    description: Context.get(workflow.annotations, Description),
    inputSchema: Option.getOrNull(Option.liftThrowable(() => JSONSchema.make(schemasOf(workflow).payload))()),
    moduleRevision: Context.get(workflow.annotations, ModuleRevision),
    approvals: Context.get(workflow.annotations, ApprovalPaths)
  })

  const launch = (options: LaunchOptions) =>
    Effect.gen(function*() {
      const definition = yield* runner.definition(options.workflow)
      if (options.runId !== undefined && !isRunId(options.runId)) {
        return yield* new InvalidInput({
          field: "runId",
          problem: "must be 1 to 64 characters of A-Z a-z 0-9 _ . - and not start with a dot"
        })
      }
      if (options.idempotencyKey !== undefined && !isIdempotencyKey(options.idempotencyKey)) {
        return yield* new InvalidInput({ field: "idempotencyKey", problem: "must have 1 to 256 characters" })
      }
      const schema = schemasOf(definition.workflow).payload
      const codec = codecOf(schema)
      const payload = yield* Effect.mapError(Schema.decodeUnknown(schema)(options.input), invalid("input"))
      const inputJson = (yield* Effect.mapError(codec.encode(payload), invalid("input"))) ?? "{}"
      yield* bounded("input", inputJson, Bounds.runInputBytes)
      yield* refuseSecrets(guard, { field: "input", text: inputJson, schema })
      yield* refuseSecrets(guard, { field: "runId", text: options.runId ?? "" })
      yield* refuseSecrets(guard, { field: "idempotencyKey", text: options.idempotencyKey ?? "" })
      if (options.startedBy !== undefined) {
        yield* refuseSecrets(guard, { field: "startedBy", text: encodeStartedBy(options.startedBy) })
      }
      const createdAtMs = yield* Clock.currentTimeMillis
      const runId = options.runId ?? newRunId(createdAtMs)
      const key = options.idempotencyKey ?? null
      const tenant = options.tenant ?? null
      const launchedBefore = Effect.map(
        key === null ? Effect.succeedNone : runs.findByIdempotencyKey(options.workflow, key, tenant),
        Option.filter((earlier) => options.runId === undefined || options.runId === earlier.runId)
      )
      const existing = (earlier: Run): Launched => ({
        runId: earlier.runId,
        workflow: options.workflow,
        existing: true
      })
      const reached = tenant === null ? null : yield* budget.exhausted(tenant)
      if (tenant !== null && reached !== null) {
        const earlier = yield* launchedBefore
        if (Option.isSome(earlier)) return existing(earlier.value)
        const error = new QuotaExceeded({ ...tenant, ...reached })
        const entry = { actor: options.actor, action: "run.launch", target: options.workflow, runId: null, ...tenant }
        yield* audit.record({ ...entry, outcome: "refused", reason: error.message, detail: {} })
        return yield* error
      }
      return yield* runner.launch({
        runId,
        parentRunId: null,
        workflow: options.workflow,
        inputJson,
        idempotencyKey: key,
        actor: options.actor,
        startedBy: options.startedBy ?? null,
        moduleRevision: Context.get(definition.workflow.annotations, ModuleRevision),
        createdAtMs,
        tenant,
        payload
      }, definition).pipe(
        Effect.as<Launched>({ runId, workflow: options.workflow, existing: false }),
        Effect.catchTag("RunExists", () =>
          Effect.flatMap(
            launchedBefore,
            Option.match({
              onNone: () => Effect.fail(new RunConflict({ runId, reason: "Exists", status: null })),
              onSome: (earlier) => Effect.succeed(existing(earlier))
            })
          ))
      )
    })

  const blockedBy = (run: Run): Effect.Effect<Blocked | null, PersistenceError> =>
    Effect.gen(function*() {
      const waiting = Option.getOrUndefined(yield* runs.waitingNode(run.runId))
      if (waiting === undefined) return null
      const { nodeId, state, updatedAtMs } = waiting
      if (state === "waiting-approval") return { kind: "approval", nodeId, requestedAtMs: updatedAtMs }
      if (state !== "waiting-timer") return { kind: "event", nodeId }
      const timer = yield* timers.ofRun(run.runId)
      return { kind: "timer", nodeId, wakeAtMs: timer?.firesAtMs ?? updatedAtMs }
    })

  const view = (runId: string): Effect.Effect<RunView, RunStore.RunNotFound | PersistenceError> =>
    Effect.flatMap(runs.inspect(runId), ({ run, summary }) =>
      run.status.startsWith("waiting-")
        ? Effect.map(blockedBy(run), (blocked) => ({ run, summary, blocked }))
        : Effect.succeed({ run, summary, blocked: null }))

  const refuseEnded = (run: Run) =>
    terminalStatuses.has(run.status)
      ? new RunConflict({ runId: run.runId, reason: "NotActive", status: run.status })
      : Effect.void

  const cancel = (runId: string, actor: Actor): Effect.Effect<
    CancelOutcome,
    RunStore.RunNotFound | RunConflict | PersistenceError
  > =>
    Effect.gen(function*() {
      const run = yield* runs.get(runId)
      if (run.status === "cancelled") return { runId, outcome: "already-cancelled" as const }
      yield* refuseEnded(run)
      const executing = yield* runner.cancel(
        runId,
        actor,
        (each, now) => [
          // A child's module may be another one, which is not looked up for this.
          operated(now, actor, "run.cancel", each, {
            ...run,
            runId: each,
            moduleRevision: each === runId ? run.moduleRevision : null
          })
        ]
      )
      if (!executing) {
        const ended = yield* runs.get(runId)
        if (ended.status !== "cancelled") yield* refuseEnded(ended)
      }
      return { runId, outcome: executing ? "requested" as const : "cancelled" as const }
    }).pipe(Effect.catchTag("RunChanged", () => cancel(runId, actor)))

  const cancelOrg = (orgId: string, actor: Actor): Effect.Effect<boolean, PersistenceError> =>
    Effect.gen(function*() {
      for (;;) {
        const open = yield* runs.uncancelled(orgId, cancelBatch)
        if (open.length === 0) return yield* runs.hasUnended(orgId)
        yield* Effect.forEach(
          open,
          // It has ended, or was removed, since it was looked up.
          (runId) =>
            Effect.catchTags(cancel(runId, actor), { RunConflict: () => Effect.void, RunNotFound: () => Effect.void }),
          { concurrency: cancelConcurrency, discard: true }
        )
      }
    })

  const pause = (runId: string, actor: Actor): Effect.Effect<
    void,
    RunStore.RunNotFound | RunConflict | PersistenceError
  > =>
    Effect.gen(function*() {
      const run = yield* runs.get(runId)
      if (run.status !== "running") {
        return yield* new RunConflict({ runId, reason: "NotActive", status: run.status })
      }
      const now = yield* Clock.currentTimeMillis
      yield* persistence.write(Write.all([
        runs.inStatus(runId, "running"),
        runs.requestPause(runId, now),
        journal.append({ runId, type: "RunPauseRequested", timestampMs: now, data: { by: actorName(actor) } }),
        operated(now, actor, "run.pause", runId, run)
      ]))
      runner.holdSteps(runId)
    }).pipe(Effect.catchTag("RunChanged", () => pause(runId, actor)))

  /** Puts an ended, paused or held run back to work under the same id. */
  const restart = (
    run: Run,
    actor: Actor,
    action: string,
    units: (now: number) => ReadonlyArray<Write.Write<unknown>>
  ) =>
    Effect.gen(function*() {
      const { orgId, runId, status } = run
      const gone = () => new RunConflict({ runId, reason: "OrgDeleted", status })
      const now = yield* Clock.currentTimeMillis
      yield* persistence.write(Write.all([
        orgId === null ? Write.none : stands(orgId, gone),
        runs.inStatus(runId, status),
        ...units(now),
        runs.setStatus(runId, "running", {
          hold: null,
          error: null,
          finishedAtMs: null,
          resumesWithoutProgress: 0,
          pauseRequestedAtMs: null,
          cancelRequestedAtMs: null
        }),
        journal.append({
          runId,
          type: "RunStatusChanged",
          timestampMs: now,
          data: { status: "running", by: actorName(actor) }
        }),
        operated(now, actor, action, runId, run)
      ]))
      yield* Effect.catchTag(runner.resume(runId), "StaleEpoch", () => Effect.void)
    })

  const resume = (runId: string, actor: Actor): Effect.Effect<
    boolean,
    RunStore.RunNotFound | WorkflowNotFound | PersistenceError
  > =>
    Effect.gen(function*() {
      const run = yield* runs.get(runId)
      if (terminalStatuses.has(run.status)) return false
      yield* runner.definition(run.workflow)
      if (run.status !== "running" || !runner.isActive(runId)) {
        yield* restart(run, actor, "run.resume", () => [])
        return true
      }
      const now = yield* Clock.currentTimeMillis
      yield* persistence.write(Write.all([
        runs.inStatus(runId, "running"),
        runs.requestPause(runId, null),
        operated(now, actor, "run.resume", runId, run)
      ]))
      runner.releaseSteps(runId)
      return true
    }).pipe(
      Effect.catchTag("RunConflict", () => Effect.succeed(false)),
      Effect.catchTag("RunChanged", () => resume(runId, actor))
    )

  const retry = (options: {
    readonly runId: string
    readonly nodeId: string
    readonly iteration: number
    readonly resetDependents: boolean
    readonly actor: Actor
  }) =>
    Effect.gen(function*() {
      const { actor, iteration, nodeId, runId } = options
      const run = yield* runs.get(runId)
      if (run.status === "running" || run.status === "finished") {
        return yield* new RunConflict({ runId, reason: "Active", status: run.status })
      }
      yield* runner.definition(run.workflow)
      const nodes = yield* runs.nodes(runId)
      const failed = nodes.filter(({ state }) => state === "failed" || state === "cancelled")
      const target = nodes.find((node) => node.nodeId === nodeId && node.iteration === iteration)
      if (target === undefined) return yield* new NodeNotFound({ runId, nodeId, iteration })
      if (!failed.includes(target)) {
        return yield* new RunConflict({ runId, reason: "NotFailed", status: target.state })
      }
      const reset = options.resetDependents ? failed : [target]
      yield* restart(run, actor, "run.retry", (now) =>
        reset.flatMap((node) => [
          runs.resetNode(runId, node.nodeId, node.iteration, now),
          journal.append({
            runId,
            type: "RetryTaskStarted",
            timestampMs: now,
            nodeId: node.nodeId,
            iteration: node.iteration
          })
        ]))
      return reset.map((node) => node.nodeId)
    }).pipe(Effect.catchTag("RunChanged", ({ runId }) => new RunConflict({ runId, reason: "Active", status: null })))

  const decide = (decision: Decision) =>
    Effect.gen(function*() {
      const { actor, iteration, nodeId, runId } = decision
      const noteLength = decision.note?.length ?? 0
      if (noteLength > Bounds.noteChars) {
        return yield* new InvalidInput({
          field: "note",
          problem: `has ${noteLength} characters, at most ${Bounds.noteChars} are accepted`
        })
      }
      const run = yield* runs.get(runId)
      const at = { runId, nodeId, iteration }
      const asked = Option.getOrUndefined(yield* approvals.find(runId, nodeId, iteration))
      if (asked === undefined || asked.status === "cancelled") {
        return yield* new DecisionRefused({ ...at, reason: "NotWaiting", status: null })
      }
      if (asked.status !== "requested") {
        return yield* new DecisionRefused({ ...at, reason: "AlreadyDecided", status: asked.status })
      }
      if (asked.allowedUsers.length > 0 && (actor.userId === null || !asked.allowedUsers.includes(actor.userId))) {
        return yield* new DecisionRefused({ ...at, reason: "NotAllowed", status: null })
      }
      const holds = decision.holds ?? ((scope) => actor.scopes.includes(scope) || actor.scopes.includes("*"))
      if (asked.allowedScopes.length > 0 && !asked.allowedScopes.some(holds)) {
        return yield* new DecisionRefused({ ...at, reason: "NotAllowed", status: null })
      }
      if (decision.payloadSha256 !== undefined && decision.payloadSha256 !== asked.payloadSha256) {
        return yield* new DecisionRefused({ ...at, reason: "PayloadChanged", status: null })
      }
      const now = yield* Clock.currentTimeMillis
      const decidedBy = actorName(actor)
      const note = decision.note ?? null
      const decisionJson = decision.value === undefined
        ? null
        : yield* Effect.mapError(encodeDecision(decision.value), invalid("decision"))
      yield* bounded("decision", decisionJson ?? "", Bounds.runInputBytes)
      yield* refuseSecrets(guard, { field: "decision", text: decisionJson ?? "" })
      yield* refuseSecrets(guard, { field: "note", text: note ?? "" })
      const outputJson = yield* Effect.orDie(outcomeCodec.encode({
        approved: decision.approved,
        note,
        decidedBy,
        decidedAt: DateTime.formatIso(DateTime.unsafeMake(now)),
        ...(decision.value === undefined ? {} : { value: decision.value })
      }))
      const changed = () => new RunStore.RunChanged({ runId })
      yield* persistence.write(Write.all([
        approvals.decide({
          ...at,
          payloadSha256: asked.payloadSha256,
          approved: decision.approved,
          decidedAtMs: now,
          decidedBy,
          note,
          decisionJson
        }, changed),
        journal.append({
          ...at,
          type: decision.approved ? "ApprovalGranted" : "ApprovalDenied",
          timestampMs: now,
          data: { by: decidedBy, payloadSha256: asked.payloadSha256 }
        }),
        ...completion({ runs, journal }, { ...at, kind: "approval", outputJson }, now),
        operated(now, actor, actionOf(decision), nodeId, run, { payloadSha256: asked.payloadSha256, iteration }, note)
      ]))
      yield* runner.arrive(runId, {
        nodeId,
        iteration,
        kind: "approval",
        state: "finished",
        attempt: 1,
        outputJson,
        errorJson: null,
        startedAtMs: asked.requestedAtMs,
        failedAttempts: 0
      })
      return {
        ...asked,
        status: decision.approved ? "approved" as const : "denied" as const,
        decidedAtMs: now,
        decidedBy,
        note,
        decision: decision.value ?? null
      }
    }).pipe(
      Effect.uninterruptible,
      Effect.catchTags({ RunChanged: () => refusal(decision), NodeCompleted: () => refusal(decision) }),
      Effect.tapErrorTag("DecisionRefused", ({ message }) => {
        const { actor, iteration, nodeId, runId } = decision
        const entry = { actor, action: actionOf(decision), target: nodeId, runId, detail: { iteration } }
        return Effect.flatMap(runs.tenantOf(runId), (found) =>
          audit.record({ ...entry, ...Option.getOrNull(found), outcome: "refused", reason: message }))
      })
    )

  /** Why a decision that was possible a moment ago is not any more. */
  const refusal = ({ iteration, nodeId, runId }: Decision) =>
    Effect.flatMap(approvals.find(runId, nodeId, iteration), (found) => {
      const status = Option.match(found, { onNone: () => "cancelled" as const, onSome: (asked) => asked.status })
      const at = { runId, nodeId, iteration }
      switch (status) {
        case "approved":
        case "denied":
          return new DecisionRefused({ ...at, reason: "AlreadyDecided", status })
        case "cancelled":
          return new DecisionRefused({ ...at, reason: "NotWaiting", status: null })
        case "requested":
          return new DecisionRefused({ ...at, reason: "PayloadChanged", status: null })
      }
    })

  const remove = (runId: string, actor: Actor) =>
    Effect.gen(function*() {
      const run = yield* runs.get(runId)
      const children = yield* runs.list({ parentRunId: runId, limit: Bounds.pageRows })
      const busy = [run, ...children].find((each) => !terminalStatuses.has(each.status))
      if (busy !== undefined) {
        return yield* new RunConflict({ runId: busy.runId, reason: "Active", status: busy.status })
      }
      const now = yield* Clock.currentTimeMillis
      yield* persistence.write(Write.all([
        runs.inStatus(runId, run.status),
        runs.remove(runId),
        cache.forget(runId),
        operated(now, actor, "run.delete", runId, run, { workflow: run.workflow, status: run.status })
      ]))
    }).pipe(Effect.catchTag("RunChanged", () => new RunConflict({ runId, reason: "Active", status: null })))

  return Engine.of({
    workflows: Effect.map(
      runner.definitions,
      (definitions) => definitions.map(info).sort((a, b) => a.key < b.key ? -1 : 1)
    ),
    launch,
    view,
    cancel,
    cancelOrg,
    pause,
    resume,
    retry,
    approvals: approvals.pending,
    approvalPaths: approvals.paths,
    decide,
    remove,
    awaitEnd: runner.awaitEnd
  })
})

/** Operations on runs; what executes them is `Runner.layer`, what looks after them `Supervisor.layer`. */
export const layer = Layer.effect(Engine, make)

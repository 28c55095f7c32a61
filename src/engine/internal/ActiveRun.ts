import type { Workflow } from "@effect/workflow"
import type { WorkflowEngine } from "@effect/workflow"
import {
  type Cause,
  type Clock,
  type Context,
  Deferred,
  type Duration,
  Effect,
  type Exit,
  Fiber,
  FiberId,
  FiberStatus,
  type Option,
  RuntimeFlags,
  type Scope,
  Supervisor
} from "effect"
import type { Cache, Identity, Ticket } from "../../cache/index.ts"
import type { Journal, RunStore } from "../../journal/index.ts"
import { type Actor, nodeKey, type Tenant } from "../../model/index.ts"
import { type Persistence, type PersistenceError, Write } from "../../persistence/index.ts"
import type { SecretGuard } from "../../secrets/index.ts"
import type { ApprovalStore } from "../ApprovalStore.ts"
import type { Budget, Spender } from "../Budget.ts"
import { DuplicateNode } from "../TaskFailed.ts"
import type { TimerStore } from "../TimerStore.ts"
import { identityOf } from "./RunIdentity.ts"

/** What a run that executes needs of the world. */
export interface RunServices {
  readonly persistence: Persistence.Persistence["Type"]
  readonly journal: Journal.Journal["Type"]
  readonly runs: RunStore.RunStore["Type"]
  readonly approvals: ApprovalStore["Type"]
  readonly timers: TimerStore["Type"]
  readonly cache: Cache.Cache["Type"]
  /** Asked before anything of an author or a caller is stored. */
  readonly guard: SecretGuard.SecretGuard["Type"]
  readonly budget: Budget["Type"]
  /** Opened when a timer was created: whoever fires timers looks again. */
  readonly timersChanged: Effect.Latch
}

/**
 * Why the body of a run is being stopped; what is recorded afterwards depends on it.
 *
 * - `park`: every branch waits for something durable
 * - `pause`, `cancel`: somebody asked for it
 * - `diverged`: the journal does not fit the code
 * - `lost`: the journal refused us (a later epoch owns the run, or the database failed): nothing more is written
 * - `shutdown`: the process ends; the run stays `running` and is taken up again at the next start
 */
type Stop =
  | { readonly _tag: "Park" }
  | { readonly _tag: "Pause" }
  | { readonly _tag: "Cancel" }
  | { readonly _tag: "Diverged"; readonly nodeId: string; readonly reason: string }
  | { readonly _tag: "Lost"; readonly cause: PersistenceError | RunStore.StaleEpoch }
  | { readonly _tag: "Shutdown" }

export type WaitKind = "approval" | "event" | "timer" | "pause" | "quota"

/** Of the others no row knows. */
export const isDurable = (kind: WaitKind): boolean => kind !== "pause" && kind !== "quota"

/** A node that a branch waits for. */
export interface Wait {
  readonly nodeId: string
  readonly iteration: number
  readonly kind: WaitKind
}

/** What a run commits at once: rows, and the events that tell of them. */
export interface Entry<E = never> {
  readonly units: ReadonlyArray<Write.Write<unknown, E>>
  readonly events: ReadonlyArray<Journal.NewEvent>
}

interface Waiter extends Wait {
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
  readonly arrived: Deferred.Deferred<RunStore.StoredNode>
}

/** Counts the live fibers of a body and who forked whom, so that a run parks exactly when every branch waits. */
class Branches extends Supervisor.AbstractSupervisor<void> {
  override readonly value = Effect.void
  private readonly onIdle: () => void
  /** Grows with every fiber that starts or ends. */
  changes = 0
  readonly live = new Map<
    Fiber.RuntimeFiber<unknown, unknown>,
    { readonly parent: Fiber.RuntimeFiber<unknown, unknown> | undefined; children: number }
  >()

  constructor(onIdle: () => void) {
    super()
    this.onIdle = onIdle
  }

  override onStart<A, E, R>(
    _context: Context.Context<R>,
    _effect: Effect.Effect<A, E, R>,
    parent: Option.Option<Fiber.RuntimeFiber<unknown, unknown>>,
    fiber: Fiber.RuntimeFiber<A, E>
  ): void {
    this.changes++
    const parentFiber = parent._tag === "Some" ? parent.value : undefined
    this.live.set(fiber, { parent: parentFiber, children: 0 })
    const entry = parentFiber && this.live.get(parentFiber)
    if (entry) entry.children++
  }

  override onEnd<A, E>(_exit: Exit.Exit<A, E>, fiber: Fiber.RuntimeFiber<A, E>): void {
    this.changes++
    const parent = this.live.get(fiber)?.parent
    this.live.delete(fiber)
    const entry = parent && this.live.get(parent)
    if (entry) entry.children--
    this.onIdle()
  }
}

/** Nodes between two keyframes of a small run; a large run keeps one per doubling of its work. */
const leastFramesBetweenKeyframes = 128

/**
 * A run that executes in this process: the workflow instance that `@effect/workflow` code sees, the journal entries it
 * replays from, and what its branches wait for.
 */
export class ActiveRun {
  readonly executionId: string
  readonly parentRunId: string | null
  readonly workflow: Workflow.Any
  readonly scope: Scope.CloseableScope
  readonly services: RunServices
  /** Who launched it, or its outermost ancestor: a child run is trusted as its parent is. */
  readonly actor: Actor
  /** Whose it is; null: the operator's. */
  readonly tenant: Tenant | null
  /** Whether its budget is asked before each attempt. */
  readonly limited: boolean
  /** Executions of this run that equal ones of any run wait for. */
  readonly leading = new Set<Ticket>()
  /** Under which the run is owned; 0 until it is claimed. */
  epoch: number
  /** What the journal has of earlier executions, and of this one as it goes on. */
  readonly stored = new Map<string, RunStore.StoredNode>()
  /** This run, also on the copies of it that `@effect/workflow` makes of an instance. */
  readonly run = this

  // The part of `WorkflowInstance` that @effect/workflow itself writes to.
  suspended = false
  interrupted = false
  cause: Cause.Cause<never> | undefined = undefined
  readonly activityState: WorkflowEngine.WorkflowInstance["Type"]["activityState"] = {
    count: 0,
    latch: Effect.unsafeMakeLatch()
  }

  readonly branches = new Branches(() => {
    if (this.waiters.size > 0) this.lookAt(this)
  })
  readonly waiters = new Map<string, ReadonlyArray<Waiter>>()
  body: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined
  stop: Stop | undefined = undefined
  /** How the body ended is being recorded: nothing can stop it any more. */
  settling = false
  /** What every branch waited for when it was decided to park. */
  parkedOn: ReadonlyArray<Wait> = []
  pauseRequested = false
  /** Something arrived while the run was parking: it has to be taken up again at once. */
  again = false
  /** Somebody wanted something of it before its body began: if it never begins, whatever is there has to be looked at. */
  noticed = false
  /** It opened waits, now or in an earlier execution: some may be open still when it ends. */
  hasWaited = false
  /** Its end or its parking is recorded: fibers that outlived the body get nothing more done. */
  closed = false
  /** What is under way: steps, commits, sleeps of the body. A run parks only when there is nothing. */
  private busy = 0
  private changes = 0

  /** Called when the run may have nothing left to do but wait. */
  private readonly lookAt: (run: ActiveRun) => void
  private readonly claims = new Map<string, { readonly stack?: string }>()
  private progressNoted = false
  private framesToKeyframe = leastFramesBetweenKeyframes

  constructor(options: {
    readonly runId: string
    readonly parentRunId: string | null
    readonly workflow: Workflow.Any
    readonly scope: Scope.CloseableScope
    readonly services: RunServices
    readonly actor: Actor
    readonly tenant: Tenant | null
    readonly epoch: number
    readonly lookAt: (run: ActiveRun) => void
  }) {
    this.executionId = options.runId
    this.parentRunId = options.parentRunId
    this.workflow = options.workflow
    this.scope = options.scope
    this.services = options.services
    this.actor = options.actor
    this.tenant = options.tenant
    this.limited = options.services.budget.limits(this.spender)
    this.epoch = options.epoch
    this.lookAt = options.lookAt
  }

  get runId(): string {
    return this.executionId
  }

  /** On whose behalf its tasks use the cache. */
  get identity(): Identity {
    return identityOf(this.workflow.name, this.runId, this.actor, this.tenant)
  }

  get spender(): Spender {
    return { runId: this.runId, workflow: this.workflow.name, actor: this.actor, tenant: this.tenant }
  }

  /** An execution that others may wait for; whoever concludes the run releases them from one that does not end. */
  lead<A, E, R>(ticket: Ticket, execution: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.suspend(() => {
      this.leading.add(ticket)
      return Effect.ensuring(execution, Effect.sync(() => this.leading.delete(ticket)))
    })
  }

  /** Numbers nodes in the order in which the body reached them. */
  get nextOrdinal(): number {
    return this.claims.size
  }

  /** Takes in what the journal has; what arrived since is newer. */
  load(stored: ReadonlyArray<RunStore.StoredNode>): void {
    for (const node of stored) {
      const key = nodeKey(node.nodeId, node.iteration)
      if (!this.stored.has(key)) this.stored.set(key, node)
      if (node.state !== "finished") this.hasWaited = true
    }
  }

  /** Takes a node's identity for one step of this execution; a second step with the same identity is a defect. */
  claim(nodeId: string, iteration: number, site: { readonly stack?: string }): Effect.Effect<void> {
    const key = nodeKey(nodeId, iteration)
    const first = this.claims.get(key)
    if (first !== undefined) {
      return Effect.die(
        new DuplicateNode({ nodeId, iteration, first: callSite(first), second: callSite(site) })
      )
    }
    this.claims.set(key, site)
    return Effect.void
  }

  notice(): void {
    if (this.body === undefined) this.noticed = true
  }

  /** Asks the body to end for a reason; the first reason counts, except that a lost run is lost. */
  requestStop(stop: Stop): void {
    this.notice()
    // A run that is being parked ends as cancelled when it is looked at again.
    if (stop._tag === "Cancel" && this.stop !== undefined) this.again = true
    if (this.settling || (this.stop !== undefined && stop._tag !== "Lost")) return
    this.stop = stop
    this.body?.unsafeInterruptAsFork(FiberId.none)
  }

  /** The events under the fence and the units, with what every sign of progress carries. */
  private join<E>(
    { events, units }: Entry<E>,
    progressAtMs: number | undefined
  ): Write.Write<void, E | RunStore.StaleEpoch> {
    const [first, ...further] = events
    const joined: Array<Write.Write<unknown, E | RunStore.StaleEpoch>> = [
      first === undefined
        ? this.services.runs.fence(this.runId, this.epoch)
        : this.services.journal.appendUnder(this.epoch, [first, ...further]),
      ...units
    ]
    if (progressAtMs !== undefined) {
      if (!this.progressNoted) {
        this.progressNoted = true
        joined.push(this.services.runs.noteProgress(this.runId, progressAtMs))
      }
      if (--this.framesToKeyframe <= 0) {
        this.framesToKeyframe = Math.max(leastFramesBetweenKeyframes, this.claims.size)
        joined.push(this.services.journal.keyframe(this.runId, progressAtMs))
      }
    }
    return Write.discard(joined)
  }

  /**
   * Commits an entry of this run. When the journal refuses, the run is lost: the body is stopped, this effect never
   * answers, and whoever owns the run now (or the supervisor) goes on from what is committed.
   */
  commit<E extends RunStore.NodeCompleted = never>(
    entry: Entry<E>,
    progressAtMs?: number
  ): Effect.Effect<void, E> {
    return Effect.suspend(() => {
      if (this.closed) return Effect.interrupt
      this.enter()
      return Effect.matchEffect(this.services.persistence.write(this.join(entry, progressAtMs)), {
        onFailure: (cause): Effect.Effect<void, E> => {
          this.leave()
          return cause._tag === "NodeCompleted" ? Effect.fail(cause) : this.lose(cause)
        },
        onSuccess: () => {
          this.leave()
          return Effect.void
        }
      })
    })
  }

  /** Hands an entry over without waiting for its commit; a refusal loses the run. */
  submit(
    entry: () => Entry<never>
  ): Effect.Effect<Persistence.Submitted<void, PersistenceError | RunStore.StaleEpoch>> {
    return this.services.persistence.submit(() => this.join(entry(), undefined))
  }

  /** Awaits the commit of what was handed over. */
  settled(submitted: Persistence.Submitted<void, PersistenceError | RunStore.StaleEpoch>): Effect.Effect<void> {
    return Effect.catchAll(submitted.answer, (cause) => this.lose(cause))
  }

  private lose(cause: PersistenceError | RunStore.StaleEpoch): Effect.Effect<never> {
    return Effect.suspend(() => {
      this.requestStop({ _tag: "Lost", cause })
      return Effect.interruptible(Effect.never)
    })
  }

  /** Stops the run because its journal does not fit its code. */
  diverge(nodeId: string, reason: string): Effect.Effect<never> {
    return Effect.suspend(() => {
      this.requestStop({ _tag: "Diverged", nodeId, reason })
      return Effect.interruptible(Effect.never)
    })
  }

  /** Something begins that parking must not cut off. */
  enter(): void {
    this.busy++
    this.changes++
  }

  /** What `enter` began is over. */
  leave(): void {
    this.changes++
    if (--this.busy === 0 && this.waiters.size > 0) this.lookAt(this)
  }

  /** The clock of the body: the run does not park while the body sleeps. */
  clockOver(clock: Clock.Clock): Clock.Clock {
    const sleep = (duration: Duration.Duration) =>
      Effect.suspend(() => {
        this.enter()
        return Effect.ensuring(clock.sleep(duration), Effect.sync(() => this.leave()))
      })
    return Object.create(clock, { sleep: { value: sleep } })
  }

  /** Waits for a node's result. The wait is registered before `open` makes it visible, so that no answer comes too early. */
  wait<E>(
    nodeId: string,
    iteration: number,
    kind: WaitKind,
    open: Effect.Effect<void, E>
  ): Effect.Effect<RunStore.StoredNode, E> {
    return Effect.withFiberRuntime((fiber) => {
      const key = nodeKey(nodeId, iteration)
      const arrived = Deferred.unsafeMake<RunStore.StoredNode>(fiber.id())
      const waiter = { nodeId, iteration, kind, fiber, arrived }
      this.changes++
      this.waiters.set(key, [...this.waiters.get(key) ?? [], waiter])
      if (isDurable(kind)) {
        this.hasWaited = true
        const already = this.stored.get(key)
        if (already?.state === "finished") this.answer(key, already)
      }
      const forget = Effect.sync(() => {
        const others = this.waiters.get(key)?.filter((each) => each !== waiter) ?? []
        if (others.length === 0) this.waiters.delete(key)
        else this.waiters.set(key, others)
      })
      const answered = Effect.suspend(() => {
        this.lookAt(this)
        return Deferred.await(arrived)
      })
      return Effect.ensuring(Effect.zipRight(open, answered), forget)
    })
  }

  private answer(key: string, node: RunStore.StoredNode): void {
    this.changes++
    for (const waiter of this.waiters.get(key) ?? []) Deferred.unsafeDone(waiter.arrived, Effect.succeed(node))
    this.waiters.delete(key)
  }

  /** Takes the result of a node. Answers false when the run is being stopped and has to be taken up again for it. */
  arrive(node: RunStore.StoredNode): boolean {
    const key = nodeKey(node.nodeId, node.iteration)
    this.stored.set(key, node)
    this.notice()
    if (this.stop !== undefined) return false
    this.answer(key, node)
    return true
  }

  /** Lets the steps go on that a pause holds. */
  releaseSteps(): void {
    this.pauseRequested = false
    this.release("pause")
  }

  /** Lets the branches go on that wait for this. */
  release(what: "pause" | "quota"): void {
    for (const [key, waiters] of this.waiters) {
      if (waiters.some(({ kind }) => kind === what)) this.answer(key, released)
    }
  }

  /** Nothing more is recorded under this execution; fibers that the body left behind wait no longer. */
  close(): void {
    this.closed = true
    for (const waiter of this.waits()) waiter.fiber.unsafeInterruptAsFork(FiberId.none)
  }

  /** Whether an interruption is the body's own doing or a cancellation, and not the way in which a run is put aside. */
  get interruptedByItself(): boolean {
    return this.stop === undefined || this.stop._tag === "Cancel"
  }

  /** What the branches wait for, as of now. */
  waits(): ReadonlyArray<Waiter> {
    return [...this.waiters.values()].flat()
  }

  /**
   * True when there is something to wait for and nothing is under way: every fiber waits for a node, or for a fiber that it
   * forked, or collects the results of others (`Effect.forEach` keeps such a one in an uninterruptible region). A fiber
   * that waits for anything else, be it the author's own semaphore, keeps the run in memory.
   */
  get isQuiescent(): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      if (this.busy > 0 || this.waiters.size === 0) return Effect.succeed(false)
      const changes = this.changes + this.branches.changes
      const waiting = new Set<Fiber.RuntimeFiber<unknown, unknown>>()
      for (const waiter of this.waits()) waiting.add(waiter.fiber)
      const others = [...this.branches.live].filter(([fiber]) => !waiting.has(fiber))
      return Effect.every(
        others,
        ([fiber, { children }]) =>
          Effect.map(Fiber.status(fiber), (status) =>
            FiberStatus.isDone(status) ||
            (FiberStatus.isSuspended(status) && (children > 0 || !RuntimeFlags.interruptible(status.runtimeFlags))))
      ).pipe(
        Effect.map((idle) => idle && changes === this.changes + this.branches.changes)
      )
    })
  }
}

/** What a held step gets when it may go on; nobody reads it. */
const released: RunStore.StoredNode = {
  nodeId: "",
  iteration: 0,
  kind: "task",
  state: "pending",
  attempt: 0,
  outputJson: null,
  errorJson: null,
  startedAtMs: null,
  failedAttempts: 0
}

const callSite = (site: { readonly stack?: string }): string =>
  site.stack?.split("\n").find((line) => line.includes("    at "))?.trim().replace(/^at /, "") ?? "an unknown place"

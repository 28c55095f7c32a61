import type { Workflow } from "@effect/workflow"
import type { WorkflowEngine } from "@effect/workflow"
import { type Cause, type Context, Deferred, Effect, type Exit, Fiber, FiberId, FiberStatus, type Option, RuntimeFlags, type Scope, Supervisor } from "effect"
import type { Journal, RunStore } from "../../journal/index.ts"
import { nodeKey } from "../../model/index.ts"
import { type Persistence, type PersistenceError, Write } from "../../persistence/index.ts"
import type { ApprovalStore } from "../ApprovalStore.ts"
import { DuplicateNode } from "../TaskFailed.ts"
import type { TimerStore } from "../TimerStore.ts"

/** What a run that executes needs of the world. */
export interface RunServices {
  readonly persistence: Persistence.Persistence["Type"]
  readonly journal: Journal.Journal["Type"]
  readonly runs: RunStore.RunStore["Type"]
  readonly approvals: ApprovalStore["Type"]
  readonly timers: TimerStore["Type"]
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
export type Stop =
  | { readonly _tag: "Park" }
  | { readonly _tag: "Pause" }
  | { readonly _tag: "Cancel" }
  | { readonly _tag: "Diverged"; readonly nodeId: string; readonly reason: string }
  | { readonly _tag: "Lost"; readonly cause: PersistenceError | RunStore.StaleEpoch }
  | { readonly _tag: "Shutdown" }

export type WaitKind = "approval" | "event" | "timer" | "pause"

/** A node that a branch waits for. */
export interface Wait {
  readonly nodeId: string
  readonly iteration: number
  readonly kind: WaitKind
}

interface Waiter extends Wait {
  readonly fiber: Fiber.RuntimeFiber<unknown, unknown>
  readonly arrived: Deferred.Deferred<RunStore.StoredNode>
}

/** Counts the live fibers of a body and who forked whom, so that a run parks exactly when every branch waits. */
class Branches extends Supervisor.AbstractSupervisor<void> {
  override readonly value = Effect.void
  private readonly onIdle: () => void
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
    const parentFiber = parent._tag === "Some" ? parent.value : undefined
    this.live.set(fiber, { parent: parentFiber, children: 0 })
    const entry = parentFiber && this.live.get(parentFiber)
    if (entry) entry.children++
  }

  override onEnd<A, E>(_exit: Exit.Exit<A, E>, fiber: Fiber.RuntimeFiber<A, E>): void {
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
  readonly epoch: number
  /** What the journal has of earlier executions, and of this one as it goes on. */
  readonly stored: Map<string, RunStore.StoredNode>

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
  readonly waiters = new Map<string, Waiter>()
  body: Fiber.RuntimeFiber<unknown, unknown> | undefined = undefined
  stop: Stop | undefined = undefined
  /** How the body ended is being recorded: nothing can stop it any more. */
  settling = false
  /** What every branch waited for when it was decided to park. */
  parkedOn: ReadonlyArray<Wait> = []
  pauseRequested = false
  /** Something arrived while the run was parking: it has to be taken up again at once. */
  again = false

  /** Called when the run may have nothing left to do but wait. */
  private readonly lookAt: (run: ActiveRun) => void
  private readonly claims = new Map<string, { readonly stack?: string }>()
  private progressNoted = false
  private framesSinceKeyframe = 0

  constructor(options: {
    readonly runId: string
    readonly parentRunId: string | null
    readonly workflow: Workflow.Any
    readonly scope: Scope.CloseableScope
    readonly services: RunServices
    readonly epoch: number
    readonly stored: ReadonlyArray<RunStore.StoredNode>
    readonly lookAt: (run: ActiveRun) => void
  }) {
    this.executionId = options.runId
    this.parentRunId = options.parentRunId
    this.workflow = options.workflow
    this.scope = options.scope
    this.services = options.services
    this.epoch = options.epoch
    this.lookAt = options.lookAt
    this.stored = new Map(options.stored.map((node) => [nodeKey(node.nodeId, node.iteration), node]))
  }

  get runId(): string {
    return this.executionId
  }

  /** Numbers nodes in the order in which the body reached them. */
  get nextOrdinal(): number {
    return this.claims.size
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

  /** Asks the body to end for a reason; the first reason counts, except that a lost run is lost. */
  requestStop(stop: Stop): void {
    if (this.settling || (this.stop !== undefined && stop._tag !== "Lost")) return
    this.stop = stop
    this.body?.unsafeInterruptAsFork(FiberId.none)
  }

  /** The fence and the units, with what every sign of progress carries. */
  private join<E>(
    units: ReadonlyArray<Write.Write<unknown, E>>,
    progressAtMs: number | undefined
  ): Write.Write<unknown, E | RunStore.StaleEpoch> {
    const joined: Array<Write.Write<unknown, E | RunStore.StaleEpoch>> = [
      this.services.runs.fence(this.runId, this.epoch),
      ...units
    ]
    if (progressAtMs !== undefined) {
      if (!this.progressNoted) {
        this.progressNoted = true
        joined.push(this.services.runs.noteProgress(this.runId, progressAtMs))
      }
      if (++this.framesSinceKeyframe >= Math.max(leastFramesBetweenKeyframes, this.claims.size)) {
        this.framesSinceKeyframe = 0
        joined.push(this.services.journal.keyframe(this.runId, progressAtMs))
      }
    }
    return Write.all(joined)
  }

  /**
   * Commits units of this run. When the journal refuses, the run is lost: the body is stopped, this effect never
   * answers, and whoever owns the run now (or the supervisor) goes on from what is committed.
   */
  commit<E extends RunStore.NodeCompleted = never>(
    units: ReadonlyArray<Write.Write<unknown, E>>,
    progressAtMs?: number
  ): Effect.Effect<void, E> {
    return this.services.persistence.write(this.join(units, progressAtMs)).pipe(
      Effect.catchAll((cause): Effect.Effect<void, E> =>
        cause._tag === "NodeCompleted" ? Effect.fail(cause) : this.lose(cause)
      ),
      Effect.asVoid
    )
  }

  /** Hands units over without waiting for their commit; a refusal loses the run. */
  submit(units: ReadonlyArray<Write.Write<unknown>>): Effect.Effect<Persistence.Submitted<void, never>> {
    return Effect.map(this.services.persistence.submit(this.join(units, undefined)), ({ answer, withdraw }) => ({
      answer: Effect.asVoid(Effect.catchAll(answer, (cause) => this.lose(cause))),
      withdraw
    }))
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

  /** Registers a wait before whatever makes it visible commits, so that an answer cannot come too early. */
  wait(nodeId: string, iteration: number, kind: WaitKind): Effect.Effect<Effect.Effect<RunStore.StoredNode>> {
    return Effect.withFiberRuntime((fiber) => {
      const key = nodeKey(nodeId, iteration)
      const arrived = Deferred.unsafeMake<RunStore.StoredNode>(fiber.id())
      this.waiters.set(key, { nodeId, iteration, kind, fiber, arrived })
      const already = this.stored.get(key)
      if (kind !== "pause" && already?.state === "finished") Deferred.unsafeDone(arrived, Effect.succeed(already))
      return Effect.succeed(
        Effect.suspend(() => {
          this.lookAt(this)
          return Effect.onExit(Deferred.await(arrived), () => Effect.sync(() => this.waiters.delete(key)))
        })
      )
    })
  }

  /** Hands over what a branch waits for. Answers false when no branch of this execution waits for it. */
  arrive(node: RunStore.StoredNode): boolean {
    const key = nodeKey(node.nodeId, node.iteration)
    this.stored.set(key, node)
    const waiter = this.waiters.get(key)
    if (waiter === undefined || this.stop !== undefined) return false
    Deferred.unsafeDone(waiter.arrived, Effect.succeed(node))
    return true
  }

  /** Lets the steps go on that a pause holds. */
  releaseSteps(): void {
    this.pauseRequested = false
    for (const waiter of this.waiters.values()) {
      if (waiter.kind === "pause") Deferred.unsafeDone(waiter.arrived, Effect.succeed(released))
    }
  }

  /** What the branches wait for, as of now. */
  waits(): ReadonlyArray<Wait> {
    return [...this.waiters.values()]
  }

  /**
   * True when there is something to wait for and nobody does anything else: every fiber that forked none of the live ones
   * waits for a node. Fibers suspended in an uninterruptible region do not count: `Effect.forEach` keeps such a one to
   * collect its results, and a commit is one; stopping the body waits for them anyway.
   */
  get isQuiescent(): Effect.Effect<boolean> {
    return Effect.suspend(() => {
      if (this.waiters.size === 0) return Effect.succeed(false)
      const waiting = new Set<Fiber.RuntimeFiber<unknown, unknown>>()
      for (const waiter of this.waiters.values()) waiting.add(waiter.fiber)
      const others: Array<Fiber.RuntimeFiber<unknown, unknown>> = []
      for (const [fiber, { children }] of this.branches.live) {
        if (children === 0 && !waiting.has(fiber)) others.push(fiber)
      }
      return Effect.every(others, (fiber) =>
        Effect.map(Fiber.status(fiber), (status) =>
          FiberStatus.isDone(status) ||
          (FiberStatus.isSuspended(status) && !RuntimeFlags.interruptible(status.runtimeFlags))))
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

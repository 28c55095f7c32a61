import { Cause, Clock, Context, Duration, Effect, Either, Exit } from "effect"
import type { Landed, Miss } from "../../cache/index.ts"
import type { Journal, RunStore } from "../../journal/index.ts"
import { Bounds, type Codec, codecOf, type FailureRecord, type RunEventType } from "../../model/index.ts"
import type { Persistence, PersistenceError } from "../../persistence/index.ts"
import type { Spending } from "../Budget.ts"
import type { CachePolicy, RetryPolicy, StepContext, StepOptions } from "../StepOptions.ts"
import { TaskFailed } from "../TaskFailed.ts"
import type { ActiveRun, Entry } from "./ActiveRun.ts"
import * as Failure from "./Failure.ts"
import { LazyAbort } from "./LazyAbort.ts"
import { frameText, refresh } from "./Refresh.ts"
import { shown } from "./SecretCheck.ts"

/** A pause that was asked for holds every step that has not started. */
const holdWhilePaused = (run: ActiveRun, nodeId: string, iteration: number): Effect.Effect<void> =>
  Effect.suspend(() =>
    run.pauseRequested ? Effect.asVoid(run.wait(nodeId, iteration, "pause", Effect.void)) : Effect.void
  )

type Started = Persistence.Submitted<void, PersistenceError | RunStore.StaleEpoch>

/** A start that was committed by itself. */
const startedBefore: Started = { answer: Effect.void, withdraw: () => false }

/** What `uninterruptibleMask` hands out. */
type Restore = <B, E, R>(effect: Effect.Effect<B, E, R>) => Effect.Effect<B, E, R>

const nothing: Entry = { units: [], events: [] }

/** The time of the fiber's clock, in one operation. */
const withNow = <A, E, R>(f: (nowMs: number) => Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime((fiber) =>
    f(Context.get(fiber.currentDefaultServices, Clock.Clock).unsafeCurrentTimeMillis())
  )

const keptFromKey = {
  reason: "NoKey",
  detail: "A part of the key holds a secret, so nothing is stored.",
  key: null,
  parts: null,
  ticket: null
} as const

/** One step of one execution of a run: from its identity to its recorded end. */
export class StepExecution<A, I, E, EI, X, R> {
  readonly active: ActiveRun
  readonly options: StepOptions<A, I, E, EI, X, R>
  readonly iteration: number
  readonly parentNodeId: string | null
  readonly stored: RunStore.StoredNode | undefined
  readonly codec: Codec<A>
  readonly ordinal: number
  failures: number
  lastBeatMs = 0
  lastWrittenBeatMs = -1
  underWay = false
  /** Of the last lookup, when it missed: its ticket is the right to store what is executed now. */
  miss: Miss | undefined = undefined

  constructor(
    active: ActiveRun,
    options: StepOptions<A, I, E, EI, X, R>,
    iteration: number,
    parentNodeId: string | null,
    stored: RunStore.StoredNode | undefined
  ) {
    this.active = active
    this.options = options
    this.iteration = iteration
    this.parentNodeId = parentNodeId
    this.stored = stored
    this.codec = codecOf(options.output)
    this.ordinal = active.nextOrdinal
    this.failures = stored?.failedAttempts ?? 0
  }

  get result(): Effect.Effect<A, E, R> {
    const { stored } = this
    if (stored === undefined) return this.execute(1)
    if (stored.kind !== this.options.kind) {
      return this.active.diverge(
        this.options.id,
        `The journal has a ${stored.kind} of this id, the code has a ${this.options.kind}.`
      )
    }
    switch (stored.state) {
      case "finished":
        return Effect.catchAll(
          this.codec.decode(stored.outputJson),
          (error) =>
            this.active.diverge(this.options.id, `The stored result does not fit the output schema: ${error.message}`)
        )
      case "failed": {
        const revived = Failure.revive(this.options.id, stored.errorJson, this.options.error)
        return Either.isRight(revived) ? Effect.fail(revived.right) : Effect.die(revived.left)
      }
      case "in-progress":
        // Attempts that failed are known to have failed; the one that nothing is known of is the last.
        return this.options.atMostOnce === true && stored.failedAttempts < stored.attempt
          ? this.conclude(
            stored.attempt,
            stored.startedAtMs ?? 0,
            Cause.fail(
              new TaskFailed({
                nodeId: this.options.id,
                reason: "OutcomeUnknown",
                cause: "ProcessDied",
                detail: "The process died while the task executed; it must not be executed twice."
              })
            ),
            nothing
          )
          : this.execute(stored.attempt + 1)
      default:
        return this.execute(stored.attempt + 1)
    }
  }

  execute(attempt: number): Effect.Effect<A, E, R> {
    const { cache, id } = this.options
    const begin = cache === undefined ? this.perform(attempt) : this.look(attempt, cache)
    return this.active.pauseRequested
      ? Effect.zipRight(holdWhilePaused(this.active, id, this.iteration), begin)
      : begin
  }

  /** Uses the result of an equal execution, if there is one; the run does not park while it looks and waits for one. */
  private look(attempt: number, policy: CachePolicy): Effect.Effect<A, E, R> {
    const { active, iteration, options: { atMostOnce, id: nodeId, output } } = this
    const found = Effect.suspend(() =>
      active.services.cache.lookup({
        identity: active.identity,
        // What must not be executed twice is not executed for the cache alone.
        policy: atMostOnce === true && policy.staleMs !== undefined ? { ...policy, staleMs: undefined } : policy,
        nodeId,
        iteration,
        output
      })
    )
    return Effect.uninterruptibleMask((restore) => {
      this.enter()
      const used = Effect.flatMap(
        found,
        (found) =>
          found._tag === "Miss"
            ? this.missed(attempt, found)
            : found.stale === null
            ? this.reuse(attempt, found.value, found.key, found, {})
            // Replaced only once it is recorded that this run has used it.
            : Effect.zipLeft(
              this.reuse(attempt, found.value, found.key, found, { stale: true }),
              refresh(active, this.options, iteration, found.stale)
            )
      )
      return Effect.ensuring(restore(used), Effect.sync(() => this.leave(undefined)))
    })
  }

  private missed(attempt: number, found: Miss): Effect.Effect<A, E, R> {
    const { cache, guard } = this.active.services
    // The parts of a key are kept to explain it: none of them may be a secret.
    const miss = found.parts !== null && Object.values(found.parts).some((part) => guard.suspects(part))
      ? { ...found, ...keptFromKey }
      : found
    this.miss = miss
    const { ticket } = miss
    const perform = Effect.suspend(() => this.leave(this.perform(attempt)))
    if (ticket === null) return perform
    return cache.flight(ticket, {
      lead: this.active.lead(
        ticket,
        // Nobody waits for a run that is about to park.
        Effect.suspend(() =>
          this.active.pauseRequested
            ? Effect.zipRight(cache.abandon(ticket), this.leave(this.execute(attempt)))
            : perform
        )
      ),
      follow: (landed) =>
        Effect.matchEffect(this.codec.decode(landed.text), {
          onFailure: ({ message }) => {
            this.miss = { ...miss, reason: "Mismatch", detail: message }
            return perform
          },
          onSuccess: (value) => this.reuse(attempt, value, ticket.key, landed, { shared: true })
        })
    })
  }

  /** Records that the step has finished with a result that was there: nothing has started. */
  private reuse(
    attempt: number,
    value: A,
    key: string,
    { ageMs, producer, savedMs, text }: Landed,
    how: { readonly shared?: true; readonly stale?: true }
  ): Effect.Effect<A> {
    const { runs } = this.active.services
    this.miss = undefined
    return Effect.uninterruptible(withNow((now) => {
      return Effect.as(
        this.active.commit({
          units: [
            ...this.died(attempt, now),
            runs.putNode({ ...this.node("finished", attempt, now, now), outputJson: text, cached: true })
          ],
          events: [
            this.event("CacheHit", attempt, now, { key, ageMs, savedMs, producer, ...how }),
            this.event("NodeFinished", attempt, now)
          ]
        }, now),
        value
      )
    }))
  }

  private perform(attempt: number): Effect.Effect<A, E, R> {
    return Effect.uninterruptibleMask((restore) =>
      this.active.limited ? this.whenAffordable(attempt, restore) : this.begin(attempt, restore)
    )
  }

  private begin(attempt: number, restore: Restore): Effect.Effect<A, E, R> {
    return withNow((startedAtMs) => {
      this.enter()
      return Effect.flatMap(this.start(attempt, startedAtMs), (started) =>
        Effect.flatMap(
          this.metered(attempt, startedAtMs, Effect.exit(restore(this.attempt(attempt, startedAtMs)))),
          // A start that no batch has taken yet goes into the commit of the end.
          (exit) =>
            this.lastWrittenBeatMs < startedAtMs && started.withdraw()
              ? this.settle(attempt, startedAtMs, exit, this.opening(attempt, startedAtMs), restore)
              : Effect.zipRight(
                this.active.settled(started),
                this.settle(attempt, startedAtMs, exit, nothing, restore)
              )
        ))
    })
  }

  private spending(attempt: number): Spending {
    return { ...this.active.spender, nodeId: this.options.id, iteration: this.iteration, attempt }
  }

  /** Begins when the budget has room for the attempt; a run of which every branch waits is parked meanwhile. */
  private whenAffordable(attempt: number, restore: Restore): Effect.Effect<A, E, R> {
    const { active, iteration, options: { id } } = this
    return Effect.suspend(() => {
      active.enter()
      return Effect.flatMap(active.services.budget.reserve(this.spending(attempt)), (granted) => {
        const next = granted
          ? this.begin(attempt, restore)
          : restore(Effect.zipRight(active.wait(id, iteration, "quota", Effect.void), this.execute(attempt)))
        active.leave()
        return next
      })
    })
  }

  private metered<B>(attempt: number, startedAtMs: number, execution: Effect.Effect<B, never, R>) {
    const { limited, services: { budget } } = this.active
    return limited
      ? Effect.tap(
        execution,
        () => withNow((now) => budget.settle(this.spending(attempt), { durationMs: now - startedAtMs }))
      )
      : execution
  }

  private enter(): void {
    this.underWay = true
    this.active.enter()
  }

  /** The attempt is over; what follows may be a long pause. */
  private leave<B>(value: B): B {
    if (this.underWay) this.active.leave()
    this.underWay = false
    return value
  }

  private node(state: RunStore.NodeRecord["state"], attempt: number, startedAtMs: number, atMs: number) {
    return {
      runId: this.active.runId,
      nodeId: this.options.id,
      iteration: this.iteration,
      ordinal: this.ordinal,
      kind: this.options.kind,
      label: shown(this.active.services.guard, this.options.label ?? null),
      parentNodeId: this.parentNodeId,
      state,
      attempt,
      outputJson: null,
      error: null,
      startedAtMs,
      finishedAtMs: state === "in-progress" ? null : atMs,
      updatedAtMs: atMs
    } satisfies RunStore.NodeRecord
  }

  private attemptRow(state: RunStore.AttemptRecord["state"], attempt: number, startedAtMs: number, atMs: number) {
    return {
      runId: this.active.runId,
      nodeId: this.options.id,
      iteration: this.iteration,
      attempt,
      state,
      error: null,
      startedAtMs,
      finishedAtMs: state === "in-progress" ? null : atMs
    } satisfies RunStore.AttemptRecord
  }

  private event(
    type: RunEventType,
    attempt: number,
    timestampMs: number,
    data?: Readonly<Record<string, unknown>>
  ): Journal.NewEvent {
    const { active: { runId }, iteration, options: { id: nodeId } } = this
    const event = { runId, type, timestampMs, nodeId, iteration, attempt }
    return data === undefined ? event : { ...event, data }
  }

  /** What tells of an attempt's start, and of the end of one that died before it. */
  private opening(attempt: number, atMs: number): Entry {
    const events = [this.event("NodeStarted", attempt, atMs)]
    if (this.miss !== undefined) {
      const { detail, key, parts, reason, ticket } = this.miss
      events.push(this.event("CacheMiss", attempt, atMs, { key, reason, detail, parts, stored: ticket !== null }))
    }
    return { units: this.died(attempt, atMs), events }
  }

  /** The end of the attempt before this one, if it died with its process. */
  private died(attempt: number, atMs: number): Entry["units"] {
    if (this.stored?.state !== "in-progress" || attempt !== this.stored.attempt + 1) return []
    const died = this.attemptRow("cancelled", attempt - 1, this.stored.startedAtMs ?? atMs, atMs)
    return [this.active.services.runs.putAttempt(died)]
  }

  private start(attempt: number, atMs: number): Effect.Effect<Started> {
    const entry = () => {
      const { events, units } = this.opening(attempt, atMs)
      const node = this.active.services.runs.putNode(this.node("in-progress", attempt, atMs, atMs))
      return { units: [...units, node], events }
    }
    return this.options.atMostOnce === true
      ? Effect.as(Effect.suspend(() => this.active.commit(entry())), startedBefore)
      : this.active.submit(entry)
  }

  private attempt(attempt: number, startedAtMs: number): Effect.Effect<A, X | TaskFailed, R> {
    const { options } = this
    this.lastBeatMs = startedAtMs
    const controller = new LazyAbort()
    const body = Effect.onInterrupt(
      Effect.suspend(() => options.execute(this.context(attempt, startedAtMs, controller))),
      () => Effect.sync(() => controller.abort())
    )
    const watched = options.heartbeatTimeout === undefined
      ? body
      : Effect.raceFirst(body, this.watchdog(Duration.toMillis(options.heartbeatTimeout)))
    return options.timeout === undefined ? watched : Effect.timeoutFail(watched, {
      duration: options.timeout,
      onTimeout: () =>
        new TaskFailed({
          nodeId: options.id,
          reason: "TimedOut",
          cause: "Timeout",
          detail: `No result within ${Duration.format(Duration.decode(options.timeout!))}.`
        })
    })
  }

  private context(attempt: number, startedAtMs: number, controller: LazyAbort): StepContext {
    const { active, iteration, options } = this
    return {
      runId: active.runId,
      tenant: active.tenant,
      nodeId: options.id,
      iteration,
      attempt,
      idempotencyKey: `${active.runId}/${options.id}/${iteration}`,
      get signal() {
        return controller.signal
      },
      record: (type, data, units) =>
        withNow((now) => active.commit({ units, events: [this.event(type, attempt, now, data)] }, now)),
      spend: (used) => active.limited ? active.services.budget.record(this.spending(attempt), used) : Effect.void,
      heartbeat: Effect.flatMap(Clock.currentTimeMillis, (now) => {
        this.lastBeatMs = now
        if (this.lastWrittenBeatMs >= 0 && now - this.lastWrittenBeatMs < 1_000) return Effect.void
        this.lastWrittenBeatMs = now
        return Effect.asVoid(active.submit(() => ({
          units: [active.services.runs.heartbeat(this.attemptRow("in-progress", attempt, startedAtMs, now), now)],
          events: [this.event("TaskHeartbeat", attempt, now)]
        })))
      })
    }
  }

  private watchdog(limitMs: number): Effect.Effect<never, TaskFailed> {
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const left = this.lastBeatMs + limitMs - now
      return left > 0 ? Effect.zipRight(Effect.sleep(left), this.watchdog(limitMs)) : new TaskFailed({
        nodeId: this.options.id,
        reason: "HeartbeatLost",
        cause: "HeartbeatTimeout",
        detail: `No heartbeat for ${limitMs} ms.`
      })
    })
  }

  private settle(
    attempt: number,
    startedAtMs: number,
    exit: Exit.Exit<A, X | TaskFailed>,
    before: Entry,
    restore: Restore
  ): Effect.Effect<A, E, R> {
    if (Exit.isSuccess(exit)) {
      return Effect.matchEffect(this.codec.encode(exit.value), {
        onFailure: (error) =>
          this.conclude(attempt, startedAtMs, Cause.fail(this.unfit("OutputInvalid", error.message)), before),
        onSuccess: (text) => {
          if (text !== null && text.length * 3 > Bounds.outputBytes && Buffer.byteLength(text) > Bounds.outputBytes) {
            return this.conclude(
              attempt,
              startedAtMs,
              Cause.fail(
                this.unfit(
                  "OutputTooLarge",
                  `The output has ${Buffer.byteLength(text)} bytes, at most ${Bounds.outputBytes} are kept.`
                )
              ),
              before
            )
          }
          const { guard } = this.active.services
          if (text === null || !guard.suspects(text)) return this.finish(attempt, startedAtMs, text, before)
          const schema = this.options.stored?.() ?? this.options.output
          return Effect.matchEffect(guard.check({ field: "output", text, schema }), {
            // It would come to the same end if it were executed again.
            onFailure: (refused) =>
              this.conclude(attempt, startedAtMs, Cause.fail(this.unfit("SecretRefused", refused.message)), before),
            onSuccess: () => this.finish(attempt, startedAtMs, text, before)
          })
        }
      })
    }
    // An interrupt carries no error.
    if (Cause.isInterruptedOnly(exit.cause)) {
      return this.interrupted(attempt, startedAtMs, exit.cause as Cause.Cause<never>, before)
    }
    return Effect.suspend(() => {
      const { defect, error } = Failure.squash(exit.cause)
      this.failures++
      const policy = this.options.retry
      const again = policy !== undefined && !defect && this.failures <= policy.times &&
        (error instanceof TaskFailed || policy.when === undefined || policy.when(error as X))
      return again
        ? this.retry(attempt, startedAtMs, error, policy, before, restore)
        : this.conclude(attempt, startedAtMs, exit.cause, before)
    })
  }

  private unfit(reason: "OutputInvalid" | "OutputTooLarge" | "SecretRefused", detail: string): TaskFailed {
    return new TaskFailed({ nodeId: this.options.id, reason, cause: reason, detail })
  }

  private finish(
    attempt: number,
    startedAtMs: number,
    outputJson: string | null,
    before: Entry
  ): Effect.Effect<A> {
    const { cache, runs } = this.active.services
    const ticket = this.miss?.ticket ?? null
    const refusal = ticket === null ? null : cache.refusal(ticket, outputJson)
    return withNow((now) =>
      Effect.zipRight(
        this.active.commit({
          units: [
            ...before.units,
            runs.putNode({ ...this.node("finished", attempt, startedAtMs, now), outputJson }),
            // The node's row tells of it; only a row that a heartbeat made is to be closed.
            ...(this.lastWrittenBeatMs < startedAtMs
              ? []
              : [runs.putAttempt(this.attemptRow("finished", attempt, startedAtMs, now))]),
            ...(ticket === null ? [] : [cache.store(ticket, {
              text: outputJson,
              atMs: now,
              durationMs: now - startedAtMs,
              frame: { text: frameText, params: [this.active.runId] }
            })])
          ],
          events: [
            ...before.events,
            this.event("NodeFinished", attempt, now, refusal === null ? undefined : { notCached: refusal })
          ]
        }, now),
        // The body sees what a replay would see.
        Effect.suspend(() => this.leave(Effect.orDie(this.codec.decode(outputJson))))
      )
    )
  }

  private interrupted(
    attempt: number,
    startedAtMs: number,
    cause: Cause.Cause<never>,
    before: Entry
  ): Effect.Effect<never> {
    const { runs } = this.active.services
    // A run that is parked, paused or shut down in the middle of a step executes the step again later.
    if (!this.active.interruptedByItself) return this.leave(Effect.failCause(cause))
    return withNow((now) =>
      Effect.zipRight(
        this.active.commit({
          units: [
            ...before.units,
            runs.putNode(this.node("cancelled", attempt, startedAtMs, now)),
            runs.putAttempt(this.attemptRow("cancelled", attempt, startedAtMs, now))
          ],
          events: [...before.events, this.event("NodeCancelled", attempt, now)]
        }, now),
        Effect.suspend(() => this.leave(Effect.failCause(cause)))
      )
    )
  }

  private retry(
    attempt: number,
    startedAtMs: number,
    error: unknown,
    policy: RetryPolicy<X>,
    before: Entry,
    restore: Restore
  ): Effect.Effect<A, E, R> {
    const { cache, runs } = this.active.services
    const first = Duration.toMillis(policy.backoff ?? "1 second")
    const longest = Duration.toMillis(policy.maxBackoff ?? "5 minutes")
    const pause = Math.min(first * (policy.factor ?? 2) ** (this.failures - 1), longest)
    const failure = Failure.record(this.active.services.guard.redact, error, this.options.error)
    return withNow((now) =>
      Effect.zipRight(
        this.active.commit({
          units: [
            ...before.units,
            runs.putNode(this.node("in-progress", attempt, startedAtMs, now)),
            runs.putAttempt({ ...this.attemptRow("failed", attempt, startedAtMs, now), error: failure })
          ],
          events: [
            ...before.events,
            ...this.lostHeartbeat(error, attempt, now),
            this.event("NodeRetrying", attempt + 1, now, { error: publicFailure(failure), retryAtMs: now + pause })
          ]
        }),
        Effect.suspend(() => {
          // Who waits for the result of this attempt need not wait for the next one.
          const ticket = this.miss?.ticket ?? null
          const next = Effect.zipRight(Effect.sleep(pause), this.execute(attempt + 1))
          return this.leave(restore(ticket === null ? next : Effect.zipRight(cache.abandon(ticket), next)))
        })
      )
    )
  }

  private lostHeartbeat(error: unknown, attempt: number, now: number) {
    return error instanceof TaskFailed && error.reason === "HeartbeatLost"
      ? [this.event("TaskHeartbeatTimeout", attempt, now, { lastHeartbeatAtMs: this.lastBeatMs })]
      : []
  }

  /** Records that the step has failed for good, and fails: typed if the task's schema says so, else as a defect. */
  private conclude(
    attempt: number,
    startedAtMs: number,
    cause: Cause.Cause<X | TaskFailed>,
    before: Entry
  ): Effect.Effect<never, E> {
    const { guard: { redact }, runs } = this.active.services
    const { defect, error } = Failure.squash(cause)
    const declared = defect ? undefined : this.options.error
    let failure = Failure.record(redact, error, declared)
    let raised: Effect.Effect<never, E>
    if (failure.typed) {
      // `record` says typed only when the error is encodable by the schema of E.
      raised = Effect.fail(error as E)
    } else {
      const unknown = Failure.undeclared(redact, this.options.id, error, defect)
      failure = { ...Failure.record(redact, unknown, TaskFailed), typed: false }
      raised = Effect.die(unknown)
    }
    return withNow((now) =>
      Effect.zipRight(
        this.active.commit({
          units: [
            ...before.units,
            runs.putNode({ ...this.node("failed", attempt, startedAtMs, now), error: failure }),
            runs.putAttempt({ ...this.attemptRow("failed", attempt, startedAtMs, now), error: failure })
          ],
          events: [
            ...before.events,
            ...this.lostHeartbeat(error, attempt, now),
            this.event("NodeFailed", attempt, now, { error: publicFailure(failure) })
          ]
        }, now),
        Effect.suspend(() => this.leave(raised))
      )
    )
  }
}

/** What an event says of a failure. */
const publicFailure = ({ message, name }: FailureRecord) => ({ name, message })

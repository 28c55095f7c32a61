import type { Duration, Effect, Schema } from "effect"
import type { Policy } from "../cache/index.ts"
import type { NodeKind, RunEventType, Tenant } from "../model/index.ts"
import type { Write } from "../persistence/index.ts"

/** What an executing attempt knows about itself. */
export interface StepContext {
  readonly runId: string
  /** Whose the run is; null: the operator's. */
  readonly tenant: Tenant | null
  readonly nodeId: string
  readonly iteration: number
  /** From 1; grows with every retry and with every crash. */
  readonly attempt: number
  /** The same for every attempt of this step, different for every other step: hand it to whatever you call. */
  readonly idempotencyKey: string
  /** Aborted when the attempt is to stop: cancelled, timed out, or its run shut down. */
  readonly signal: AbortSignal
  /** Says that the attempt is alive; recorded at most once a second. */
  readonly heartbeat: Effect.Effect<void>
  /**
   * Commits an event of the attempt, with rows that belong to it, under the fence of the run. What is recorded may be
   * recorded again by a later attempt.
   */
  readonly record: (
    type: RunEventType,
    data: Readonly<Record<string, unknown>>,
    units: ReadonlyArray<Write.Write<unknown>>
  ) => Effect.Effect<void>
  /** Records what the attempt has used beside its time, for whoever bills for it; once for each metric of an attempt. */
  readonly spend: (
    used: { readonly metric: string; readonly unit: string; readonly quantity: number }
  ) => Effect.Effect<void>
}

export interface RetryPolicy<E> {
  /** Attempts after the first that failed; a crash of the process is not counted. */
  readonly times: number
  /** Pause before the first repetition, one second unless given; doubled each time unless `factor` says otherwise. */
  readonly backoff?: Duration.DurationInput
  readonly factor?: number
  /** Longest pause, five minutes unless given. */
  readonly maxBackoff?: Duration.DurationInput
  /** Whether a failure is worth repeating; every failure is, unless given. Defects never are. */
  readonly when?: (error: E) => boolean
}

/**
 * With `staleMs` a result past its ttl is used once more, which its `CacheHit` event says (`stale`), while the step is
 * executed in the background of the service, for the cache alone: at most 64 at once, one of a key, within the task's
 * `timeout` (ten minutes unless given). It may outlive the run, whose resources it must not use and whose journal it does
 * not touch. Never for a task that is `atMostOnce`.
 */
export type CachePolicy = Policy

export interface StepOptions<A, I, E, EI, X, R> {
  readonly id: string
  readonly kind: NodeKind
  readonly label?: string | undefined
  readonly output: Schema.Schema<A, I>
  /** What the stored text is by an author's schemas, where `output` is not one: says what of it may hold a secret. */
  readonly stored?: (() => Schema.Schema.All) | undefined
  readonly error?: Schema.Schema<E, EI> | undefined
  readonly retry?: RetryPolicy<X> | undefined
  /** Bound on one attempt. */
  readonly timeout?: Duration.DurationInput | undefined
  /** An attempt that gives no heartbeat for this long has failed. */
  readonly heartbeatTimeout?: Duration.DurationInput | undefined
  /** Record the start before executing, and never execute twice, even after a crash. */
  readonly atMostOnce?: boolean | undefined
  /** When the result of an equal execution may be used instead. */
  readonly cache?: CachePolicy | undefined
  readonly execute: (context: StepContext) => Effect.Effect<A, X, R>
}

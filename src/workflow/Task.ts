import type { WorkflowEngine } from "@effect/workflow"
import { type Duration, Effect, type Schema } from "effect"
import { Step } from "../engine/index.ts"

export { TaskFailed } from "../engine/index.ts"

/** What an executing attempt knows about itself: ids, attempt, idempotency key, abort signal, heartbeat. */
export type Context = Step.StepContext

export interface Options<A, I, E, EI, X, R> {
  /** Identity within the run, 1 to 128 characters of `a-z A-Z 0-9 : _ -`; stored, so never rename it. */
  readonly id: string
  readonly label?: string
  /** How the result is stored. Make it outside of the workflow body: its codec is compiled once per schema. */
  readonly output: Schema.Schema<A, I>
  /** The failures that the workflow body can see. Any other failure, a timeout included, is a defect (`TaskFailed`). */
  readonly error?: Schema.Schema<E, EI>
  readonly retry?: Step.RetryPolicy<X>
  /** Bound on one attempt. */
  readonly timeout?: Duration.DurationInput
  /** An attempt that gives no heartbeat for this long has failed. */
  readonly heartbeatTimeout?: Duration.DurationInput
  /** Never execute twice, even after a crash; costs one more commit. */
  readonly atMostOnce?: boolean
  /**
   * Use the result of an equal execution, of this run or of others, instead of executing. It is decoded by `output`
   * before it is used. Without a policy nothing is looked up and nothing is stored.
   */
  readonly cache?: Step.CachePolicy
  readonly execute: Effect.Effect<A, X, R> | ((context: Context) => Effect.Effect<A, X, R>)
}

/**
 * A durable step. Its result, once acknowledged, is never computed again; a step that was executing when the process died
 * is executed again (at least once): hand `context.idempotencyKey` to whatever it calls.
 */
export const run = <A, I, X, R, E = never, EI = never>(
  options: Options<A, I, E, EI, X, R>
): Effect.Effect<A, E, R | WorkflowEngine.WorkflowInstance> => {
  const { execute } = options
  return Step.run<A, I, E, EI, X, R>(
    {
      ...options,
      kind: "task",
      execute: Effect.isEffect(execute) ? () => execute : execute
    },
    Step.here(run)
  )
}

/** Puts the steps of `effect` under a common node of the run's tree. */
export const group =
  (id: string, label?: string) =>
  <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R | WorkflowEngine.WorkflowInstance> =>
    Step.group(id, label ?? null, effect, Step.here(group))

/** Gives the steps of `effect` their place in a loop: the same ids again, told apart by the iteration (from 0). */
export const iteration = (index: number) => <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.provideService(effect, Step.CurrentIteration, index)

import type { WorkflowEngine } from "@effect/workflow"
import { Cause, Clock, Context, Effect, Exit } from "effect"
import type { RunEventType } from "../model/index.ts"
import { CurrentGroup, CurrentIteration, currentRun, enter } from "./internal/CurrentStep.ts"
import { shown } from "./internal/SecretCheck.ts"
import { StepExecution } from "./internal/StepExecution.ts"
import type { StepOptions } from "./StepOptions.ts"

export { CurrentGroup, CurrentIteration, currentRun, enter, here } from "./internal/CurrentStep.ts"
export type { CachePolicy, RetryPolicy, StepContext } from "./StepOptions.ts"

/**
 * Executes a durable step, or returns what the journal has of it.
 *
 * The start is handed to the writer without waiting, the end is awaited: a step whose completion was answered is never
 * executed again. A step that was executing when the process died is executed again, unless `atMostOnce`.
 */
export const run = <A, I, E, EI, X, R>(
  options: StepOptions<A, I, E, EI, X, R>,
  site: { readonly stack?: string }
): Effect.Effect<A, E, R | WorkflowEngine.WorkflowInstance> =>
  Effect.withFiberRuntime((fiber) =>
    Effect.flatMap(currentRun, (active) => {
      const iteration = Context.get(fiber.currentContext, CurrentIteration)
      const parentNodeId = Context.get(fiber.currentContext, CurrentGroup)
      return Effect.flatMap(
        enter(active, options.id, iteration, site),
        (stored) => new StepExecution(active, options, iteration, parentNodeId, stored).result
      )
    })
  )

/**
 * A node of the tree for the steps of `body`. It has no result of its own: on a replay the body is executed again and its
 * steps return what they have.
 */
export const group = <A, E, R>(
  id: string,
  label: string | null,
  body: Effect.Effect<A, E, R>,
  site: { readonly stack?: string }
): Effect.Effect<A, E, R | WorkflowEngine.WorkflowInstance> =>
  Effect.gen(function*() {
    const active = yield* currentRun
    const iteration = yield* CurrentIteration
    const parentNodeId = yield* CurrentGroup
    const stored = yield* enter(active, id, iteration, site)
    if (stored !== undefined && stored.kind !== "group") {
      return yield* active.diverge(id, `The journal has a ${stored.kind} of this id, the code has a group.`)
    }
    const inside = Effect.provideService(body, CurrentGroup, id)
    if (stored?.state === "finished") return yield* inside
    const startedAtMs = stored?.startedAtMs ?? (yield* Clock.currentTimeMillis)
    const mark = (state: "in-progress" | "finished" | "failed" | "cancelled", type: RunEventType, atMs: number) => ({
      units: [active.services.runs.putNode({
        runId: active.runId,
        nodeId: id,
        iteration,
        ordinal: active.nextOrdinal,
        kind: "group",
        label: shown(active.services.guard, label),
        parentNodeId,
        state,
        attempt: 1,
        outputJson: null,
        error: null,
        startedAtMs,
        finishedAtMs: state === "in-progress" ? null : atMs,
        updatedAtMs: atMs
      })],
      events: [{ runId: active.runId, type, timestampMs: atMs, nodeId: id, iteration }]
    })
    if (stored?.state !== "in-progress") yield* active.submit(() => mark("in-progress", "NodeStarted", startedAtMs))
    return yield* Effect.onExit(inside, (exit) => {
      const interrupted = Exit.isFailure(exit) && Cause.isInterruptedOnly(exit.cause)
      // A run that stops in the middle of a group goes on in the middle of it.
      if (interrupted && !active.interruptedByItself) return Effect.void
      return Effect.flatMap(Clock.currentTimeMillis, (now) =>
        Exit.isSuccess(exit)
          ? active.commit(mark("finished", "NodeFinished", now), now)
          : interrupted
          ? active.commit(mark("cancelled", "NodeCancelled", now), now)
          : active.commit(mark("failed", "NodeFailed", now), now))
    })
  })

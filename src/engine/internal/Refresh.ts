import { WorkflowEngine } from "@effect/workflow"
import { Clock, Effect } from "effect"
import type { Ticket } from "../../cache/index.ts"
import { Bounds, codecOf } from "../../model/index.ts"
import type { StepOptions } from "../StepOptions.ts"
import type { ActiveRun } from "./ActiveRun.ts"
import { LazyAbort } from "./LazyAbort.ts"
import { refuseSecrets } from "./SecretCheck.ts"

/** The frame of the commit that asks, whose events are written before; of a run that has ended, its last. */
export const frameText = "SELECT frame_no FROM _smithers_events WHERE run_id = ? ORDER BY seq DESC LIMIT 1"

/** Of an execution whose task names no bound. */
const longest = "10 minutes"

/**
 * Executes a step for the cache alone, in its background: the step itself has finished with the stale result. The run may
 * end meanwhile; nothing of this touches it: no step, no record, no heartbeat. A secret, a failure, an output that is too
 * large or comes too late leaves the stale result, which the cache logs.
 */
export const refresh = <A, I, E, EI, X, R>(
  { runId, services: { cache, guard }, tenant, workflow }: ActiveRun,
  { execute, id: nodeId, output, stored, timeout }: StepOptions<A, I, E, EI, X, R>,
  iteration: number,
  ticket: Ticket
): Effect.Effect<void, never, R> => {
  // A part of a key is stored with its result: none may be a secret.
  if (Object.values(ticket.parts).some((part) => guard.suspects(part))) return Effect.void
  const codec = codecOf(output)
  const controller = new LazyAbort()
  const body = Effect.suspend(() =>
    execute({
      runId,
      tenant,
      nodeId,
      iteration,
      attempt: 1,
      idempotencyKey: `${runId}/${nodeId}/${iteration}`,
      get signal() {
        return controller.signal
      },
      record: () => Effect.void,
      spend: () => Effect.void,
      heartbeat: Effect.void
    })
  ).pipe(
    Effect.onInterrupt(() => Effect.sync(() => controller.abort())),
    Effect.timeoutFail({ duration: timeout ?? longest, onTimeout: () => "TimedOut" as const }),
    // A durable step in it finds no run to be a step of.
    Effect.provideService(WorkflowEngine.WorkflowInstance, WorkflowEngine.WorkflowInstance.initial(workflow, runId))
  )
  return cache.refresh(
    ticket,
    Effect.gen(function*() {
      const startedAtMs = yield* Clock.currentTimeMillis
      const text = yield* Effect.flatMap(body, codec.encode)
      if (text !== null) {
        if (Buffer.byteLength(text) > Bounds.outputBytes) return yield* Effect.fail("OutputTooLarge" as const)
        yield* refuseSecrets(guard, { field: "output", text, schema: stored?.() ?? output })
      }
      const atMs = yield* Clock.currentTimeMillis
      const frame = { text: frameText, params: [runId] }
      yield* cache.put(ticket, { text, atMs, durationMs: atMs - startedAtMs, frame })
    })
  )
}

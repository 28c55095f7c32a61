import type { Workflow } from "@effect/workflow"
import { Cause, Effect, Either, Exit, FiberId, Schema } from "effect"
import type { Journal } from "../../journal/index.ts"
import { Bounds, codecOf, type FailureRecord, type Run, type RunEventType } from "../../model/index.ts"
import type { Write } from "../../persistence/index.ts"
import { InvalidInput } from "../EngineError.ts"
import { TaskFailed } from "../TaskFailed.ts"
import type { RunServices } from "./ActiveRun.ts"
import * as Failure from "./Failure.ts"
import { refuseSecrets } from "./SecretCheck.ts"
import { schemasOf } from "./WorkflowEngineAdapter.ts"

/** How a run came to its end. */
export type Ending =
  | { readonly _tag: "Finished"; readonly outputJson: string | null }
  | { readonly _tag: "Failed"; readonly error: FailureRecord }
  | { readonly _tag: "Cancelled"; readonly acknowledged: boolean }

/** An event of a run, before it has its number. */
export const told = (
  runId: string,
  type: RunEventType,
  timestampMs: number,
  data?: Readonly<Record<string, unknown>>
): Journal.NewEvent => data === undefined ? { runId, type, timestampMs } : { runId, type, timestampMs, data }

/** What is written of the end of a run. `leftOpen` says that waits may be open that nobody will wait for any more. */
export const endingOf = (
  { approvals, runs, timers }: Pick<RunServices, "approvals" | "runs" | "timers">,
  runId: string,
  end: Ending,
  atMs: number,
  leftOpen: boolean
): {
  readonly units: ReadonlyArray<Write.Write<unknown>>
  readonly events: readonly [Journal.NewEvent, ...Array<Journal.NewEvent>]
} => {
  const done = { finishedAtMs: atMs, ownerId: null }
  const withdrawn = leftOpen
    ? [runs.cancelNodes(runId, atMs), approvals.cancelAll(runId), timers.cancelAll(runId)]
    : []
  switch (end._tag) {
    case "Finished":
      return {
        units: [
          ...withdrawn,
          runs.setStatus(runId, "finished", {
            ...done,
            ...(end.outputJson !== null && { outputJson: end.outputJson })
          })
        ],
        events: [told(runId, "RunFinished", atMs)]
      }
    case "Failed":
      return {
        units: [...withdrawn, runs.setStatus(runId, "failed", { ...done, error: end.error })],
        events: [told(runId, "RunFailed", atMs, { error: { name: end.error.name, message: end.error.message } })]
      }
    case "Cancelled": {
      const cancelled = told(runId, "RunCancelled", atMs, { abandoned: !end.acknowledged })
      return {
        units: [
          ...withdrawn,
          ...(end.acknowledged ? [] : [runs.bumpEpoch(runId)]),
          runs.setStatus(runId, "cancelled", done)
        ],
        events: end.acknowledged ? [told(runId, "RunCancelAcknowledged", atMs), cancelled] : [cancelled]
      }
    }
  }
}

type Guard = RunServices["guard"]

const failureOf = (guard: Guard, workflow: Workflow.Any, cause: Cause.Cause<unknown>): Ending => {
  const { defect, error } = Failure.squash(cause)
  const declared = defect ? undefined : schemasOf(workflow).error
  return { _tag: "Failed", error: Failure.record(guard.redact, error, declared) }
}

/** What the exit of a body means by the schemas of its workflow; a result that cannot be kept fails the run. */
export const outcomeOf = (
  guard: Guard,
  workflow: Workflow.Any,
  exit: Exit.Exit<unknown, unknown>
): Effect.Effect<Ending> => {
  if (Exit.isFailure(exit)) return Effect.succeed(failureOf(guard, workflow, exit.cause))
  const schema = schemasOf(workflow).success
  return codecOf(schema).encode(exit.value).pipe(
    Effect.flatMap((outputJson) => {
      const size = outputJson === null ? 0 : Buffer.byteLength(outputJson)
      const finished: Ending = { _tag: "Finished", outputJson }
      return size <= Bounds.outputBytes
        ? Effect.as(refuseSecrets(guard, { field: "result", text: outputJson ?? "", schema }), finished)
        : new InvalidInput({ field: "result", problem: `has ${size} bytes, at most ${Bounds.outputBytes} are kept` })
    }),
    Effect.catchAll((error) => Effect.succeed(failureOf(guard, workflow, Cause.die(error))))
  )
}

/** The result of an ended run as its workflow's schemas say. */
export const exitOf = (workflow: Workflow.Any, run: Run): Effect.Effect<Exit.Exit<unknown, unknown>> => {
  if (run.status === "cancelled") return Effect.succeed(Exit.interrupt(FiberId.none))
  if (run.status === "failed") {
    const revived = run.error === null
      ? Either.left(new TaskFailed({ nodeId: run.runId, reason: "Failed", cause: "unknown", detail: "" }))
      : Failure.reviveRecord(run.runId, run.error, schemasOf(workflow).error)
    return Effect.succeed(Either.isRight(revived) ? Exit.fail(revived.right) : Exit.die(revived.left))
  }
  const decode = Schema.decodeUnknown(schemasOf(workflow).success)
  // No result is stored as null too.
  const decoded = decode(run.output)
  return Effect.exit(Effect.orDie(run.output === null ? Effect.orElse(decode(undefined), () => decoded) : decoded))
}

import { Deferred, Effect, FiberId } from "effect"
import type { Journal, RunStore } from "../../journal/index.ts"
import { type Run, type RunEventType, terminalStatuses } from "../../model/index.ts"
import type { PersistenceError } from "../../persistence/index.ts"

const endEvents: ReadonlySet<RunEventType> = new Set<RunEventType>(["RunFinished", "RunFailed", "RunCancelled"])

/** Waiting for runs to end: by their committed events, so that whoever waits sees the end as it is stored. */
export const watchEnds = Effect.fnUntraced(function*(
  { journal, runs }: { readonly journal: Journal.Journal["Type"]; readonly runs: RunStore.RunStore["Type"] },
  isExecuting: (runId: string) => boolean
) {
  const ends = new Map<string, Set<Deferred.Deferred<void>>>()
  yield* journal.watch((committed) => {
    if (!endEvents.has(committed.type)) return
    for (const waiting of ends.get(committed.runId) ?? []) Deferred.unsafeDone(waiting, Effect.void)
    ends.delete(committed.runId)
  })

  return (runId: string): Effect.Effect<Run, RunStore.RunNotFound | PersistenceError> =>
    Effect.suspend(() => {
      const ended = Deferred.unsafeMake<void>(FiberId.none)
      const waiting = ends.get(runId) ?? new Set()
      ends.set(runId, waiting.add(ended))
      const forget = Effect.sync(() => {
        waiting.delete(ended)
        if (waiting.size === 0 && ends.get(runId) === waiting) ends.delete(runId)
      })
      const whenEnded = Effect.zipRight(Deferred.await(ended), runs.get(runId))
      const answer = isExecuting(runId)
        ? whenEnded
        : Effect.flatMap(runs.get(runId), (run) => terminalStatuses.has(run.status) ? Effect.succeed(run) : whenEnded)
      return Effect.ensuring(answer, forget)
    })
})

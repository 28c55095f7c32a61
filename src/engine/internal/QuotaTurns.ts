import { Effect, Option } from "effect"
import { type Actor, type Run, tenantOf } from "../../model/index.ts"
import type { PersistenceError } from "../../persistence/index.ts"
import type { ActiveRun, RunServices } from "./ActiveRun.ts"

interface Parts {
  readonly services: Pick<RunServices, "budget" | "persistence" | "runs">
  readonly active: ReadonlyMap<string, ActiveRun>
  readonly launcherOf: (run: Run) => Effect.Effect<Actor, PersistenceError>
  readonly resumeLater: (runId: string) => void
}

/** Lets what waits for budget go on as far as there is some: branches of runs that execute, then parked runs. */
export const quotaTurns = ({ active, launcherOf, resumeLater, services: { budget, persistence, runs } }: Parts) => {
  /** So many of the parked ones are looked at in one go, in turns. */
  const quotaBatch = 256
  let nextInQuota = 0

  return Effect.gen(function*() {
    const executing = [...active.values()].filter((run) => run.waits().some(({ kind }) => kind === "quota"))
    const parked = yield* runs.idsByStatus(["waiting-quota"])
    if (executing.length === 0 && parked.length === 0) return
    if (nextInQuota >= parked.length) nextInQuota = 0
    const spenders = executing.map(({ spender }) => spender)
    for (const runId of parked.slice(nextInQuota, nextInQuota + quotaBatch)) {
      if (active.has(runId)) continue
      const run = yield* runs.find(runId)
      if (Option.isSome(run)) {
        const actor = yield* launcherOf(run.value)
        spenders.push({ runId, workflow: run.value.workflow, actor, tenant: tenantOf(run.value) })
      }
    }
    nextInQuota += quotaBatch
    for (const { runId } of yield* budget.fitting(spenders)) {
      const run = active.get(runId)
      if (run !== undefined) {
        run.release("quota")
      } else {
        yield* persistence.write(runs.wake(runId))
        resumeLater(runId)
      }
    }
  })
}

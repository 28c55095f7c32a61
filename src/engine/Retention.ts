import { Clock, Duration, Effect, Layer, Option, Schedule } from "effect"
import { Audit } from "../audit/index.ts"
import { Cache } from "../cache/index.ts"
import { RunStore } from "../journal/index.ts"
import { systemActor } from "../model/index.ts"
import { Persistence, Write } from "../persistence/index.ts"
import { EngineConfig } from "./EngineConfig.ts"

/** The service is up, and its unfinished runs are taken up, before it cleans. */
const firstAfter = "1 minute"
const every = "1 day"

/** Runs that one commit removes: the whole history of a run goes with it. */
const batchRuns = 20

const make = Effect.gen(function*() {
  const { runRetention } = yield* EngineConfig
  const persistence = yield* Persistence.Persistence
  const runs = yield* RunStore.RunStore
  const cache = yield* Cache.Cache
  const audit = yield* Audit.Audit
  if (Option.isNone(runRetention)) return

  const prune = Effect.gen(function*() {
    const nowMs = yield* Clock.currentTimeMillis
    const beforeMs = nowMs - Duration.toMillis(runRetention.value)
    for (;;) {
      const ended = yield* runs.endedBefore(beforeMs, batchRuns)
      if (ended.length === 0) return
      yield* persistence.write(Write.discard([
        ...ended.flatMap((runId) => [runs.stillEndedBefore(runId, beforeMs), runs.remove(runId), cache.forget(runId)]),
        audit.append({
          atMs: nowMs,
          actor: systemActor,
          action: "run.prune",
          target: null,
          runId: null,
          outcome: "ok",
          reason: null,
          detail: { endedBeforeMs: beforeMs, count: ended.length, runs: ended }
        })
      ])).pipe(
        // An operator's retry came between: the others go with the next look.
        Effect.catchTag("RunChanged", () => Effect.void)
      )
    }
  }).pipe(Effect.catchAllCause((cause) => Effect.logError("Runs that ended long ago could not be removed", cause)))

  yield* Effect.forkScoped(Effect.delay(Effect.repeat(prune, Schedule.spaced(every)), firstAfter))
})

/**
 * Removes runs that ended longer ago than `EngineConfig.runRetention`, a minute after the start and then once a day, twenty
 * a commit, each with an audit row that names them; nothing where there is no retention. A run whose parent or child has
 * not been ended for so long stays with it. What fails is tried again the next day.
 */
export const layer = Layer.scopedDiscard(make)

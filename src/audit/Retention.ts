import { Effect, Layer, Option, Schedule } from "effect"
import { systemActor } from "../model/index.ts"
import { AuditConfig } from "./AuditConfig.ts"
import { Checkpoints } from "./Checkpoints.ts"

/** The service is up before it cleans. */
const firstAfter = "1 minute"
const every = "1 day"

/**
 * Seals and removes what is older than `AuditConfig.retention`, a minute after the start and then once a day, as
 * `Checkpoints.prune` does for an operator; nothing where there is no retention. What fails is tried again the next day.
 */
export const layer = Layer.scopedDiscard(Effect.gen(function*() {
  const { retention } = yield* AuditConfig
  const checkpoints = yield* Checkpoints
  if (Option.isNone(retention)) return
  const prune = Effect.catchAllCause(
    checkpoints.prune(retention.value, systemActor),
    (cause) => Effect.logError("Old rows of the audit could not be removed", cause)
  )
  yield* Effect.forkScoped(Effect.delay(Effect.repeat(prune, Schedule.spaced(every)), firstAfter))
}))

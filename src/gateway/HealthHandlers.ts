import { Clock, Effect } from "effect"
import { Authorized } from "./Caller.ts"
import { HealthRpcs } from "./contract.ts"
import { ServiceState } from "./ServiceState.ts"

/** Answers `HealthRpcs`. */
export const layer = HealthRpcs.middleware(Authorized).toLayer(Effect.gen(function*() {
  const { health, identity } = yield* ServiceState
  return {
    health: () =>
      Effect.zipWith(health, Clock.currentTimeMillis, (answer, nowMs) => ({
        ...answer,
        uptimeMs: nowMs - identity.startedAtMs
      }))
  }
}))

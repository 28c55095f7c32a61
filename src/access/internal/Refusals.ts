import { Clock, Effect, type Scope } from "effect"
import type { Audit } from "../../audit/index.ts"
import type { Actor } from "../../model/index.ts"

/** Rows a minute for each kind of refusal: an attacker must not be able to fill the disk. */
const rowsPerWindow = 5
const windowMs = 60_000

interface Window {
  openedAtMs: number
  rows: number
  /** How many were not written, since the last row. */
  suppressed: number
}

/**
 * Writes refusals to the audit, few of them: what is over the bound is counted and the next row says how many there
 * were. The caller does not wait for the commit; the fibers belong to `scope`.
 */
export const makeRefusals = (audit: Audit.Audit["Type"], scope: Scope.Scope) => {
  const windows = new Map<string, Window>()

  return (action: string, kind: string, actor: Actor, reason: string): Effect.Effect<void> =>
    Effect.flatMap(Clock.currentTimeMillis, (nowMs) => {
      const key = `${action} ${kind}`
      const window = windows.get(key) ?? { openedAtMs: nowMs, rows: 0, suppressed: 0 }
      windows.set(key, window)
      if (nowMs - window.openedAtMs >= windowMs) {
        window.openedAtMs = nowMs
        window.rows = 0
      }
      if (window.rows >= rowsPerWindow) {
        window.suppressed++
        return Effect.void
      }
      window.rows++
      const { suppressed } = window
      window.suppressed = 0
      return audit.record({
        actor,
        action,
        target: actor.tokenId,
        runId: null,
        outcome: "refused",
        reason,
        detail: suppressed === 0 ? {} : { suppressedBefore: suppressed }
      }).pipe(
        Effect.catchAll((error) => Effect.logWarning("A refusal could not be written to the audit", error)),
        Effect.forkIn(scope),
        Effect.asVoid
      )
    })
}

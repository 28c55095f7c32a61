import { Effect, Layer } from "effect"
import { Audit, type AuditDetail, type AuditEntry } from "../audit/index.ts"
import { systemActor } from "../model/index.ts"
import { type Observation, orgProvider, SecretObserver } from "../secrets/index.ts"

const entry = (
  action: string,
  target: string,
  outcome: AuditEntry["outcome"],
  reason: string | null,
  detail: AuditDetail
): Omit<AuditEntry, "atMs"> => ({ actor: systemActor, action, target, runId: null, outcome, reason, detail })

const entryOf = (seen: Observation): Omit<AuditEntry, "atMs"> => {
  switch (seen._tag) {
    case "Resolved": {
      const failed = seen.outcome === "ok" ? null : seen.outcome
      const target = `${seen.provider}:${seen.name}`
      const outcome = failed === null ? "ok" : "failed"
      const { keptBy, reason, user } = seen
      return {
        ...entry("secret.resolve", target, outcome, failed, {
          ...(reason !== null && { why: reason }),
          ...(keptBy !== null && { provider: keptBy })
        }),
        runId: user?.runId ?? null,
        // The operator's own secrets are nothing for an organization to read of.
        ...(seen.provider === orgProvider && user?.tenant)
      }
    }
    case "Refused":
      return entry("secret.refuse", seen.path, "refused", null, { kind: seen.kind, found: seen.found })
    case "Allowed":
      return entry("secret.allow", seen.path, "ok", seen.reason, { kind: seen.kind, found: seen.found })
  }
}

/**
 * Puts what happens to secrets into the audit, by name and path: `secret.resolve`, `secret.refuse`, `secret.allow`. Waits
 * for the commit; what cannot be recorded is not done.
 */
export const layer = Layer.effect(
  SecretObserver,
  Effect.map(Audit.Audit, (audit) => ({ observe: (seen: Observation) => Effect.orDie(audit.record(entryOf(seen))) }))
)

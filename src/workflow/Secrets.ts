import { Effect, type Redacted } from "effect"
import { type SecretRef, Secrets } from "../engine/index.ts"

/** Lets the values of a schema be stored though they hold what looks like a secret; each time is put into the audit. */
export const { allow } = Secrets

/** What a workflow that uses secrets requires; the service provides it to every module. */
export const { Secrets: Service } = Secrets

/**
 * The value of a secret for one effect within a task: `Secrets.use({ provider: "env", name: "API_KEY" }, (key) => …)`. It
 * is wiped when the effect ends. What the effect returns must not hold it: the task would fail (`SecretRefused`).
 */
export const use = <A, E, R>(
  ref: SecretRef.SecretRef,
  f: (value: Redacted.Redacted) => Effect.Effect<A, E, R>
) => Effect.flatMap(Service, (secrets) => secrets.use(ref, f))

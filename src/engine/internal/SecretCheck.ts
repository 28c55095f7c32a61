import { Effect } from "effect"
import type { SecretGuard, SecretRefused } from "../../secrets/index.ts"
import { InvalidInput } from "../EngineError.ts"

type Guard = SecretGuard.SecretGuard["Type"]

const asInput = ({ path, problem }: SecretRefused): InvalidInput => new InvalidInput({ field: path, problem })

/**
 * Fails, naming the path and never the value, when the payload may not be stored. What nothing is wrong with, which is
 * nearly everything, costs one look.
 */
export const refuseSecrets = (guard: Guard, payload: SecretGuard.Payload): Effect.Effect<void, InvalidInput> =>
  guard.suspects(payload.text) ? Effect.mapError(guard.check(payload), asInput) : Effect.void

/** Text that is only shown is kept without the secret. */
export const shown = (guard: Guard, text: string | null): string | null =>
  text !== null && guard.suspects(text) ? guard.redact(text) : text

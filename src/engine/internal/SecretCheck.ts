import { Effect } from "effect"
import type { SecretGuard, SecretRefused } from "../../secrets/index.ts"
import { InvalidInput } from "../EngineError.ts"

type Guard = SecretGuard.SecretGuard["Type"]

/** Fails when the payload may not be stored. What nothing is wrong with, which is nearly everything, costs one look. */
export const refuseSecrets = (guard: Guard, payload: SecretGuard.Payload): Effect.Effect<void, InvalidInput> =>
  guard.suspects(payload.text) ? Effect.mapError(guard.check(payload), refusedInput) : Effect.void

/** The refusal as bad input: names the path, never the value. */
export const refusedInput = ({ path, problem }: SecretRefused): InvalidInput =>
  new InvalidInput({ field: path, problem })

/** Text that is only shown is kept without the secret. */
export const shown = <A extends string | null>(guard: Guard, text: A): A | string =>
  text !== null && guard.suspects(text) ? guard.redact(text) : text

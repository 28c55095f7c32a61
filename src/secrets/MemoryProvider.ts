import { Effect, type Redacted } from "effect"
import { SecretNotFound } from "./SecretError.ts"
import type { SecretProvider } from "./SecretProvider.ts"

/** `memory:NAME`: values that the program was given otherwise, and tests. */
export const make = (values: Readonly<Record<string, Redacted.Redacted>>, id = "memory"): SecretProvider => ({
  id,
  read: (name) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined
    return value === undefined ? new SecretNotFound({ provider: id, secretName: name }) : Effect.succeed(value)
  }
})

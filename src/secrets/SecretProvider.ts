import { Effect, type Redacted } from "effect"
import { minChars } from "./internal/Needles.ts"
import { type SecretNotFound, SecretUnavailable } from "./SecretError.ts"

/** One place where secrets are kept. */
export interface SecretProvider {
  /** What references call it: 1–64 characters of `a-z 0-9 -`. */
  readonly id: string
  /**
   * The value as it is now; nothing is remembered. May be asked several times for one use, and is interrupted when the
   * use is. The errors never quote the value, nor what a program wrote.
   */
  readonly read: (name: string) => Effect.Effect<Redacted.Redacted, SecretNotFound | SecretUnavailable>
}

/** Bytes of a value, encoded as UTF-8. */
export const maxBytes = 65_536

export const unavailable = (
  provider: string,
  name: string
) =>
(reason: SecretUnavailable["reason"], detail: string): SecretUnavailable =>
  new SecretUnavailable({ provider, secretName: name, reason, detail })

/** The value within its bounds: 8 characters to 64 KiB of well-formed text without NUL. */
export const checkValue = (provider: string, name: string, value: string): Effect.Effect<string, SecretUnavailable> => {
  const fail = unavailable(provider, name)
  if (value.length > maxBytes) return fail("TooLarge", `it has more than ${maxBytes} bytes`)
  if (/[\0\p{Cs}]/u.test(value)) return fail("NotText", "it is no text, or contains NUL")
  return value.length < minChars
    ? fail("TooShort", `it has less than ${minChars} characters, so it could not be told from ordinary text`)
    : Effect.succeed(value)
}

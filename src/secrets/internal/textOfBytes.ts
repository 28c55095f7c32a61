import { Effect, Redacted } from "effect"
import type { SecretUnavailable } from "../SecretError.ts"
import { maxBytes, unavailable } from "../SecretProvider.ts"

/** UTF-8 with at most one line end after it, which editors and programs put there. */
export const textOfBytes = (
  provider: string,
  name: string,
  bytes: Uint8Array
): Effect.Effect<Redacted.Redacted, SecretUnavailable> => {
  const fail = unavailable(provider, name)
  return bytes.length > maxBytes
    ? fail("TooLarge", `it has more than ${maxBytes} bytes`)
    : Effect.try({
      try: () => Redacted.make(new TextDecoder("utf-8", { fatal: true }).decode(bytes).replace(/\r?\n$/, "")),
      catch: () => fail("NotText", "it is no UTF-8 text")
    })
}

// @effect-diagnostics nodeBuiltinImport:off -- @effect/platform opens by a text flag: none of them keeps a FIFO from blocking
import { Effect, type Redacted } from "effect"
import { constants } from "node:fs"
import { open } from "node:fs/promises"
import { SecretNotFound, type SecretUnavailable } from "../SecretError.ts"
import { maxBytes, unavailable } from "../SecretProvider.ts"
import { textOfBytes } from "./textOfBytes.ts"

const codeOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : "an unknown error"

const othersMay = 0o077

/** What a file holds. It is opened once; what is checked is what is read, whoever replaces the path meanwhile. */
export const readSecretFile = (
  provider: string,
  path: string
): Effect.Effect<Redacted.Redacted, SecretNotFound | SecretUnavailable> => {
  const fail = unavailable(provider, path)
  return Effect.acquireUseRelease(
    Effect.tryPromise({
      try: () => open(path, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY),
      catch: (cause) =>
        ["ENOENT", "ENOTDIR"].includes(codeOf(cause))
          ? new SecretNotFound({ provider, secretName: path })
          : fail("Unreadable", `the file cannot be opened (${codeOf(cause)})`)
    }),
    (file) =>
      Effect.gen(function*() {
        const attempt = <A>(read: () => Promise<A>) =>
          Effect.tryPromise({
            try: read,
            catch: (cause) => fail("Unreadable", `the file cannot be read (${codeOf(cause)})`)
          })
        const info = yield* attempt(() => file.stat())
        if (!info.isFile()) return yield* fail("Unreadable", "it is no regular file")
        if ((info.mode & othersMay) !== 0) {
          return yield* fail(
            "Exposed",
            `its mode is ${
              (info.mode & 0o777).toString(8).padStart(4, "0")
            }, so others than its owner may use it: chmod 600`
          )
        }
        // One byte more than may be there, so that a larger file is told from one that just fits.
        const bytes = new Uint8Array(maxBytes + 1)
        let length = 0
        while (length < bytes.length) {
          const { bytesRead } = yield* attempt(() => file.read(bytes, length, bytes.length - length))
          if (bytesRead === 0) break
          length += bytesRead
        }
        return yield* textOfBytes(provider, path, bytes.subarray(0, length))
      }),
    (file) => Effect.ignore(Effect.tryPromise(() => file.close()))
  )
}

import { readSecretFile } from "./internal/SecretFile.ts"
import { type SecretProvider, unavailable } from "./SecretProvider.ts"

const id = "file"

export interface Options {
  /** Absolute directories beneath which the files lie; any file unless given. A link in one of them is followed. */
  readonly directories?: ReadonlyArray<string> | undefined
}

/**
 * `file:/absolute/path`: a file of at most 64 KiB of UTF-8 that only its owner may read or write. One line end after the
 * value is not part of it.
 */
export const make = ({ directories }: Options = {}): SecretProvider => ({
  id,
  read: (name) => {
    const fail = unavailable(id, name)
    if (!name.startsWith("/") || name.split("/").includes("..")) {
      return fail("Unreadable", "the path must be absolute, without ..")
    }
    const inside = directories?.some((directory) => name.startsWith(`${directory.replace(/\/+$/, "")}/`)) ?? true
    return inside ? readSecretFile(id, name) : fail("Unreadable", "it lies in none of the configured directories")
  }
})

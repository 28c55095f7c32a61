import { FileSystem, Path } from "@effect/platform"
import { Effect, Encoding } from "effect"
import { ReleaseNotesConfig } from "./ReleaseNotesConfig.ts"

/** Where the notes of a run go, seen from `SMITHERS_HOME`; the home may move, this stays. */
export const placeOf = (runId: string): string => `artifacts/${runId}/RELEASE_NOTES.md`

/** SHA-256 (hex) of the text in UTF-8. */
export const sha256 = (text: string) =>
  Effect.map(
    Effect.promise(() => crypto.subtle.digest("SHA-256", new TextEncoder().encode(text))),
    (digest) => Encoding.encodeHex(new Uint8Array(digest))
  )

/** Bytes that reach the disk before this answers. */
const flush = (file: string, flag: "r" | "w", text?: string) =>
  Effect.scoped(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const open = yield* fs.open(file, { flag, mode: 0o644 })
    if (text !== undefined) yield* open.writeAll(new TextEncoder().encode(text))
    yield* open.sync
  }))

/**
 * Writes the file whole or not at all, and answers its absolute path. Writing it again is the same as writing it once:
 * a crash between writing and acknowledging leaves nothing to clean up.
 */
export const write = Effect.fnUntraced(function*(place: string, text: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { home } = yield* ReleaseNotesConfig
  const target = path.join(home, place)
  const folder = path.dirname(target)
  const unfinished = path.join(folder, `.${path.basename(target)}.unfinished`)
  yield* fs.makeDirectory(folder, { recursive: true })
  yield* flush(unfinished, "w", text)
  yield* fs.rename(unfinished, target)
  yield* flush(folder, "r")
  return target
})

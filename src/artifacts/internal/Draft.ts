import { Effect, Stream } from "effect"
import { createHash, randomUUID } from "node:crypto"
import { ArtifactRefused } from "../ArtifactError.ts"
import * as Folder from "./Folder.ts"

/** Drafts of contents: in the home. What a process that died left there is nobody's. */
const drafts = "artifact-drafts"

export interface Draft {
  readonly folder: Folder.Folder
  readonly name: string
  readonly file: Folder.File
  readonly bytes: number
  readonly sha256: string
}

/** Nobody else is in this home: what lies there was left by a process that died. */
export const discardLeftDrafts = (home: string): Effect.Effect<void> =>
  Effect.scoped(Effect.flatMap(
    Folder.descend(home, []),
    (folder) => Folder.removeTree(folder, drafts)
  )).pipe(Effect.ignore)

const tooLong = (maxBytes: number) =>
  new ArtifactRefused({
    field: "content",
    bound: `has more than ${maxBytes} bytes, at most ${maxBytes} (SMITHERS_ARTIFACTS_MAX_BYTES)`
  })

/** Writes a content to a file of its own, hashed as it comes and on disk at its end; it goes with the scope. */
export const write = <E, R, F>(
  home: string,
  content: Stream.Stream<Uint8Array, E, R>,
  maxBytes: number,
  faultOf: (errno: Folder.Errno) => F
) =>
  Effect.gen(function*() {
    const faults = Effect.mapError(faultOf)
    const folder = yield* faults(Folder.establish(`${home}/${drafts}`, []))
    const name = randomUUID()
    const file = yield* faults(Folder.draft(folder, name))
    const hash = createHash("sha256")
    let bytes = 0
    yield* Stream.runForEach(content, (piece): Effect.Effect<void, F | ArtifactRefused> => {
      bytes += piece.length
      if (bytes > maxBytes) return tooLong(maxBytes)
      hash.update(piece)
      return faults(Folder.append(file, piece))
    })
    yield* faults(Folder.sync(file))
    const draft: Draft = { folder, name, file, bytes, sha256: hash.digest("hex") }
    return draft
  })

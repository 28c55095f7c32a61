import { Effect, Option, Stream } from "effect"
import { createHash } from "node:crypto"
import type { ArtifactFailed } from "../ArtifactError.ts"
import * as Folder from "./Folder.ts"

/** Read at once of a file. */
const pieceBytes = 262_144

/** The first `bytes` of a file, in pieces; fewer when it has become shorter. */
export const ofFile = (file: Folder.File, bytes: number): Stream.Stream<Uint8Array, Folder.Errno> =>
  Stream.unfoldEffect(0, (from) =>
    from >= bytes
      ? Effect.succeedNone
      : Effect.map(
        Folder.read(file, Math.min(pieceBytes, bytes - from), from),
        (piece) => piece.length === 0 ? Option.none() : Option.some([piece, from + piece.length] as const)
      ))

/** The hash of a content of any length. */
export const digest = <E>(content: Stream.Stream<Uint8Array, E>): Effect.Effect<string, E> =>
  Effect.suspend(() => {
    const hash = createHash("sha256")
    return Effect.map(
      Stream.runForEach(content, (piece) => Effect.sync(() => hash.update(piece))),
      () => hash.digest("hex")
    )
  })

/** The same content, but its last piece only if the whole has the hash: nobody gets all of another one. */
export const compared = <E>(
  content: Stream.Stream<Uint8Array, E>,
  sha256: string,
  altered: ArtifactFailed
): Stream.Stream<Uint8Array, E | ArtifactFailed> =>
  Stream.suspend(() => {
    const hash = createHash("sha256")
    let last: Uint8Array | undefined
    const allButLast = Stream.filterMap(content, (piece) => {
      hash.update(piece)
      const before = last
      last = piece
      return Option.fromNullable(before)
    })
    const rest = Stream.suspend((): Stream.Stream<Uint8Array, ArtifactFailed> =>
      hash.digest("hex") !== sha256 ? Stream.fail(altered) : last === undefined ? Stream.empty : Stream.make(last)
    )
    return Stream.concat(allButLast, rest)
  })

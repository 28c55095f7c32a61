import { FileSystem, Path } from "@effect/platform"
import { Effect, Stream } from "effect"
import { createHash, randomUUID } from "node:crypto"
import { CommandFailed } from "./CommandFailed.ts"

/** The same content; fails at its end when its SHA-256 is another. */
export const compared = <E, F>(
  content: Stream.Stream<Uint8Array, E>,
  sha256: string,
  otherwise: () => F
): Stream.Stream<Uint8Array, E | F> =>
  Stream.suspend(() => {
    const hash = createHash("sha256")
    return Stream.concat(
      Stream.tap(content, (piece) => Effect.sync(() => hash.update(piece))),
      Stream.suspend(() => hash.digest("hex") === sha256 ? Stream.empty : Stream.fail(otherwise()))
    )
  })

const refused = (message: string) =>
  new CommandFailed({ outcome: "conflict", code: "FILE", field: "--output", message, fix: "Give another --output." })
const io = Effect.mapError(({ message }: { readonly message: string }) => refused(message))

/**
 * Writes a file, mode 0600, that is there whole or not at all: until its end it is a file beside it, which goes when the
 * content fails or the command is interrupted. Never replaces one that is there.
 */
export const writeWhole = Effect.fnUntraced(function*<E, R>(target: string, content: Stream.Stream<Uint8Array, E, R>) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const exists = refused(`${target} exists.`)
  if (yield* io(fs.exists(target))) return yield* exists
  const begun = path.join(path.dirname(target), `.${path.basename(target)}.${randomUUID()}`)
  const file = yield* Effect.acquireRelease(
    Effect.void,
    () => Effect.ignore(fs.remove(begun, { force: true }))
  ).pipe(Effect.zipRight(io(fs.open(begun, { flag: "wx", mode: 0o600 }))))
  yield* Stream.runForEach(content, (piece) => io(file.writeAll(piece)))
  yield* io(file.sync)
  yield* Effect.mapError(
    fs.link(begun, target),
    (error) => error._tag === "SystemError" && error.reason === "AlreadyExists" ? exists : refused(error.message)
  )
}, Effect.scoped)

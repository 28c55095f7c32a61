import { FileSystem } from "@effect/platform"
import { Effect, Schema } from "effect"
import { CommandFailed } from "./CommandFailed.ts"

/** A part of what is exported, as the service answers it. */
interface Part<Cursor> {
  readonly text: string
  readonly rows: number
  readonly next: Cursor | null
}

interface PagedFile<Cursor, CursorI, E> {
  /** What there will be when all of it has come. */
  readonly target: string
  /** Go on with what is left of an export that was cut off. */
  readonly resume: boolean
  /** What is exported: who goes on has to ask for the same. */
  readonly request: unknown
  readonly cursor: Schema.Schema<Cursor, CursorI>
  readonly part: (cursor: Cursor | undefined) => Effect.Effect<Part<Cursor>, E>
}

const sameRequest = Schema.encodeSync(Schema.parseJson(Schema.Unknown))

const io = Effect.mapError((cause: { readonly message: string }) =>
  new CommandFailed({ outcome: "conflict", code: "FILE", field: "--output", message: cause.message })
)

/**
 * Writes an export part by part, mode 0600, and gives it its name when it is whole. Until then it is `<target>.unfinished`,
 * with `<target>.unfinished.json` beside it: so many bytes are good, and this is how it goes on. Answers the rows.
 */
export const writePagedFile = Effect.fnUntraced(function*<Cursor, CursorI, E>(
  { cursor: Cursor, part, request, resume, target }: PagedFile<Cursor, CursorI, E>
) {
  const fs = yield* FileSystem.FileSystem
  const State = Schema.parseJson(
    Schema.Struct({ request: Schema.Unknown, bytes: Schema.Int, rows: Schema.Int, cursor: Cursor })
  )
  const begun = `${target}.unfinished`
  const side = `${begun}.json`
  let [bytes, rows] = [0, 0]
  let cursor: Cursor | undefined

  const free = Effect.fnUntraced(function*(file: string, fix: string) {
    if (!(yield* io(fs.exists(file)))) return
    return yield* new CommandFailed({
      outcome: "conflict",
      code: "FILE",
      field: "--output",
      message: `${file} exists.`,
      fix
    })
  })
  yield* free(target, "Give another --output.")
  if (!resume) yield* free(begun, "Go on with --resume, or remove it.")
  if (resume && (yield* io(fs.exists(side)))) {
    const left = yield* io(Effect.flatMap(fs.readFileString(side), Schema.decodeUnknown(State)))
    if (sameRequest(left.request) !== sameRequest(request)) {
      return yield* new CommandFailed({
        outcome: "usage",
        code: "INVALID_INPUT",
        field: "--resume",
        message: `${target} was begun with other options.`,
        fix: "Give the same options, or another --output."
      })
    }
    ;({ bytes, cursor, rows } = left)
    yield* io(fs.truncate(begun, bytes))
  } else {
    // Cut off before its first part was whole, or new.
    yield* io(fs.writeFileString(begun, "", { flag: resume ? "w" : "wx", mode: 0o600 }))
  }
  for (;;) {
    const { next, rows: more, text } = yield* part(cursor)
    yield* io(fs.writeFileString(begun, text, { flag: "a" }))
    bytes += Buffer.byteLength(text)
    rows += more
    if (next === null) break
    cursor = next
    const state = yield* Effect.orDie(Schema.encode(State)({ request, bytes, rows, cursor: next }))
    yield* io(
      Effect.zipRight(fs.writeFileString(`${side}.new`, state, { mode: 0o600 }), fs.rename(`${side}.new`, side))
    )
  }
  yield* io(Effect.zipRight(fs.rename(begun, target), fs.remove(side, { force: true })))
  return rows
})

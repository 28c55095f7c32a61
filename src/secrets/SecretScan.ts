import { Effect, Stream } from "effect"
import { type Finding, SecretGuard } from "./SecretGuard.ts"

/** Where a scanned text comes from. */
export type Origin =
  | { readonly _tag: "Row"; readonly table: string; readonly rowid: number | string; readonly column: string }
  | { readonly _tag: "Line"; readonly file: string; readonly line: number }

export interface Scanned {
  readonly origin: Origin
  readonly text: string
}

/** A secret at rest: where, and which; never its value. */
export interface Found extends Finding {
  readonly origin: Origin
}

/** Findings of one text that are reported. */
const perText = 16

/**
 * What the texts hold, in order, at most 16 findings of each. Knows the formats, and the values that were resolved in this
 * process: to look for secrets of the past, resolve or `watch` them first. Holds one text at a time.
 */
export const scan = <E, R>(texts: Stream.Stream<Scanned, E, R>): Stream.Stream<Found, E, R | SecretGuard> =>
  Stream.unwrap(
    Effect.map(
      SecretGuard,
      (guard) =>
        Stream.mapConcat(
          texts,
          ({ origin, text }) =>
            guard.findings({ field: origin._tag === "Row" ? origin.column : "line", text }, perText)
              .map((finding) => ({ origin, ...finding }))
        )
    )
  )

/** A longer line is looked at in pieces, each with the end of the one before it. */
const pieceChars = 1_048_576
const overlapChars = 16_384

/**
 * The lines of a log, to be scanned. Memory is bounded by a piece of 1 Mi characters, however long a line is; a secret of
 * more than 16 Ki characters at the border of two pieces may be missed, one of less may be reported twice.
 */
export const lines = <E, R>(file: string, content: Stream.Stream<Uint8Array, E, R>): Stream.Stream<Scanned, E, R> =>
  Stream.decodeText(content).pipe(
    Stream.concat(Stream.succeed("\n")),
    Stream.mapAccum({ line: 1, rest: "" }, (state, chunk) => {
      const found: Array<Scanned> = []
      const emit = (line: number, text: string) => {
        if (text !== "") found.push({ origin: { _tag: "Line", file, line }, text })
      }
      const parts = chunk.split("\n")
      let { line, rest } = state
      for (const [index, part] of parts.entries()) {
        if (index > 0) {
          emit(line, rest)
          line++
          rest = ""
        }
        rest += part
        while (rest.length > pieceChars) {
          emit(line, rest.slice(0, pieceChars))
          rest = rest.slice(pieceChars - overlapChars)
        }
      }
      return [{ line, rest }, found]
    }),
    Stream.mapConcat((found) => found)
  )

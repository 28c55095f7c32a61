import { parsePatch, structuredPatch } from "diff"
import { Either } from "effect"
import { isUtf8 } from "node:buffer"
import { BundleLimits } from "../../BundleLimits.ts"

/** Lines of a file that change together, with three lines around them. */
interface Hunk {
  /** First line and number of lines before, and after; counted from 1. */
  readonly oldStart: number
  readonly oldLines: number
  readonly newStart: number
  readonly newLines: number
  /** Each with ` `, `-` or `+` in front and without its line feed; `\ No newline at end of file` after a line without one. */
  readonly lines: ReadonlyArray<string>
}

/** The content as text, byte for byte; undefined for what is no UTF-8, has a NUL, or is too long to be compared by lines. */
export const textOf = (content: Uint8Array): string | undefined =>
  content.length <= BundleLimits.diffFileBytes && isUtf8(content) && !content.includes(0)
    ? Buffer.from(content.buffer, content.byteOffset, content.byteLength).toString("utf8")
    : undefined

const noNewline = "\\ No newline at end of file"

/** Lines with their line feeds; the last one may have none. */
const linesOf = (text: string): ReadonlyArray<string> => text.match(/[^\n]*\n|[^\n]+$/g) ?? []

const marked = (mark: "-" | "+", line: string): ReadonlyArray<string> =>
  line.endsWith("\n") ? [mark + line.slice(0, -1)] : [mark + line, noNewline]

/** Everything goes and everything comes: for texts that have too little in common to be compared. */
const replacement = (base: string, produced: string): Hunk => {
  const [before, after] = [linesOf(base), linesOf(produced)]
  return {
    oldStart: 1,
    oldLines: before.length,
    newStart: 1,
    newLines: after.length,
    lines: [...before.flatMap((line) => marked("-", line)), ...after.flatMap((line) => marked("+", line))]
  }
}

/** What has to be done to one text to make it the other. Line ends are content: `\r` stays at the end of its line. */
export const hunksOf = (base: string, produced: string): ReadonlyArray<Hunk> => {
  if (base === produced) return []
  const patch = structuredPatch("", "", base, produced, undefined, undefined, {
    context: 3,
    maxEditLength: BundleLimits.diffEdits
  })
  return patch === undefined ? [replacement(base, produced)] : patch.hunks
}

/**
 * The text with these hunks done to it, or which of them does not fit. Each must fit exactly where it says it belongs:
 * the library's own `applyPatch` would look for another place.
 */
export const applyHunks = (base: string, hunks: ReadonlyArray<Hunk>): Either.Either<string, number> => {
  const lines = linesOf(base)
  const result: Array<string> = []
  let position = 0
  for (const [index, hunk] of hunks.entries()) {
    const start = hunk.oldStart - 1
    if (start < position || start > lines.length) return Either.left(index)
    for (; position < start; position++) result.push(lines[position]!)
    for (const [at, marked] of hunk.lines.entries()) {
      if (marked === noNewline) continue
      const line = marked.slice(1) + (hunk.lines[at + 1] === noNewline ? "" : "\n")
      const mark = marked[0]
      if (mark === "+") {
        result.push(line)
        continue
      }
      if ((mark !== " " && mark !== "-") || lines[position] !== line) return Either.left(index)
      position++
      if (mark === " ") result.push(line)
    }
  }
  // A line without a line feed anywhere but at the end would run into the next one.
  const kept = [...result, ...lines.slice(position)]
  const open = kept.findIndex((line) => !line.endsWith("\n"))
  return open >= 0 && open < kept.length - 1 ? Either.left(hunks.length - 1) : Either.right(kept.join(""))
}

/** A diff that somebody else wrote, as far as it is one of one text file. */
interface Parsed {
  readonly hunks: ReadonlyArray<Hunk>
  /** Mode of git after the change, like `100755`. */
  readonly newMode: string | undefined
}

/** Reads a unified diff of one file, with or without git's own headers; left says what is wrong with it. */
export const parseDiff = (diff: string): Either.Either<Parsed, string> =>
  diff === "" ? Either.right({ hunks: [], newMode: undefined }) : Either.try({
    try: () => parsePatch(diff),
    catch: () => "is a unified diff"
  }).pipe(Either.flatMap((patches) => {
    const [patch] = patches
    if (patch === undefined || patches.length > 1) return Either.left("is the diff of one file")
    if (patch.isBinary === true) return Either.left("binary files come as binaryContent")
    return Either.right({ hunks: patch.hunks, newMode: patch.newMode })
  }))

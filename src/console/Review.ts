import { Option, Schema } from "effect"
import { type ReviewedFile, SandboxReview } from "../model/index.ts"

const decode = Schema.decodeUnknownOption(SandboxReview)

/** The changes of a sandbox, if that is what an approval asks about. */
export const reviewOf = (payload: unknown): SandboxReview | undefined => Option.getOrUndefined(decode(payload))

interface Line {
  readonly kind: "added" | "removed" | "same"
  readonly text: string
}

export interface Hunk {
  /** What git says of the place: `@@ -1,3 +1,4 @@ …`. */
  readonly place: string
  readonly lines: ReadonlyArray<Line>
}

/** What would act on the reader: control characters but the tab, and those that turn the direction of writing. */
const hidden = /[\p{Cc}\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/gu

/** A line that nobody vouches for, with such characters written out; but for the CR of a line of Windows. */
const visible = (text: string): string =>
  text.replace(/\r$/, "").replaceAll(
    hidden,
    (char) => char === "\t" ? char : `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`
  )

const lineOf = (text: string): Line => ({
  kind: text.startsWith("+") ? "added" : text.startsWith("-") ? "removed" : "same",
  text: visible(text)
})

/** The hunks of a diff as git shows it; what comes before the first says what the file's row says. */
export const hunksOf = (diff: string): ReadonlyArray<Hunk> => {
  const lines = diff.replace(/\n$/, "").split("\n")
  const starts = lines.flatMap((line, index) => line.startsWith("@@ ") ? [index] : [])
  return starts.map((start, index) => ({
    place: visible(lines[start] ?? ""),
    lines: lines.slice(start + 1, starts[index + 1]).map(lineOf)
  }))
}

/** How many parts of a file are accepted or rejected by themselves: its hunks, or the file. */
export const partsOf = ({ diff, hunks }: ReviewedFile): number =>
  diff !== null && hunks > 1 && hunksOf(diff).length === hunks ? hunks : 1

/** The numbers, from 1, of the accepted parts of each file by its path. */
export type Choice = ReadonlyMap<string, ReadonlySet<number>>

const allParts = (file: ReviewedFile): ReadonlySet<number> =>
  new Set(Array.from({ length: partsOf(file) }, (_, index) => index + 1))

export const chooseAll = ({ files }: SandboxReview): Choice => new Map(files.map((file) => [file.path, allParts(file)]))

export const chooseNone: Choice = new Map()

export const isChosen = (choice: Choice, { path }: ReviewedFile, part: number): boolean =>
  choice.get(path)?.has(part) ?? false

/** How much of a file is accepted. */
export const extentOf = (choice: Choice, file: ReviewedFile): "all" | "some" | "none" => {
  const size = choice.get(file.path)?.size ?? 0
  return size === 0 ? "none" : size === partsOf(file) ? "all" : "some"
}

export const choosePart = (choice: Choice, { path }: ReviewedFile, part: number, accepted: boolean): Choice => {
  const parts = new Set(choice.get(path))
  if (accepted) parts.add(part)
  else parts.delete(part)
  return new Map([...choice, [path, parts]])
}

export const chooseFile = (choice: Choice, file: ReviewedFile, accepted: boolean): Choice =>
  new Map([...choice, [file.path, accepted ? allParts(file) : new Set<number>()]])

/** What the reviewer answers with; undefined: all of it. */
export const answerOf = ({ files }: SandboxReview, choice: Choice): unknown =>
  files.every((file) => extentOf(choice, file) === "all") ? undefined : {
    accept: files.flatMap((file) => {
      const { path } = file
      const extent = extentOf(choice, file)
      if (extent === "none") return []
      const hunks = [...choice.get(path) ?? []].sort((a, b) => a - b)
      return [{ path, accept: true, ...extent === "some" && { hunks } }]
    })
  }

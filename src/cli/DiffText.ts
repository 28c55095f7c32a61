import type { DiffBundle, OversizedDiff } from "../gateway/contract.ts"
import { bold, cyan, green, red } from "./Style.ts"
import { visible } from "./Visible.ts"

const colourOf = (line: string): (text: string) => string => {
  if (/^(?:diff |---|\+\+\+)/.test(line)) return bold
  if (line.startsWith("@@")) return cyan
  return line.startsWith("+") ? green : line.startsWith("-") ? red : (text) => text
}

/** A unified diff as it may be looked at, its hunks numbered if they are to be named. */
export const shownDiff = (diff: string, options: { readonly numbered?: boolean } = {}): string => {
  let hunk = 0
  return diff.trimEnd().split("\n").map((line) => {
    const note = options.numbered === true && line.startsWith("@@ ") ? `  hunk ${++hunk}` : ""
    return colourOf(line)(visible(line.replace(/\r$/, ""))) + note
  }).join("\n")
}

/** Bytes of base64 text. */
const bytesOf = (base64: string): number => Math.floor(base64.replace(/=+$/, "").length * 3 / 4)

const binaryNote = (path: string, base64: string): string => `Binary file ${path}: ${bytesOf(base64)} bytes`

/** What is too large to be shown, in words. */
export const oversizedText = ({ maxBytes, sizeBytes }: OversizedDiff): string =>
  `The changes have about ${sizeBytes} bytes; at most ${maxBytes} are sent. Ask for one node.`

/** The changes, one file after the other, exactly as a program like `git apply` takes them. */
export const exactDiff = ({ patches }: DiffBundle): string =>
  patches.map(({ binaryContent, diff, path }) =>
    binaryContent === undefined ? diff : `${diff}${binaryNote(path, binaryContent)}\n`
  ).join("")

/** The same for a person at a terminal. */
export const shownDiffs = ({ patches }: DiffBundle): string =>
  patches.map(({ binaryContent, diff, path }) =>
    binaryContent === undefined ? shownDiff(diff) : `${shownDiff(diff)}\n${visible(binaryNote(path, binaryContent))}`
  ).join("\n")

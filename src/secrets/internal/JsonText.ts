import { Either, Schema } from "effect"

/** Keys and indexes from the root of a JSON text to one of its values. */
export interface Path {
  readonly steps: ReadonlyArray<string | number>
  /** It ends in the key of a member of what the steps lead to, not in a value. */
  readonly inKey: boolean
}

interface Frame {
  readonly array: boolean
  index: number
  key: string
  inKey: boolean
}

/** A deeper value is known by the one around it. */
const maxSteps = 256

const quote = 0x22
const backslash = 0x5c

const decodeKey = Schema.decodeUnknownEither(Schema.parseJson(Schema.String))

const keyOf = (raw: string): string => raw.includes("\\") ? Either.getOrElse(decodeKey(`"${raw}"`), () => raw) : raw

/** The end of a string that begins at `start`: after its closing quote. */
const stringEnd = (text: string, start: number): number => {
  let at = start + 1
  while (at < text.length) {
    const char = text.charCodeAt(at)
    if (char === quote) return at + 1
    at += char === backslash ? 2 : 1
  }
  return text.length
}

/**
 * To which values of a JSON text the offsets belong; they ascend. One pass, no recursion, nothing is parsed. A text that
 * is no JSON gives whatever path its brackets suggest, the root if it has none.
 */
export const pathsAt = (text: string, offsets: ReadonlyArray<number>): ReadonlyArray<Path> => {
  const paths: Array<Path> = []
  const frames: Array<Frame> = []
  const here = (inKey: boolean): Path => {
    const steps: Array<string | number> = []
    for (const frame of frames.slice(0, Math.min(inKey ? frames.length - 1 : frames.length, maxSteps))) {
      if (frame.array) steps.push(frame.index)
      else if (!frame.inKey) steps.push(frame.key)
    }
    return { steps, inKey }
  }
  const reach = (end: number, inKey: boolean): void => {
    while (paths.length < offsets.length && offsets[paths.length]! < end) paths.push(here(inKey))
  }
  if (!/^\s*[{["]/.test(text)) return offsets.map(() => ({ steps: [], inKey: false }))
  let at = 0
  while (at < text.length && paths.length < offsets.length) {
    const top = frames.at(-1)
    const char = text[at]
    if (char === "\"") {
      const end = stringEnd(text, at)
      const isKey = top !== undefined && top.inKey
      reach(end, isKey)
      if (isKey) top.key = keyOf(text.slice(at + 1, end - 1))
      at = end
      continue
    }
    reach(at + 1, false)
    if (char === "{" || char === "[") frames.push({ array: char === "[", index: 0, key: "", inKey: char === "{" })
    else if (char === "}" || char === "]") frames.pop()
    else if (char === ":" && top !== undefined) top.inKey = false
    else if (char === "," && top !== undefined) {
      top.index++
      top.inKey = !top.array
    }
    at++
  }
  reach(Infinity, false)
  return paths
}

/** Escapes that JSON.stringify would not have written: of a character that needs none, or in the long form. */
const needless = /\\(?:\/|u(?!00(?:0[0-7be-f]|1[0-9a-f])))/i

const short: Readonly<Record<string, string>> = {
  "\"": "\\\"",
  "\\": "\\\\",
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t"
}

/** False when the text is escaped as JSON.stringify does it, as nearly every text is. */
export const hasNeedlessEscapes = (text: string): boolean => needless.test(text)

/** The text with the escapes of JSON.stringify, so that a value cannot hide behind others. */
export const withPlainEscapes = (text: string): string =>
  text.replaceAll(/\\(?:u([0-9a-fA-F]{4})|([^u]))/g, (escape, hex: string | undefined, other: string | undefined) => {
    if (other !== undefined) return other === "/" ? "/" : escape
    const char = String.fromCharCode(Number.parseInt(hex ?? "", 16))
    return short[char] ?? (char < " " ? escape : char)
  })

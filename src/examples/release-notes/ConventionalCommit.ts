import { cut, line } from "./CommitText.ts"

/** What the message of a commit says by the conventions that people follow, one of them or none. */
export interface Parsed {
  /** `feat` of `feat(api)!: …`, `engine` of `engine: …`; as written. */
  readonly prefix: string | null
  readonly scope: string | null
  /** The subject without the prefix. */
  readonly text: string
  /** What breaks: the footer's text, else the subject's. */
  readonly breaking: string | null
  /** Hash, maybe abbreviated, of the commit that this one takes back; empty if the message does not say. */
  readonly reverts: string | null
}

const breakingChars = 1_000

/** Conventional Commits 1.0: `type(scope)!: text`. */
const header = /^([\p{L}\p{N}_-]+)(?:\(([^()]{1,80})\))?(!)?: (.+)$/u

/** What many other projects write: `net/http: text`, `Access, audit: text`. */
const area = /^([\p{L}\p{N}@][\p{L}\p{N}@ ._/,&+*-]{0,59}): (.+)$/u
const areaWords = 4

const breakingFooter = /^BREAKING[ -]CHANGE:/m
/** A blank line, or the next footer. */
const footerEnd = /\n(?:\n|[\p{L}-]+(?:: | #))/u

/** The text of the footer; undefined if there is none. */
const breakingOf = (body: string): string | undefined => {
  const found = breakingFooter.exec(body)
  if (found === null) return undefined
  const start = found.index + found[0].length
  const text = body.slice(start, start + 2 * breakingChars)
  const end = text.search(footerEnd)
  return cut(line(end === -1 ? text : text.slice(0, end)), breakingChars)
}

const revertHeader = /^revert(?:s|ed)?[ :(!]/i
const revertedHash = /^(?:this )?reverts? (?:commit )?([0-9a-f]{7,64})\b/im
const revertFooter = /^refs?: *([0-9a-f]{7,64})\b/im

export const parse = (subject: string, body: string): Parsed => {
  const conventional = header.exec(subject)
  const [, type = null, scope = null, mark, text = subject] = conventional ?? []
  const [, prefix = type, rest = text] = conventional === null ? areaOf(subject) : []
  const breaking = breakingOf(body) ?? (mark === "!" ? rest : null)
  return {
    prefix,
    scope,
    text: rest,
    breaking: breaking === "" ? rest : breaking,
    reverts: revertHeader.test(subject)
      ? revertedHash.exec(body)?.[1] ?? revertFooter.exec(body)?.[1] ?? ""
      : null
  }
}

const areaOf = (subject: string): ReadonlyArray<string> => {
  const found = area.exec(subject) ?? []
  return (found[1] ?? "").split(" ").length <= areaWords ? found : []
}

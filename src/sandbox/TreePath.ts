import { Option, Schema } from "effect"
import { BundleLimits } from "./BundleLimits.ts"
import type { Rule } from "./BundleRefused.ts"

/** Which rule a path breaks, and what it asks for. */
interface Problem {
  readonly rule: Rule
  readonly bound: string
}

/** Device names of Windows, with any ending (learn.microsoft.com/windows/win32/fileio/naming-a-file). */
const deviceName = /^(con|prn|aux|nul|conin\$|conout\$|(com|lpt)[0-9¹²³])(\..*)?$/i

/** What a file system that ignores case, composition and invisible characters (HFS+, APFS, NTFS, ext4 with casefold) makes of a name. */
const folded = (name: string): string =>
  name.normalize("NFD").replaceAll(/\p{Default_Ignorable_Code_Point}/gu, "").toUpperCase().toLowerCase().normalize(
    "NFD"
  )

/** `.git` as some file system would find it; `git~1` is its short name on NTFS. */
const isGit = (name: string): boolean => /^(\.git|git~\d+)$/.test(folded(name))

const problemOfName = (name: string): Problem | undefined => {
  if (name === "" || name === "." || name === "..") {
    return { rule: "Traversal", bound: "no component may be empty, `.` or `..`" }
  }
  if (Buffer.byteLength(name) > BundleLimits.nameBytes) {
    return { rule: "NameLength", bound: `a name has at most ${BundleLimits.nameBytes} bytes` }
  }
  if (deviceName.test(name) || /[. ]$/.test(name) || /[<>"|?*]/.test(name)) {
    return { rule: "Reserved", bound: "no device name, no dot or space at the end, none of `<>\"|?*`" }
  }
  if (isGit(name)) return { rule: "Git", bound: "nothing of a repository's `.git`" }
  return undefined
}

/** The first rule that a relative path breaks. */
export const problemOf = (path: string): Problem | undefined => {
  if (path.length > BundleLimits.pathChars) {
    return { rule: "PathLength", bound: `a path has at most ${BundleLimits.pathChars} characters` }
  }
  if (path.includes("\0")) return { rule: "Nul", bound: "no NUL character" }
  // A lone surrogate, or what the decoder leaves for bytes that are not UTF-8.
  if (/[\p{Cs}\ufffd]/u.test(path)) return { rule: "Encoding", bound: "a path is UTF-8" }
  if (/[\p{Cc}\u2028\u2029\u200e\u200f\u061c\u202a-\u202e\u2066-\u2069]/u.test(path)) {
    return { rule: "Control", bound: "no control character, none that turns the direction of writing" }
  }
  if (path.includes("\\")) return { rule: "Backslash", bound: "no backslash" }
  if (path.includes(":")) return { rule: "Drive", bound: "no colon" }
  if (path.startsWith("/")) return { rule: "Absolute", bound: "a path is relative" }
  const names = path.split("/")
  if (names.length > BundleLimits.depth) {
    return { rule: "Depth", bound: `a path has at most ${BundleLimits.depth} names` }
  }
  for (const name of names) {
    const problem = problemOfName(name)
    if (problem !== undefined) return problem
  }
  return undefined
}

/** Finds names that only some file systems can tell apart; to be asked about every path of a tree. */
export class Collisions {
  /** By folded path; each with the spelling that was first. */
  private readonly spellings = new Map<string, string>()

  /** The rule that a path breaks together with an earlier one. */
  add(path: string): Problem | undefined {
    let prefix = ""
    let key = ""
    for (const name of path.split("/")) {
      prefix = prefix === "" ? name : `${prefix}/${name}`
      key = `${key}/${folded(name)}`
      const spelling = this.spellings.get(key)
      if (spelling === undefined) this.spellings.set(key, prefix)
      else if (spelling !== prefix) {
        return spelling.normalize("NFC") === prefix.normalize("NFC")
          ? { rule: "Unicode", bound: "no two names differ in the composition of characters only" }
          : { rule: "Case", bound: "no two names differ in upper and lower case or invisible characters only" }
      }
    }
    return undefined
  }
}

/** A path relative to a tree, with `/`; at most 1,024 characters and 32 names. It means the same file on every system. */
export const TreePath = Schema.String.pipe(
  Schema.filter((path) =>
    Option.map(Option.fromNullable(problemOf(path)), ({ bound, rule }) => `${rule}: ${bound}`).pipe(
      Option.getOrUndefined
    )
  ),
  Schema.annotations({ identifier: "TreePath" })
)

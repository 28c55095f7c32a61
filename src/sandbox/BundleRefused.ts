import { Schema } from "effect"

/** What a path, an entry of a directory, or the content of a bundle must not be. */
export const Rule = Schema.Literal(
  /** Begins with `/`. */
  "Absolute",
  /** Has an empty, `.` or `..` component. */
  "Traversal",
  "Nul",
  "Backslash",
  /** `C:`, `C:x`, or another colon: a drive or a stream of a file. */
  "Drive",
  /** A control character, or one that turns the direction of writing and so shows another name. */
  "Control",
  /** A name that some system cannot have or takes for a device: `CON`, `aux.c`, `a.`, `a?`. */
  "Reserved",
  /** Not UTF-8. */
  "Encoding",
  "PathLength",
  "NameLength",
  "Depth",
  /** `.git` in whatever spelling, where it could be applied. */
  "Git",
  /** The same name as another one but for the composition of its characters. */
  "Unicode",
  /** The same name as another one but for upper and lower case. */
  "Case",
  "Symlink",
  "HardLink",
  "Device",
  "Fifo",
  "Socket",
  /** Something lies on another file system than the tree. */
  "Mount",
  "SetId",
  "NotADirectory",
  "Unreadable",
  "FileSize",
  "TotalSize",
  "TooMany",
  /** Claims more than it occupies. */
  "Sparse",
  /** Another file, or of another size, than when it was looked at. */
  "Changed",
  /** In a place of the bundle that has no meaning. */
  "Layout",
  "Missing",
  /** `README.md` is not the manifest it should be. */
  "Manifest",
  /** A diff that does not parse, or does not fit the base exactly. */
  "Patch"
)
export type Rule = typeof Rule.Type

/** Input that nobody vouches for breaks a rule. Nothing of it has been taken over and nothing was written. */
export class BundleRefused extends Schema.TaggedError<BundleRefused>()("BundleRefused", {
  rule: Rule,
  /** Relative to the tree; or the place in the manifest. Cut, and control characters escaped. */
  path: Schema.String,
  /** What would have been allowed. */
  bound: Schema.String
}) {
  override get message(): string {
    return `${this.path}: ${this.bound} (${this.rule}).`
  }
}

const maxShown = 256

/** The path as it may be printed. */
const shown = (path: string): string => {
  const escaped = path.replaceAll(
    /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu,
    (char) => `\\u{${(char.codePointAt(0) ?? 0).toString(16)}}`
  )
  if (escaped === "") return "(empty)"
  return escaped.length <= maxShown ? escaped : `${escaped.slice(0, maxShown)}…`
}

export const refuse = (rule: Rule, path: string, bound: string): BundleRefused =>
  new BundleRefused({ rule, path: shown(path), bound })

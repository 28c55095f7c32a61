import { formatPatch, type StructuredPatch } from "diff"
import { Schema } from "effect"
import { BundleLimits } from "./BundleLimits.ts"
import { digestOf, Sha256 } from "./internal/bundle/Digest.ts"
import { FileVersion } from "./Tree.ts"
import { TreePath } from "./TreePath.ts"

/** Lines that change together, with three lines around them; accepted or rejected as one. */
export const Hunk = Schema.Struct({
  /** Within its file, from 1. */
  number: Schema.Int,
  oldStart: Schema.Int,
  oldLines: Schema.Int,
  newStart: Schema.Int,
  newLines: Schema.Int,
  /** Each with ` `, `-` or `+` in front; a `\r` at the end of a line is part of it. */
  lines: Schema.Array(Schema.String)
})
export type Hunk = typeof Hunk.Type

/** One file that was produced, changed, removed or moved. */
export const Change = Schema.Struct({
  path: TreePath,
  operation: Schema.Literal("add", "modify", "delete", "rename"),
  /** Of a rename: where the file was. */
  from: Schema.NullOr(TreePath),
  /** Before; null when there was none. */
  base: Schema.NullOr(FileVersion),
  /** After; null when it is deleted. */
  produced: Schema.NullOr(FileVersion),
  /**
   * `text` has hunks; `same` is a change of name or execute bit only; `binary` and `large` (beyond 1 MiB, or beyond
   * 32 MiB of texts in a set) are shown by hash and size.
   */
  content: Schema.Literal("same", "text", "binary", "large"),
  hunks: Schema.Array(Hunk)
})
export type Change = typeof Change.Type

/** What was made of a recorded base: at most 1,000 files, in order of their paths. */
export const ChangeSet = Schema.Struct({
  format: Schema.Literal(1),
  /** Which change set of its sandbox, from 1. */
  seq: Schema.Int.pipe(Schema.positive()),
  /** `Tree.refOf` of the base. */
  baseRef: Sha256,
  changes: Schema.Array(Change).pipe(Schema.maxItems(BundleLimits.changes))
})
export type ChangeSet = typeof ChangeSet.Type

/** SHA-256 of a change set: what a decision is about. */
export const digest = (changeSet: ChangeSet): string => digestOf(changeSet)

const gitMode = (version: FileVersion | null): string => version?.executable === true ? "100755" : "100644"

/** The change as git shows it, without the content of binary and large files; `git apply` takes those of text. */
export const toDiff = (change: Pick<Change, "path" | "from" | "base" | "produced" | "hunks">): string => {
  const { base, from, hunks, path, produced } = change
  const patch: StructuredPatch = {
    oldFileName: base === null ? "/dev/null" : `a/${from ?? path}`,
    newFileName: produced === null ? "/dev/null" : `b/${path}`,
    oldHeader: undefined,
    newHeader: undefined,
    hunks: hunks.map(({ lines, newLines, newStart, oldLines, oldStart }) => ({
      oldStart,
      oldLines,
      newStart,
      newLines,
      lines: [...lines]
    })),
    isGit: true,
    isCreate: base === null,
    isDelete: produced === null,
    isRename: from !== null,
    ...(base === null || gitMode(base) !== gitMode(produced) ? { newMode: gitMode(produced) } : {}),
    ...(produced === null || gitMode(base) !== gitMode(produced) ? { oldMode: gitMode(base) } : {})
  }
  return formatPatch(patch)
}

/** Lines that come and go, for a summary. */
export const linesChanged = (
  { hunks }: Pick<Change, "hunks">
): { readonly added: number; readonly removed: number } => {
  const lines = hunks.flatMap((hunk) => hunk.lines)
  return {
    added: lines.filter((line) => line.startsWith("+")).length,
    removed: lines.filter((line) => line.startsWith("-")).length
  }
}

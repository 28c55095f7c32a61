import { Effect, Either, Schema } from "effect"
import { Actor, Bounds } from "../model/index.ts"
import { BlobStore } from "./BlobStore.ts"
import type { BundleFailed } from "./BundleFailed.ts"
import { BundleLimits } from "./BundleLimits.ts"
import { type Change, type ChangeSet, digest } from "./Change.ts"
import { type ChangeRefused, refuseChange } from "./ChangeRefused.ts"
import { Sha256 } from "./internal/bundle/Digest.ts"
import { applyHunks } from "./internal/bundle/Text.ts"
import { FileVersion } from "./Tree.ts"
import { TreePath } from "./TreePath.ts"

/** Accepts or rejects one file; of an accepted one perhaps some hunks only. */
export const FileDecision = Schema.Struct({
  path: TreePath,
  accept: Schema.Boolean,
  /** Numbers of the accepted hunks; absent: all of them. */
  hunks: Schema.optional(
    Schema.Array(Schema.Int.pipe(Schema.positive()))
      .pipe(Schema.minItems(1), Schema.maxItems(100_000))
  )
})
export type FileDecision = typeof FileDecision.Type

/** What somebody decided about a change set. */
export const Decision = Schema.Struct({
  /** `Change.digest` of what was reviewed. */
  changeSet: Sha256,
  /** A file that a list does not name is rejected. */
  accept: Schema.Union(
    Schema.Literal("all", "none"),
    Schema.Array(FileDecision).pipe(Schema.maxItems(BundleLimits.changes))
  ),
  note: Schema.NullOr(Schema.String.pipe(Schema.maxLength(Bounds.noteChars))),
  actor: Actor
})
export type Decision = typeof Decision.Type

/** What one path is before and after the application; null: no file. */
export const Outcome = Schema.Struct({
  path: TreePath,
  base: Schema.NullOr(FileVersion),
  result: Schema.NullOr(FileVersion)
})
export type Outcome = typeof Outcome.Type

/** The accepted part of a change set, path by path; a rename is two of them. The contents are in the store. */
export const Selection = Schema.Struct({
  changeSet: Sha256,
  outcomes: Schema.Array(Outcome),
  /** Paths of the changes that were accepted whole, accepted in part, rejected. */
  accepted: Schema.Array(TreePath),
  partial: Schema.Array(TreePath),
  rejected: Schema.Array(TreePath)
})
export type Selection = typeof Selection.Type

/** The file as it is when only these hunks are accepted. */
const withHunks = (change: Change, numbers: ReadonlyArray<number>) =>
  Effect.gen(function*() {
    const { base, hunks, path, produced } = change
    if (change.content !== "text" || base === null || produced === null) {
      return yield* refuseChange("NoHunks", path, "the file can be accepted or rejected as a whole only")
    }
    const wanted = new Set(numbers)
    const known = new Set(hunks.map(({ number }) => number))
    const unknown = numbers.find((number) => !known.has(number))
    if (unknown !== undefined || wanted.size !== numbers.length) {
      const detail = unknown === undefined ? "a hunk is named twice" : `the file has hunks 1 to ${hunks.length}`
      return yield* refuseChange("UnknownHunk", path, detail)
    }
    if (wanted.size === hunks.length) return { result: produced, whole: true }
    const store = yield* BlobStore
    const text = (yield* store.get(base.sha256)).toString("utf8")
    const applied = applyHunks(text, hunks.filter(({ number }) => wanted.has(number)))
    if (Either.isLeft(applied)) {
      return yield* refuseChange("Conflict", path, `hunk ${applied.left + 1} of the accepted ones does not fit alone`)
    }
    const blob = yield* store.put(Buffer.from(applied.right))
    return { result: { ...blob, executable: produced.executable }, whole: false }
  })

/** The two files that cannot both be there: one where the other has a directory. */
const nested = (paths: ReadonlySet<string>): readonly [string, string] | undefined => {
  for (const path of paths) {
    for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1)) {
      if (paths.has(path.slice(0, slash))) return [path, path.slice(0, slash)]
    }
  }
  return undefined
}

/**
 * What a decision makes of a change set: whole, per file or per hunk. The content of a file of which only some hunks are
 * accepted is put into the store. The same decision always gives the same selection. Whether the target still is the
 * base is `ChangeApply`'s to find out.
 */
export const select = Effect.fn("Review.select")(function*(
  changeSet: ChangeSet,
  decision: Decision
): Effect.fn.Return<Selection, ChangeRefused | BundleFailed, BlobStore> {
  const id = digest(changeSet)
  if (decision.changeSet !== id) {
    return yield* refuseChange("OtherChangeSet", decision.changeSet, `the change set under review is ${id}`)
  }
  const byPath = new Map<string, FileDecision>()
  const known = new Set(changeSet.changes.map(({ path }) => path))
  for (const file of typeof decision.accept === "string" ? [] : decision.accept) {
    if (byPath.has(file.path)) return yield* refuseChange("UnknownPath", file.path, "the file is named twice")
    if (!known.has(file.path)) return yield* refuseChange("UnknownPath", file.path, "the change set has no such file")
    if (!file.accept && file.hunks !== undefined) {
      return yield* refuseChange("UnknownHunk", file.path, "a rejected file has no accepted hunks")
    }
    byPath.set(file.path, file)
  }
  const selection = {
    outcomes: Array<Outcome>(),
    accepted: Array<string>(),
    partial: Array<string>(),
    rejected: Array<string>()
  }
  /** Files of the base that stay because their removal is rejected: an accepted file must not need their place. */
  const staying = new Set<string>()
  for (const change of changeSet.changes) {
    const { base, from, path, produced } = change
    const file = byPath.get(path)
    if (decision.accept !== "all" && file?.accept !== true) {
      selection.rejected.push(path)
      if (base !== null) staying.add(from ?? path)
      continue
    }
    const { result, whole } = file?.hunks === undefined
      ? { result: produced, whole: true }
      : yield* withHunks(change, file.hunks)
    const list = whole ? selection.accepted : selection.partial
    list.push(path)
    if (from !== null) selection.outcomes.push({ path: from, base, result: null })
    selection.outcomes.push({ path, base: from === null ? base : null, result })
  }
  const conflict = nested(
    new Set([...staying, ...selection.outcomes.filter(({ result }) => result !== null).map(({ path }) => path)])
  )
  if (conflict !== undefined) {
    return yield* refuseChange("Conflict", conflict[0], `needs a directory where the file ${conflict[1]} is`)
  }
  return { changeSet: id, ...selection }
})

import { Effect, Either } from "effect"
import { BlobStore } from "./BlobStore.ts"
import type { BundleFailed } from "./BundleFailed.ts"
import { BundleLimits } from "./BundleLimits.ts"
import { type BundleRefused, refuse } from "./BundleRefused.ts"
import type { Change, ChangeSet } from "./Change.ts"
import { breathe } from "./internal/bundle/Handle.ts"
import * as Renames from "./internal/bundle/Renames.ts"
import { applyHunks, hunksOf, textOf } from "./internal/bundle/Text.ts"
import { type FileVersion, refOf, type Tree, versionOf } from "./Tree.ts"

type File = Tree["files"][number]

/** The text of a stored file, undefined when it has none that can be compared by lines. */
const textOfFile = (file: FileVersion): Effect.Effect<string | undefined, BundleFailed, BlobStore> =>
  file.bytes > BundleLimits.diffFileBytes
    ? Effect.succeed(undefined)
    : Effect.map(Effect.flatMap(BlobStore, (store) => store.get(file.sha256)), textOf)

/** Which added file is which deleted one under another name; texts are read of few and small files only. */
const findRenames = (
  deleted: ReadonlyArray<File>,
  added: ReadonlyArray<File>
): Effect.Effect<ReadonlyMap<string, string>, BundleFailed, BlobStore> =>
  Effect.gen(function*() {
    const exact = Renames.exact(deleted, added)
    const froms = new Set(exact.values())
    const sides = (files: ReadonlyArray<File>) =>
      Effect.forEach(Renames.candidates(files), (file) =>
        Effect.map(textOfFile(file), (text = ""): Renames.Side => ({ path: file.path, text })))
    const sources = yield* sides(deleted.filter(({ path }) =>
      !froms.has(path)
    ))
    if (sources.length === 0) return exact
    const targets = yield* sides(added.filter(({ path }) => !exact.has(path)))
    return new Map([...exact, ...Renames.similar(sources, targets)])
  })

const kindOf = (versions: ReadonlyArray<FileVersion>): "binary" | "large" =>
  versions.some(({ bytes }) => bytes > BundleLimits.diffFileBytes) ? "large" : "binary"

/** Content and hunks of a change from one version to another; either may be missing. */
const contentOf = (
  base: FileVersion | undefined,
  produced: FileVersion | undefined,
  mayCompare: boolean
): Effect.Effect<Pick<Change, "content" | "hunks">, BundleFailed, BlobStore> =>
  Effect.gen(function*() {
    if (base?.sha256 === produced?.sha256) return { content: "same" as const, hunks: [] }
    if (!mayCompare) return { content: "large" as const, hunks: [] }
    const before = base === undefined ? "" : yield* textOfFile(base)
    const after = produced === undefined ? "" : yield* textOfFile(produced)
    if (before === undefined || after === undefined) {
      return { content: kindOf([base, produced].filter((version) => version !== undefined)), hunks: [] }
    }
    const hunks = hunksOf(before, after)
    yield* breathe
    // The hunks are what gets reviewed, so they must be the change; else it is shown, and taken, as a whole.
    if (Either.getOrUndefined(applyHunks(before, hunks)) !== after) return { content: "binary" as const, hunks: [] }
    return { content: "text" as const, hunks: hunks.map((hunk, index) => ({ number: index + 1, ...hunk })) }
  })

/** What comparing two versions costs; nothing when they are not compared by lines. */
const comparedBytes = (versions: ReadonlyArray<FileVersion | null>): number =>
  versions.some((version) => version !== null && version.bytes > BundleLimits.diffFileBytes)
    ? 0
    : versions.reduce((sum, version) => sum + (version?.bytes ?? 0), 0)

/**
 * What has to be done to one tree to make it another: adds, modifications (of content, execute bit or both), deletions,
 * and renames of equal or similar files. Pure in both trees; their contents come from the store. More than 1,000
 * changes are `TooMany`.
 */
export const between = Effect.fn("ChangeSet.between")(function*(
  base: Tree,
  produced: Tree,
  options: { readonly seq?: number } = {}
): Effect.fn.Return<ChangeSet, BundleRefused | BundleFailed, BlobStore> {
  const before = new Map(base.files.map((file) => [file.path, file]))
  const after = new Map(produced.files.map((file) => [file.path, file]))
  const deleted = base.files.filter(({ path }) => !after.has(path))
  const added = produced.files.filter(({ path }) => !before.has(path))
  const modified = produced.files.filter((file) => {
    const old = before.get(file.path)
    return old !== undefined && (old.sha256 !== file.sha256 || old.executable !== file.executable)
  })
  if (deleted.length + added.length + modified.length > 2 * BundleLimits.changes) return yield* tooMany
  const renames = yield* findRenames(deleted, added)
  const renamed = new Set(renames.values())
  const planned: ReadonlyArray<Pick<Change, "path" | "operation" | "from" | "base" | "produced">> = [
    ...deleted.filter(({ path }) => !renamed.has(path)).map((file) => ({
      path: file.path,
      operation: "delete" as const,
      from: null,
      base: versionOf(file),
      produced: null
    })),
    ...[...added, ...modified].map((file) => {
      const from = renames.get(file.path)
      const old = before.get(from ?? file.path)
      return {
        path: file.path,
        operation: from !== undefined ? "rename" as const : old === undefined ? "add" as const : "modify" as const,
        from: from ?? null,
        base: old === undefined ? null : versionOf(old),
        produced: versionOf(file)
      }
    })
  ].sort((a, b) => a.path < b.path ? -1 : 1)
  if (planned.length > BundleLimits.changes) return yield* tooMany
  const changes: Array<Change> = []
  let compared = 0
  for (const plan of planned) {
    if (plan.base?.sha256 !== plan.produced?.sha256) compared += comparedBytes([plan.base, plan.produced])
    const mayCompare = compared <= BundleLimits.diffTextBytes
    changes.push({ ...plan, ...(yield* contentOf(plan.base ?? undefined, plan.produced ?? undefined, mayCompare)) })
  }
  return { format: 1, seq: options.seq ?? 1, baseRef: refOf(base), changes }
})

const tooMany = refuse("TooMany", "", `a change set touches at most ${BundleLimits.changes} files`)

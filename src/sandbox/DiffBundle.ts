import { Effect, Either, Encoding, Schema } from "effect"
import { BlobStore } from "./BlobStore.ts"
import type { BundleFailed } from "./BundleFailed.ts"
import { BundleLimits } from "./BundleLimits.ts"
import { type BundleRefused, refuse, type Rule } from "./BundleRefused.ts"
import { type Change, type ChangeSet, toDiff } from "./Change.ts"
import { between } from "./ChangeSet.ts"
import { breathe } from "./internal/bundle/Handle.ts"
import { applyHunks, hunksOf, parseDiff, textOf } from "./internal/bundle/Text.ts"
import { type FileVersion, type Tree, versionOf } from "./Tree.ts"
import { Collisions, problemOf } from "./TreePath.ts"

/** One file on the wire. */
export const Patch = Schema.Struct({
  path: Schema.String,
  operation: Schema.Literal("add", "modify", "delete"),
  /** Unified diff; empty when there is `binaryContent` or nothing to show. */
  diff: Schema.String,
  /** The whole new content, base64: for what is no text. */
  binaryContent: Schema.optional(Schema.String)
})
export type Patch = typeof Patch.Type

/** A change set as it travels in `README.md` and in answers of the gateway. A rename is a deletion and an addition. */
export const DiffBundle = Schema.Struct({
  seq: Schema.Int.pipe(Schema.nonNegative()),
  baseRef: Schema.String.pipe(Schema.maxLength(256)),
  patches: Schema.Array(Patch).pipe(Schema.maxItems(BundleLimits.patches))
})
export type DiffBundle = typeof DiffBundle.Type

/** Instead of changes that are more than an answer may have. */
export interface Oversized {
  readonly status: "oversized"
  readonly baseRef: string
  /** Digest of the last change set. */
  readonly terminalRef: string
  /** About as many bytes as it would have. */
  readonly sizeBytes: number
  readonly maxBytes: number
}

const patchBytes = ({ binaryContent, diff, path }: Patch): number =>
  Buffer.byteLength(diff) + (binaryContent?.length ?? 0) + path.length

/** What patches count of the bound on them. */
export const bytesOf = (patches: ReadonlyArray<Patch>): number =>
  patches.reduce((sum, patch) => sum + patchBytes(patch), 0)

/** The first path of a list that breaks a rule by itself. */
export const refuseEach = (paths: ReadonlyArray<string>): BundleRefused | undefined => {
  for (const path of paths) {
    const problem = problemOf(path)
    if (problem !== undefined) return refuse(problem.rule, path, problem.bound)
  }
  return undefined
}

/** The same, and for paths that are to be there together. */
export const refusePaths = (paths: ReadonlyArray<string>): BundleRefused | undefined => {
  const collisions = new Collisions()
  for (const path of paths) {
    const problem = problemOf(path) ?? collisions.add(path)
    if (problem !== undefined) return refuse(problem.rule, path, problem.bound)
  }
  return undefined
}

/** A rename as the wire knows it: the old file goes, the new one comes. */
const halvesOf = (change: Change): ReadonlyArray<Change> =>
  change.from === null
    ? [change]
    : [
      { ...change, path: change.from, operation: "delete", from: null, produced: null },
      { ...change, operation: "add", from: null, base: null }
    ]

/** A change set for the wire; `TotalSize` when it would have more than `maxBytes` (5 MiB unless given). */
export const fromChangeSet = Effect.fn("DiffBundle.fromChangeSet")(function*(
  { baseRef, changes, seq }: ChangeSet,
  options: { readonly maxBytes?: number } = {}
): Effect.fn.Return<DiffBundle, BundleRefused | BundleFailed, BlobStore> {
  const store = yield* BlobStore
  const { maxBytes = BundleLimits.diffBundleBytes } = options
  let bytes = 0
  const patches: Array<Patch> = []
  const content = (version: FileVersion): Effect.Effect<Buffer, BundleRefused | BundleFailed> =>
    version.bytes > maxBytes ? tooLarge(maxBytes) : store.get(version.sha256)
  const text = (version: FileVersion | null) => {
    if (version === null) return Effect.succeed("")
    // It has none that is compared by lines: what is not sent need not be read.
    return version.bytes > BundleLimits.diffFileBytes
      ? Effect.succeed(undefined)
      : Effect.map(store.get(version.sha256), textOf)
  }
  for (const change of changes.flatMap(halvesOf)) {
    const { base, operation, path, produced } = change
    // A half of a rename, or a change that is shown as a whole, has hunks of its own.
    const before = yield* text(base)
    const after = yield* text(produced)
    yield* breathe
    const isText = before !== undefined && after !== undefined
    const hunks = isText ? hunksOf(before, after).map((hunk, index) => ({ number: index + 1, ...hunk })) : []
    const patch: Patch = {
      path,
      operation: operation === "rename" ? "add" : operation,
      diff: toDiff({ ...change, hunks }),
      ...(isText || produced === null || base?.sha256 === produced.sha256
        ? {}
        : { binaryContent: (yield* content(produced)).toString("base64") })
    }
    bytes += patchBytes(patch)
    if (bytes > maxBytes) return yield* tooLarge(maxBytes)
    patches.push(patch)
  }
  return { seq, baseRef, patches }
})

const tooLarge = (maxBytes: number) => refuse("TotalSize", "diffBundle", `a diff bundle has at most ${maxBytes} bytes`)

const misfit = (path: string, bound: string, rule: Rule = "Patch") => refuse(rule, path, bound)

/** The text or bytes that a patch makes of the base's file, and whether it is executable. */
const produce = (
  { binaryContent, diff, path }: Patch,
  base: FileVersion | undefined
): Effect.Effect<FileVersion, BundleRefused | BundleFailed, BlobStore> =>
  Effect.gen(function*() {
    const store = yield* BlobStore
    const parsed = parseDiff(diff)
    if (Either.isLeft(parsed)) {
      if (binaryContent === undefined) return yield* misfit(path, parsed.left)
    } else if (parsed.right.newMode !== undefined && !/^100(644|755)$/.test(parsed.right.newMode)) {
      return yield* misfit(path, "only regular files: mode 100644 or 100755", "Symlink")
    }
    const newMode = Either.isRight(parsed) ? parsed.right.newMode : undefined
    const executable = newMode === undefined ? base?.executable ?? false : newMode === "100755"
    if (binaryContent !== undefined) {
      const decoded = Encoding.decodeBase64(binaryContent)
      if (Either.isLeft(decoded)) return yield* misfit(path, "binaryContent is base64")
      return { ...(yield* store.put(decoded.right)), executable }
    }
    const { hunks } = Either.getOrThrow(parsed)
    if (hunks.length === 0 && base !== undefined) return { ...base, executable }
    const before = base === undefined ? "" : textOf(yield* store.get(base.sha256))
    const after = before === undefined ? Either.left(0) : applyHunks(before, hunks)
    if (Either.isLeft(after)) return yield* misfit(path, `hunk ${after.left + 1} fits the base exactly`)
    return { ...(yield* store.put(Buffer.from(after.right))), executable }
  })

/**
 * What a diff bundle that somebody sent makes of a base, as a change set of our own. Every hunk must fit exactly where it
 * says; names inside the diffs mean nothing, only `path` does, by the rules of trees. `baseRef` is not compared: what
 * the hunks fit is the base that is given. Contents go to the store; on a refusal nothing refers to them.
 */
export const toChangeSet = Effect.fn("DiffBundle.toChangeSet")(function*(
  { patches, seq }: DiffBundle,
  base: Tree
): Effect.fn.Return<ChangeSet, BundleRefused | BundleFailed, BlobStore> {
  const refused = refuseEach(patches.map(({ path }) => path))
  if (refused !== undefined) return yield* refused
  const files = new Map(base.files.map((file) => [file.path, file]))
  const touched = new Set<string>()
  for (const patch of patches) {
    const { operation, path } = patch
    if (touched.has(path)) return yield* misfit(path, "a file has one patch")
    touched.add(path)
    const old = files.get(path)
    if (operation === "add" && old !== undefined) return yield* misfit(path, "the base has no file that is added")
    if (operation !== "add" && old === undefined) return yield* misfit(path, "the base has the file")
    if (operation === "delete") files.delete(path)
    else files.set(path, { path, ...(yield* produce(patch, old === undefined ? undefined : versionOf(old))) })
  }
  const collision = refusePaths([...files.keys()])
  if (collision !== undefined) return yield* collision
  const nested = [...files.keys()].find((path) => {
    for (let slash = path.indexOf("/"); slash >= 0; slash = path.indexOf("/", slash + 1)) {
      if (files.has(path.slice(0, slash))) return true
    }
    return false
  })
  if (nested !== undefined) return yield* misfit(nested, "a file does not lie in a file", "NotADirectory")
  const produced = { ...base, files: [...files.values()].sort((a, b) => a.path < b.path ? -1 : 1) }
  return yield* between(base, produced, { seq: Math.max(1, seq) })
})

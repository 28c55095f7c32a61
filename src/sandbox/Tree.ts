import { Effect, Schema } from "effect"
import { BlobStore } from "./BlobStore.ts"
import type { BundleFailed } from "./BundleFailed.ts"
import { BundleLimits } from "./BundleLimits.ts"
import { type BundleRefused, Rule } from "./BundleRefused.ts"
import { digestOf, Sha256 } from "./internal/bundle/Digest.ts"
import * as Handle from "./internal/bundle/Handle.ts"
import { type Allowance, scan, stageAll } from "./internal/bundle/Walk.ts"
import { TreePath } from "./TreePath.ts"

/** The content of a file, which is in the `BlobStore`, and whether its owner may execute it. */
export const FileVersion = Schema.Struct({
  sha256: Sha256,
  bytes: Schema.Int.pipe(Schema.nonNegative()),
  executable: Schema.Boolean
})
export type FileVersion = typeof FileVersion.Type

/**
 * The regular files of a directory at one moment. Directories exist by what is in them; `.git` is never part of a tree,
 * whatever its depth.
 */
export const Tree = Schema.Struct({
  /** By path, in code-unit order; at most 20,000, of 512 MiB together. */
  files: Schema.Array(Schema.Struct({ path: TreePath, ...FileVersion.fields })),
  /** What was left out on demand. */
  exclude: Schema.Array(Schema.String),
  /** The first 1,000 entries of an own tree that cannot be part of one: links, devices, names that are not portable. */
  skipped: Schema.Array(Schema.Struct({ path: Schema.String, rule: Rule }))
})
export type Tree = typeof Tree.Type

interface Options {
  /**
   * What is no part of the tree, for instance because git ignores it: a path with a `/` (`build/out`) names one place, a
   * name without (`node_modules`) every place. A capture takes those of its base.
   */
  readonly exclude?: ReadonlyArray<string> | undefined
}

/** The name of a state of files: equal exactly when all paths, contents and execute bits are. */
export const refOf = ({ files }: Pick<Tree, "files">): string =>
  digestOf(files.map(({ executable, path, sha256 }) => [path, sha256, executable]))

/** The version of a file in a tree, without its path. */
export const versionOf = ({ bytes, executable, sha256 }: FileVersion): FileVersion => ({ sha256, bytes, executable })

const excluding = (exclude: ReadonlyArray<string>): (path: string) => boolean => {
  const anywhere = new Set([".git", ...exclude.filter((entry) => !entry.includes("/"))])
  const places = new Set(
    exclude.filter((entry) => entry.includes("/")).map((entry) => entry.replaceAll(/^\/|\/$/g, ""))
  )
  return (path) => anywhere.has(path.slice(path.lastIndexOf("/") + 1)) || places.has(path)
}

const take = (
  directory: string,
  trust: Allowance["trust"],
  exclude: ReadonlyArray<string>
): Effect.Effect<Tree, BundleRefused | BundleFailed, BlobStore> =>
  Handle.withRoot(directory, (root) =>
    Effect.gen(function*() {
      const { files, skipped } = yield* scan(root, {
        files: BundleLimits.treeFiles,
        directories: BundleLimits.treeDirectories,
        totalBytes: BundleLimits.treeBytes,
        fileBytes: BundleLimits.fileBytes,
        trust,
        isExcluded: excluding(exclude)
      })
      const staged = yield* stageAll(root, files)
      return {
        files: staged.map(({ path, ...file }) => ({ path, ...versionOf(file) })).sort((a, b) =>
          a.path < b.path ? -1 : 1
        ),
        exclude,
        skipped
      }
    })).pipe(Effect.catchTag("Errno", (errno) => Handle.failed(errno)))

/**
 * Records a directory of our own (absolute path): the base of what a sandbox is given. Every content is taken into the
 * store, so that a base can be shown and merged after the directory has moved on. What cannot be part of a tree is
 * passed over; `BundleRefused` names a bound (`TooMany`, `FileSize`, `TotalSize`) or a file that changed meanwhile.
 */
export const record = Effect.fn("Tree.record")((directory: string, options: Options = {}) =>
  take(directory, "own", options.exclude ?? [])
)

/**
 * Records what somebody nobody trusts has made of a directory (absolute path). The first thing that is no regular file
 * or directory, or has no portable name, refuses the whole tree. Reading is by handle: whatever is swapped meanwhile,
 * nothing from outside the directory gets into the tree.
 */
export const capture = Effect.fn("Tree.capture")((directory: string, options: Options = {}) =>
  take(directory, "hostile", options.exclude ?? [])
)

/**
 * Writes a tree into a new directory (absolute path, its parent exists), as a copy to work on: not flushed to the disk.
 * Fails with `EEXIST` when something is there; what a failure leaves is for the caller to remove.
 */
export const materialize = Effect.fn("Tree.materialize")((
  { files }: Pick<Tree, "files">,
  directory: string
): Effect.Effect<void, BundleRefused | BundleFailed, BlobStore> => {
  const slash = directory.lastIndexOf("/")
  return Handle.withRoot(directory.slice(0, slash) || "/", (above) =>
    Effect.gen(function*() {
      const store = yield* BlobStore
      yield* Handle.makeDirectory(above, directory.slice(slash + 1), 0o755)
      yield* Handle.withRoot(directory, (root) =>
        Effect.forEach(files, ({ executable, path, sha256 }) =>
          Effect.zipRight(
            Handle.makeParents(root, path),
            Handle.withParent(root, path, (parent, name) =>
              parent === undefined ? Effect.dieMessage("the parent was just made") : Handle.withNewFile(
                parent,
                name,
                (draft) => Effect.zipRight(store.read(sha256, draft.write), draft.chmod(executable ? 0o755 : 0o644))
              ))
          ), { discard: true }))
    })).pipe(Effect.catchTag("Errno", (errno) => Handle.failed(errno)))
})

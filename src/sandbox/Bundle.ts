import { Effect } from "effect"
import { BlobStore } from "./BlobStore.ts"
import type { BundleFailed } from "./BundleFailed.ts"
import { BundleLimits } from "./BundleLimits.ts"
import * as BundleManifest from "./BundleManifest.ts"
import { type BundleRefused, refuse } from "./BundleRefused.ts"
import { refusePaths } from "./DiffBundle.ts"
import * as Handle from "./internal/bundle/Handle.ts"
import { type Allowance, scan, stageAll } from "./internal/bundle/Walk.ts"
import { type Tree, versionOf } from "./Tree.ts"

/** A file of a bundle besides the manifest. */
export interface BundleFile {
  /** Relative to the bundle. */
  readonly path: string
  readonly content: Uint8Array
}

type StagedFile = Tree["files"][number]

/** A result that has been read, checked, and taken into the store: from here on its directory does not matter. */
export interface ResultBundle {
  readonly manifest: BundleManifest.ResultManifest
  readonly patches: ReadonlyArray<StagedFile>
  readonly artifacts: ReadonlyArray<StagedFile>
  /** `logs/stream.ndjson`, if there is one. */
  readonly log: StagedFile | null
  /** Of all files together, with the manifest. */
  readonly bytes: number
}

const allowance: Allowance = {
  files: BundleLimits.patches + BundleLimits.artifacts + 2,
  directories: 2 * (BundleLimits.patches + BundleLimits.artifacts),
  totalBytes: BundleLimits.totalBytes,
  fileBytes: BundleLimits.fileBytes,
  trust: "hostile",
  isExcluded: () => false
}

const logPath = "logs/stream.ndjson"

const isPatch = (path: string): boolean => path.startsWith("patches/") && path.endsWith(".patch")
const isArtifact = (path: string): boolean => path.startsWith("artifacts/")

/** A place in a result that has no meaning, or too many files in one that has. */
const misplaced = (paths: ReadonlyArray<string>): BundleRefused | undefined => {
  const stray = paths.find((path) =>
    path !== BundleManifest.manifestName && path !== logPath && !isPatch(path) && !isArtifact(path)
  )
  if (stray !== undefined) {
    return refuse("Layout", stray, "only README.md, patches/**/*.patch, artifacts/** and logs/stream.ndjson")
  }
  if (paths.filter(isPatch).length > BundleLimits.patches) {
    return refuse("TooMany", "patches", `at most ${BundleLimits.patches} patches`)
  }
  if (paths.filter(isArtifact).length > BundleLimits.artifacts) {
    return refuse("TooMany", "artifacts", `at most ${BundleLimits.artifacts} artifacts`)
  }
  return undefined
}

/**
 * Reads a result bundle (absolute path of its directory) as hostile input: regular files and directories of portable
 * names only, all of it within `BundleLimits`, each file read once, by handle. What is swapped, grows or is replaced
 * meanwhile is refused (`Changed`) or does not matter, because only what went to the store counts.
 */
export const readResult = Effect.fn("Bundle.readResult")((
  directory: string
): Effect.Effect<ResultBundle, BundleRefused | BundleFailed, BlobStore> =>
  Handle.withRoot(directory, (root) =>
    Effect.gen(function*() {
      const { bytes, files } = yield* scan(root, allowance)
      const refused = misplaced(files.map(({ path }) => path))
      if (refused !== undefined) return yield* refused
      const readme = files.find(({ path }) => path === BundleManifest.manifestName)
      if (readme === undefined || readme.bytes === 0) {
        return yield* refuse("Missing", BundleManifest.manifestName, "a bundle has a manifest")
      }
      if (readme.bytes > BundleLimits.manifestBytes) {
        return yield* refuse(
          "FileSize",
          BundleManifest.manifestName,
          `a manifest has at most ${BundleLimits.manifestBytes} bytes`
        )
      }
      const store = yield* BlobStore
      const [stagedReadme] = yield* stageAll(root, [readme])
      const text = yield* store.get(stagedReadme?.sha256 ?? "", BundleLimits.manifestBytes)
      const manifest = yield* BundleManifest.parseResult(text.toString("utf8"))
      const names = new Set(files.map(({ path }) => path))
      const missing = manifest.patches?.find((path) => !names.has(path))
      if (missing !== undefined) return yield* refuse("Missing", missing, "a listed patch is in the bundle")
      const staged = (yield* stageAll(root, files.filter((file) => file !== readme)))
        .map(({ path, ...file }) => ({ path, ...versionOf(file) }))
      return {
        manifest,
        patches: staged.filter(({ path }) => isPatch(path)),
        artifacts: staged.filter(({ path }) => isArtifact(path)),
        log: staged.find(({ path }) => path === logPath) ?? null,
        bytes
      }
    })).pipe(Effect.catchTag("Errno", (errno) => Handle.failed(errno)))
)

/** Writes a bundle into a new directory, on disk when it returns; its parent directories are made. */
const write = (
  directory: string,
  files: ReadonlyArray<BundleFile>
): Effect.Effect<{ readonly bytes: number }, BundleRefused | BundleFailed> =>
  Effect.gen(function*() {
    const refused = refusePaths(files.map(({ path }) => path))
    if (refused !== undefined) return yield* refused
    if (new Set(files.map(({ path }) => path)).size < files.length) {
      return yield* refuse("Layout", directory, "a path is named once")
    }
    const bytes = files.reduce((sum, { content }) => sum + content.length, 0)
    if (bytes > BundleLimits.totalBytes) {
      return yield* refuse("TotalSize", directory, `all files have at most ${BundleLimits.totalBytes} bytes together`)
    }
    const slash = directory.lastIndexOf("/")
    yield* Handle.makeDirectories(directory.slice(0, slash) || "/")
    yield* Handle.withRoot(directory.slice(0, slash) || "/", (above) =>
      Handle.makeDirectory(above, directory.slice(slash + 1), 0o755))
    yield* Handle.withRoot(directory, (root) =>
      Effect.gen(function*() {
        for (const { content, path } of files) {
          yield* Handle.makeParents(root, path)
          yield* Handle.withParent(root, path, (parent, name) =>
            parent === undefined ? Effect.dieMessage("the parent was just made") : Handle.withNewFile(
              parent,
              name,
              (draft) =>
                Effect.all([draft.write(content), draft.chmod(0o644), draft.sync], { discard: true })
            ))
        }
        yield* Handle.syncDirectory(root)
      }))
    return { bytes }
  }).pipe(Effect.catchTag("Errno", (errno) =>
    Handle.failed(errno)))

const readme = (text: string): BundleFile => ({ path: BundleManifest.manifestName, content: Buffer.from(text) })

/**
 * Writes a request bundle into a new directory (absolute path): the manifest, and files of any place (`files`, at most
 * 1,000). Everything is checked before anything is written; a directory that is there already is `Io` with `EEXIST`.
 */
export const writeRequest = Effect.fn("Bundle.writeRequest")(function*(
  directory: string,
  manifest: BundleManifest.RequestManifest,
  files: ReadonlyArray<BundleFile> = []
): Effect.fn.Return<{ readonly bytes: number }, BundleRefused | BundleFailed> {
  if (files.length > BundleLimits.artifacts) {
    return yield* refuse("TooMany", directory, `at most ${BundleLimits.artifacts} files`)
  }
  return yield* write(directory, [readme(yield* BundleManifest.formatRequest(manifest)), ...files])
})

/** Writes a result bundle for a provider that returned values instead of a directory; the same rules as for reading. */
export const writeResult = Effect.fn("Bundle.writeResult")(function*(
  directory: string,
  manifest: BundleManifest.ResultManifest,
  files: ReadonlyArray<BundleFile> = []
): Effect.fn.Return<{ readonly bytes: number }, BundleRefused | BundleFailed> {
  const refused = misplaced(files.map(({ path }) => path))
  if (refused !== undefined) return yield* refused
  return yield* write(directory, [readme(yield* BundleManifest.formatResult(manifest)), ...files])
})

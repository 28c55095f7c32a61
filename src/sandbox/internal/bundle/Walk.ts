import { Effect } from "effect"
import { type Blob, BlobStore } from "../../BlobStore.ts"
import type { BundleFailed } from "../../BundleFailed.ts"
import { type BundleRefused, refuse, type Rule } from "../../BundleRefused.ts"
import { Collisions, problemOf } from "../../TreePath.ts"
import * as Handle from "./Handle.ts"

/** What a walk allows. */
export interface Allowance {
  readonly files: number
  readonly directories: number
  readonly totalBytes: number
  readonly fileBytes: number
  /**
   * `hostile`: whatever is no plain file of a portable name refuses the whole tree. `own`: it is passed over and listed
   * in `skipped`, and hard links and set-id bits are nothing special.
   */
  readonly trust: "hostile" | "own"
  /** Not looked at and not part of the tree. */
  readonly isExcluded: (path: string) => boolean
}

/** A regular file as it was found. */
interface Found {
  readonly path: string
  readonly bytes: number
  readonly executable: boolean
  /** Which file it was: the device and inode that it must still be when it is read. */
  readonly dev: number
  readonly ino: number
}

interface Scan {
  /** In code-unit order of their paths within each directory. */
  readonly files: ReadonlyArray<Found>
  readonly bytes: number
  readonly skipped: ReadonlyArray<{ readonly path: string; readonly rule: Rule }>
}

/** Passed-over entries that are listed. */
const maxSkipped = 1_000

/** Smaller files may be stored in the inode or compressed; they do no harm. */
const sparseFromBytes = 65_536

/** Entries between two breaths of the process. */
const entriesPerBreath = 64

/** What a hostile tree must not have at this place. */
const objectionTo = ({ path, stat }: Handle.Held, dev: number): BundleRefused | undefined => {
  if (stat.isSymbolicLink()) return refuse("Symlink", path, "only regular files and directories")
  if (stat.isFIFO()) return refuse("Fifo", path, "only regular files and directories")
  if (stat.isSocket()) return refuse("Socket", path, "only regular files and directories")
  if (!stat.isFile() && !stat.isDirectory()) return refuse("Device", path, "only regular files and directories")
  if (stat.dev !== dev) return refuse("Mount", path, "the tree lies on one file system")
  return undefined
}

const objectionToFile = ({ path, stat }: Handle.Held): BundleRefused | undefined => {
  if (stat.nlink > 1) return refuse("HardLink", path, "a file has one name")
  if ((stat.mode & 0o6000) !== 0) return refuse("SetId", path, "neither set-user-id nor set-group-id")
  if (stat.size >= sparseFromBytes && stat.blocks * 512 < stat.size / 2) {
    return refuse("Sparse", path, "at least half of a file is on disk")
  }
  return undefined
}

/** Looks at a whole tree by handle and reads none of it. */
export const scan = (
  root: Handle.Held,
  allowance: Allowance
): Effect.Effect<Scan, BundleRefused | Handle.Errno> =>
  Effect.gen(function*() {
    const files: Array<Found> = []
    const skipped: Array<Scan["skipped"][number]> = []
    const collisions = new Collisions()
    let bytes = 0
    let directories = 0
    let looked = 0

    /** True when the entry is to be passed over. */
    const objects = (objection: BundleRefused | undefined, path: string): Effect.Effect<boolean, BundleRefused> => {
      if (objection === undefined) return Effect.succeed(false)
      if (allowance.trust === "hostile") return objection
      if (skipped.length < maxSkipped) skipped.push({ path, rule: objection.rule })
      return Effect.succeed(true)
    }

    const objectionToPath = (path: string): BundleRefused | undefined => {
      const problem = problemOf(path) ?? collisions.add(path)
      return problem === undefined ? undefined : refuse(problem.rule, path, problem.bound)
    }

    const visitFile = (file: Handle.Held): Effect.Effect<void, BundleRefused> =>
      Effect.gen(function*() {
        const { path, stat } = file
        if (allowance.trust === "hostile" && (yield* objects(objectionToFile(file), path))) return
        if (stat.size > allowance.fileBytes) {
          return yield* refuse("FileSize", path, `a file has at most ${allowance.fileBytes} bytes`)
        }
        bytes += stat.size
        if (bytes > allowance.totalBytes) {
          return yield* refuse("TotalSize", path, `all files have at most ${allowance.totalBytes} bytes together`)
        }
        if (files.length >= allowance.files) {
          return yield* refuse("TooMany", path, `at most ${allowance.files} files`)
        }
        files.push({ path, bytes: stat.size, executable: (stat.mode & 0o100) !== 0, dev: stat.dev, ino: stat.ino })
      })

    const visit = (directory: Handle.Held): Effect.Effect<void, BundleRefused | Handle.Errno> =>
      Effect.gen(function*() {
        const tooMany = refuse("TooMany", directory.path, `at most ${allowance.files} files`)
        const names = yield* Handle.namesIn(directory, allowance.files + allowance.directories)
        if (names === undefined) return yield* tooMany
        for (const name of names) {
          const path = directory.path === "" ? name : `${directory.path}/${name}`
          if (allowance.isExcluded(path)) continue
          if (++looked % entriesPerBreath === 0) yield* Handle.breathe
          if (yield* objects(objectionToPath(path), path)) continue
          yield* Handle.withChild(directory, name, (child): Effect.Effect<void, BundleRefused | Handle.Errno> =>
            Effect.gen(function*() {
              if (child === undefined) {
                return yield* refuse("Changed", path, "nothing is removed while the tree is looked at")
              }
              if (yield* objects(objectionTo(child, root.stat.dev), path)) return
              if (child.stat.isFile()) {
                return yield* visitFile(child)
              }
              if (++directories > allowance.directories) {
                return yield* refuse("TooMany", path, `at most ${allowance.directories} directories`)
              }
              yield* visit(child)
            }))
        }
      })

    yield* visit(root)
    return { files, bytes, skipped }
  })

/** A file of a scan whose content is ours now. */
type Staged = Found & Blob

/**
 * Takes the content of a scanned file into the store, by handle. From here on only the stored copy counts. A file that
 * is not the one that was scanned any more, or not as long, is `Changed`.
 */
const stage = (
  root: Handle.Held,
  file: Found
): Effect.Effect<Staged, BundleRefused | BundleFailed | Handle.Errno, BlobStore> =>
  Handle.withPath(root, file.path, (held) =>
    Effect.gen(function*() {
      const store = yield* BlobStore
      if (
        held === undefined || !held.stat.isFile() || held.stat.ino !== file.ino || held.stat.dev !== file.dev ||
        held.stat.size !== file.bytes
      ) {
        return yield* refuse("Changed", file.path, "nothing changes while the tree is read")
      }
      const blob = yield* store.write((write) => Handle.readChunks(held, write))
      return { ...file, ...blob }
    }))

/** Flushing to the disk takes most of the time, and the disk does several at once. */
const concurrency = 4

export const stageAll = (root: Handle.Held, files: ReadonlyArray<Found>) =>
  Effect.forEach(files, (file) => stage(root, file), { concurrency })

import { Effect } from "effect"
import { BlobStore } from "../../BlobStore.ts"
import type { BundleFailed } from "../../BundleFailed.ts"
import { BundleLimits } from "../../BundleLimits.ts"
import { type BundleRefused, refuse } from "../../BundleRefused.ts"
import { type ChangeRefused, refuseChange, type Versions } from "../../ChangeRefused.ts"
import type { Outcome } from "../../Review.ts"
import type { FileVersion } from "../../Tree.ts"
import { newHash } from "./Digest.ts"
import * as Handle from "./Handle.ts"
import type { Step } from "./Intent.ts"
import { textOf } from "./Text.ts"

type Fault = ChangeRefused | BundleRefused | BundleFailed

/** SHA-256 of a file as it is now. */
export const hashOf = (file: Handle.Held): Effect.Effect<string, BundleRefused | Handle.Errno> =>
  Effect.suspend(() => {
    const hash = newHash()
    return Effect.map(
      Handle.readChunks(file, (chunk) => Effect.sync(() => void hash.update(chunk))),
      () => hash.digest("hex")
    )
  })

export const isExecutable = ({ stat }: Handle.Held): boolean => (stat.mode & 0o100) !== 0

export const same = (a: FileVersion | null, b: FileVersion | null): boolean =>
  a?.sha256 === b?.sha256 && a?.executable === b?.executable

/** What a path of the target is at the moment. */
export interface Current {
  readonly outcome: Outcome
  readonly version: FileVersion | null
  readonly isDirectory: boolean
  /** Permissions and owner that a file in its place is to have. */
  readonly mode: number
  readonly uid: number
  readonly gid: number
}

const look = (
  root: Handle.Held,
  outcome: Outcome,
  touched: ReadonlySet<string>
): Effect.Effect<Current, Fault | Handle.Errno> =>
  Handle.withPath(root, outcome.path, (found): Effect.Effect<Current, Fault | Handle.Errno> =>
    Effect.gen(function*() {
      const { path } = outcome
      if (found === undefined) return nothing(root, outcome)
      const { stat } = found
      if (stat.isDirectory()) return { ...nothing(root, outcome), isDirectory: true }
      if (!stat.isFile()) {
        return yield* refuse(stat.isSymbolicLink() ? "Symlink" : "Device", path, "only regular files are replaced")
      }
      if (stat.size > BundleLimits.fileBytes) {
        return yield* refuse("FileSize", path, `a file has at most ${BundleLimits.fileBytes} bytes`)
      }
      const version = { sha256: yield* hashOf(found), bytes: stat.size, executable: isExecutable(found) }
      return { outcome, version, isDirectory: false, mode: stat.mode & 0o777, uid: stat.uid, gid: stat.gid }
    })).pipe(Effect.catchIf(
      // A file that the same application moves out of the way of a directory, or has put there.
      (error) => error._tag === "BundleRefused" && error.rule === "NotADirectory" && hasPrefixIn(outcome.path, touched),
      () => Effect.succeed(nothing(root, outcome))
    ))

const nothing = ({ stat }: Handle.Held, outcome: Outcome): Current => ({
  outcome,
  version: null,
  isDirectory: false,
  mode: 0o644,
  uid: stat.uid,
  gid: stat.gid
})

/** The directories above a path, the highest first. */
const foldersOf = (path: string): ReadonlyArray<string> => {
  const names = path.split("/").slice(0, -1)
  return names.map((_, depth) => names.slice(0, depth + 1).join("/"))
}

const hasPrefixIn = (path: string, paths: ReadonlySet<string>): boolean =>
  foldersOf(path).some((folder) => paths.has(folder))

/** As on the base: the file is the one that was changed, or there is none where one is added. */
const isOnBase = ({ isDirectory, outcome, version }: Current, displaced: ReadonlySet<string>): boolean =>
  same(version, outcome.base) &&
  (!isDirectory || (outcome.base === null && [...displaced].some((path) => path.startsWith(`${outcome.path}/`))))

const cut = (text: string | undefined): string | null => text?.slice(0, BundleLimits.versionChars) ?? null

/** The three versions of a file, as far as they are texts. */
const versionsOf = (root: Handle.Held, { outcome, version }: Current): Effect.Effect<Versions, never, BlobStore> =>
  Effect.gen(function*() {
    const store = yield* BlobStore
    const stored = (file: FileVersion | null) =>
      file === null || file.bytes > BundleLimits.diffFileBytes ? Effect.succeed(null) : store.get(file.sha256).pipe(
        Effect.map((content) => cut(textOf(content))),
        Effect.orElseSucceed(() => null)
      )
    const current = Handle.withPath(
      root,
      outcome.path,
      (found) =>
        found === undefined || !found.stat.isFile() || found.stat.size > BundleLimits.diffFileBytes
          ? Effect.succeed(null)
          : Effect.map(Handle.readWhole(found), (content) => cut(textOf(content)))
    )
    return {
      path: outcome.path,
      base: outcome.base,
      current: version,
      produced: outcome.result,
      texts: {
        base: yield* stored(outcome.base),
        current: version === null ? null : yield* Effect.orElseSucceed(current, () => null),
        produced: yield* stored(outcome.result)
      }
    }
  })

const stale = (root: Handle.Held, moved: ReadonlyArray<Current>): Effect.Effect<never, ChangeRefused, BlobStore> =>
  Effect.flatMap(
    Effect.forEach(moved.slice(0, BundleLimits.versions), (current) => versionsOf(root, current)),
    (versions) =>
      refuseChange(
        "Stale",
        moved[0]?.outcome.path ?? "",
        `${moved.length === 1 ? "is" : `and ${moved.length - 1} more are`} not what the changes were made on`,
        versions
      )
  )

/** Fails with `Stale` and the three versions of each file that is neither as on the base nor as it should become. */
export const examine = (
  root: Handle.Held,
  outcomes: ReadonlyArray<Outcome>
): Effect.Effect<
  { readonly done: boolean; readonly currents: ReadonlyArray<Current> },
  Fault | Handle.Errno,
  BlobStore
> =>
  Effect.gen(function*() {
    const displaced = displacedOf(outcomes)
    const touched = new Set(outcomes.map(({ path }) => path))
    const currents = yield* Effect.forEach(outcomes, (outcome) => look(root, outcome, touched))
    const done = currents.every(({ isDirectory, outcome, version }) =>
      same(version, outcome.result) && (!isDirectory || outcome.result === null)
    )
    const moved = done ? [] : currents.filter((current) => !isOnBase(current, displaced))
    return moved.length > 0 ? yield* stale(root, moved) : { done, currents }
  })

const displacedOf = (outcomes: ReadonlyArray<Outcome>): ReadonlySet<string> =>
  new Set(outcomes.filter(({ base }) => base !== null).map(({ path }) => path))

/** The steps that lead from the base to the result; slots are positions in `currents`. */
export const plan = (
  root: Handle.Held,
  currents: ReadonlyArray<Current>
): Effect.Effect<ReadonlyArray<Step>, Fault | Handle.Errno> =>
  Effect.gen(function*() {
    const displaced = displacedOf(currents.map(({ outcome }) => outcome))
    const slots = currents.map((current, index) => ({ ...current, path: current.outcome.path, slot: String(index) }))
    const placed = slots.filter(({ outcome }) => outcome.result !== null)
    const inTheWay = new Set(
      placed.filter(({ isDirectory }) => isDirectory).flatMap(({ path }) => [
        path,
        ...[...displaced].flatMap(foldersOf).filter((folder) => folder.startsWith(`${path}/`))
      ])
    )
    const missing = yield* Effect.filter(
      [...new Set(placed.flatMap(({ path }) => foldersOf(path)))].sort(),
      (folder) =>
        displaced.has(folder) || hasPrefixIn(folder, displaced)
          ? Effect.succeed(true)
          : Handle.withPath(root, folder, (found) => Effect.succeed(found === undefined))
    )
    const removed = yield* Effect.forEach([...inTheWay].sort().reverse(), (path) =>
      Handle.withPath(root, path, (found) =>
        Effect.succeed({ _tag: "RemoveDirectory" as const, path, mode: (found?.stat.mode ?? 0o755) & 0o777 })))
    return [
      ...slots.filter(({ outcome }) =>
        outcome.base !== null
      ).map(({ path, slot }) => ({
        _tag: "Displace" as const,
        path,
        slot
      })),
      ...removed,
      ...missing.map((path) => ({ _tag: "MakeDirectory" as const, path })),
      ...placed.map(({ path, slot }) => ({ _tag: "Place" as const, path, slot }))
    ]
  })

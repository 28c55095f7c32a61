import { Effect } from "effect"
import { BlobStore } from "./BlobStore.ts"
import type { BundleFailed } from "./BundleFailed.ts"
import { BundleLimits } from "./BundleLimits.ts"
import { type BundleRefused, refuse } from "./BundleRefused.ts"
import { type ChangeRefused, refuseChange } from "./ChangeRefused.ts"
import { AfterStep } from "./internal/bundle/AfterStep.ts"
import * as Handle from "./internal/bundle/Handle.ts"
import * as Intent from "./internal/bundle/Intent.ts"
import { type Current, examine, hashOf, isExecutable, plan, same } from "./internal/bundle/Target.ts"
import type { Selection } from "./Review.ts"

/** What an application has come to. */
interface Applied {
  /** `already`: every file was as it should be, so that nothing was done; what a repeated application answers. */
  readonly outcome: "applied" | "already"
  /** Files that were written or removed. */
  readonly files: number
}

/** What was left of an application that was cut off: nothing · undone · it had finished · it had not begun. */
type Recovered = "none" | "undone" | "finished" | "discarded"

type Fault = ChangeRefused | BundleRefused | BundleFailed

const toFault = <A, R>(effect: Effect.Effect<A, Fault | Handle.Errno, R>): Effect.Effect<A, Fault, R> =>
  Effect.catchTag(effect, "Errno", (errno) => Handle.failed(errno))

/** Opens the target and the directory that it lies in; the target itself must not be a link. */
const withTarget = <A, R>(
  target: string,
  use: (above: Handle.Held, root: Handle.Held, staging: string) => Effect.Effect<A, Fault | Handle.Errno, R>
): Effect.Effect<A, Fault, R> => {
  const [, parent, name] = /^(\/.*?)?\/([^/]+)\/*$/.exec(target) ?? []
  if (name === undefined || name === "." || name === "..") {
    return refuseChange("Target", target, "must be the absolute path of a directory that lies in another one")
  }
  // The path down to the target is the operator's, links and all; `/.` follows one that is its last component.
  return toFault(
    Handle.withRoot(
      `${parent ?? ""}/.`,
      (above) =>
        Handle.withChild(above, name, (root): Effect.Effect<A, Fault | Handle.Errno, R> => {
          if (root === undefined) {
            return refuseChange("Target", target, "is not there")
          }
          if (root.stat.isSymbolicLink()) return refuse("Symlink", target, "the target is no symbolic link")
          if (!root.stat.isDirectory()) return refuse("NotADirectory", target, "the target is a directory")
          return use(above, { ...root, path: "" }, `.${name}.smithers-apply`)
        })
    )
  )
}

/** The permissions of a file that replaces another: those it had, with or without execution for who may read. */
const modeOf = ({ mode, outcome }: Current): number =>
  outcome.result?.executable === true ? mode | ((mode & 0o444) >> 2) : mode & ~0o111

/** Takes a step; what is found to have changed since it was looked at is `Stale`. */
const take = (site: Intent.Site, step: Intent.Step, currents: ReadonlyArray<Current>) =>
  Handle.withParent(site.target, step.path, (parent, name): Effect.Effect<void, Fault | Handle.Errno, BlobStore> => {
    const gone = refuseChange("Stale", step.path, "has changed while the changes were applied")
    if (parent === undefined) return gone
    switch (step._tag) {
      case "Displace":
        return Effect.zipRight(
          Handle.rename(parent, name, site.displaced, step.slot),
          Handle.withChild(site.displaced, step.slot, (old) =>
            Effect.gen(function*() {
              const base = currents[Number(step.slot)]?.outcome.base ?? null
              if (old === undefined || !old.stat.isFile() || old.stat.size !== base?.bytes) return yield* gone
              if (!same({ ...base, sha256: yield* hashOf(old), executable: isExecutable(old) }, base)) {
                return yield* gone
              }
            }))
        ).pipe(Effect.catchIf((error) => error._tag === "Errno" && error.code === "ENOENT", () => gone))
      case "RemoveDirectory":
        return Effect.catchIf(
          Handle.removeDirectory(parent, name),
          ({ code }) => code === "ENOTEMPTY",
          () => refuseChange("Stale", step.path, "is a directory with other files in it")
        )
      case "MakeDirectory":
        return Effect.catchIf(
          Effect.zipRight(Handle.makeDirectory(parent, name, 0o755), Handle.inheritOwner(parent, name)),
          ({ code }) => code === "EEXIST",
          () => Effect.void
        )
      case "Place":
        return Effect.catchIf(
          Handle.link(site.incoming, step.slot, parent, name),
          ({ code }) => code === "EEXIST",
          () => gone
        )
    }
  })

/** Writes the new contents beside the target, verified and on disk. */
const stageContents = (site: Intent.Site, currents: ReadonlyArray<Current>) =>
  Effect.gen(function*() {
    const store = yield* BlobStore
    yield* Effect.forEach(currents, (current, index) => {
      const { gid, outcome: { result }, uid } = current
      return result === null ?
        Effect.void :
        Handle.withNewFile(site.incoming, String(index), (draft) =>
          Effect.gen(function*() {
            yield* store.read(result.sha256, draft.write)
            yield* draft.chown(uid, gid)
            yield* draft.chmod(modeOf(current))
            yield* draft.sync
          }))
    }, { concurrency: 4, discard: true })
    yield* Handle.syncDirectory(site.incoming)
  })

/** From the intent to the end; not to be interrupted, but it may die at any point. */
const swap = (site: Intent.Site, intent: Intent.Intent, currents: ReadonlyArray<Current>) =>
  Effect.gen(function*() {
    const after = yield* AfterStep
    yield* Intent.write(site.staging, intent)
    yield* after("intent")
    yield* Effect.gen(function*() {
      for (const step of intent.steps) {
        yield* take(site, step, currents)
        yield* after(`${step._tag} ${step.path}`)
      }
      yield* Intent.syncAll(site, intent)
      yield* Handle.rename(site.staging, "intent", site.staging, "done")
    }).pipe(Effect.catchAll((error) => Effect.zipRight(Intent.undo(site, intent), Effect.fail(error))))
    yield* after("done")
    yield* Handle.syncDirectory(site.staging)
    yield* Intent.tidy(site.target, intent)
    yield* after("tidied")
  })

const emptyOut = (directory: Handle.Held): Effect.Effect<void, Handle.Errno> =>
  Effect.flatMap(
    Handle.namesIn(directory, 2 * BundleLimits.changes + 1),
    (names = []) => Effect.forEach(names, (name) => Handle.removeFile(directory, name), { discard: true })
  )

/** Removes the directory beside the target: what was replaced goes for good. */
const clear = (above: Handle.Held, name: string): Effect.Effect<void, Handle.Errno> =>
  Handle.withChild(
    above,
    name,
    (staging) =>
      staging === undefined || !staging.stat.isDirectory() ? Effect.void : Effect.gen(function*() {
        for (const part of ["new", "old"]) {
          yield* Handle.withChild(staging, part, (directory) =>
            directory === undefined
              ? Effect.void
              : Effect.zipRight(emptyOut(directory), Handle.removeDirectory(staging, part)))
        }
        yield* emptyOut(staging)
        yield* Handle.removeDirectory(above, name)
      })
  )

/** The same after a failure, unless the steps could not be undone, or had all been taken: then `recover` has to see to it. */
const abandon = (above: Handle.Held, name: string): Effect.Effect<void, Fault | Handle.Errno> =>
  Handle.withChild(above, name, (staging) =>
    Effect.gen(function*() {
      if (staging === undefined) return
      const intent = (yield* Intent.read(staging, "intent")) ?? (yield* Intent.read(staging, "done"))
      if (intent === undefined) yield* clear(above, name)
    }))

const withSite = <A, R>(
  above: Handle.Held,
  target: Handle.Held,
  name: string,
  use: (site: Intent.Site) => Effect.Effect<A, Fault | Handle.Errno, R>
): Effect.Effect<A, Fault | Handle.Errno, R> => {
  const lost = refuseChange("Busy", name, "somebody removes the directory of the application")
  return Handle.withChild(
    above,
    name,
    (staging) =>
      staging === undefined ?
        lost :
        Handle.withChild(staging, "new", (incoming) =>
          incoming === undefined ?
            lost :
            Handle.withChild(
              staging,
              "old",
              (displaced) => displaced === undefined ? lost : use({ target, staging, incoming, displaced })
            ))
  )
}

/**
 * Brings the accepted changes into a directory (absolute path), all of them or none.
 *
 * Every file must be what the change was made on, else `Stale` with the three versions; when all are what they should
 * become already, nothing is done, so that repeating is safe. Links in the target are never followed (`Symlink`). The
 * new contents are staged beside the target, in `.<name>.smithers-apply`, which must be on the same file system; then
 * old files are moved there, checked once more, and the new ones linked in their places. Whoever reads a file in
 * between may for an instant not find it. Nothing of somebody else is ever replaced: what appears in the way, or
 * changes meanwhile, undoes everything. Permissions and owner of a changed file are kept, but for its execute bits.
 *
 * One application at a time for each target (`Busy`). A crash leaves old or new after `recover`.
 */
export const apply = Effect.fn("ChangeApply.apply")((
  target: string,
  selection: Selection
): Effect.Effect<Applied, Fault, BlobStore> =>
  withTarget(target, (above, root, name) =>
    Effect.gen(function*() {
      const after = yield* AfterStep
      const busy = refuseChange("Busy", target, "another application is under way or was cut off: recover first")
      if (yield* Handle.withChild(above, name, (staging) => Effect.succeed(staging !== undefined))) return yield* busy
      const { currents, done } = yield* examine(root, selection.outcomes)
      if (done) return { outcome: "already" as const, files: 0 }
      const intent = { format: 1 as const, changeSet: selection.changeSet, steps: yield* plan(root, currents) }
      yield* Effect.uninterruptibleMask((restore) =>
        Effect.gen(function*() {
          yield* Effect.catchIf(
            Handle.makeDirectory(above, name, 0o700),
            ({ code }) => code === "EEXIST",
            () => busy
          )
          yield* after("staging")
          yield* Effect.gen(function*() {
            yield* Handle.withChild(above, name, (staging) =>
              staging === undefined ? Effect.void : Effect.zipRight(
                Handle.makeDirectory(staging, "new", 0o700),
                Handle.makeDirectory(staging, "old", 0o700)
              ))
            yield* withSite(above, root, name, (site) =>
              Effect.gen(function*() {
                yield* restore(stageContents(site, currents))
                yield* Handle.syncDirectory(above)
                yield* after("staged")
                yield* swap(site, intent, currents)
              }))
          }).pipe(Effect.onError(() => Effect.ignore(abandon(above, name))))
          yield* clear(above, name)
          yield* after("cleared")
        })
      )
      return { outcome: "applied" as const, files: currents.length }
    }))
)

/**
 * Ends an application that was cut off: one that had not got to its end is undone, one that had is tidied up. To be
 * called for a target before anything else is done with it, by the one process that works on it. Safe to repeat, and
 * to be cut off itself. `RecoveryBlocked` names a path where somebody has put something else meanwhile.
 */
export const recover = Effect.fn("ChangeApply.recover")((target: string): Effect.Effect<Recovered, Fault> =>
  withTarget(
    target,
    (above, root, name) =>
      Handle.withChild(above, name, (staging): Effect.Effect<Recovered, Fault | Handle.Errno> =>
        staging === undefined ? Effect.succeed("none") : Effect.uninterruptible(Effect.gen(function*() {
          const intent = yield* Intent.read(staging, "intent")
          const done = yield* Intent.read(staging, "done")
          if (intent !== undefined) {
            yield* withSite(above, root, name, (site) =>
              Intent.undo(site, intent))
          }
          if (done !== undefined) {
            yield* Intent.tidy(root, done)
          }
          yield* clear(above, name)
          return intent !== undefined ? "undone" : done !== undefined ? "finished" : "discarded"
        })))
  )
)

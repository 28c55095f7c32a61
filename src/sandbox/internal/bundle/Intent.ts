import { Effect, Schema } from "effect"
import { BundleFailed } from "../../BundleFailed.ts"
import type { BundleRefused } from "../../BundleRefused.ts"
import { type ChangeRefused, refuseChange } from "../../ChangeRefused.ts"
import { TreePath } from "../../TreePath.ts"
import { AfterStep } from "./AfterStep.ts"
import * as Handle from "./Handle.ts"

const Slot = Schema.String.pipe(Schema.pattern(/^\d{1,4}$/))

/**
 * One call to the operating system each, in this order: old files go to `old/<slot>`, directories that are in the way
 * go, missing ones come, and new files get their names from `new/<slot>`.
 */
export const Step = Schema.Union(
  Schema.TaggedStruct("Displace", { path: TreePath, slot: Slot }),
  Schema.TaggedStruct("RemoveDirectory", { path: TreePath, mode: Schema.Int }),
  Schema.TaggedStruct("MakeDirectory", { path: TreePath }),
  Schema.TaggedStruct("Place", { path: TreePath, slot: Slot })
)
export type Step = typeof Step.Type

/**
 * What an application is about to do to a target. It lies beside the target as `intent` before the first step and
 * becomes `done` after the last one: that rename is the moment at which the new state holds.
 */
export const Intent = Schema.Struct({
  format: Schema.Literal(1),
  changeSet: Schema.String,
  steps: Schema.Array(Step)
})
export type Intent = typeof Intent.Type

const IntentText = Schema.parseJson(Intent)

/** More than the steps of the largest change set need. */
const maxIntentBytes = 16_777_216

type Failure = BundleRefused | BundleFailed | ChangeRefused | Handle.Errno

/** Where an application works: the target, and beside it its own directory with what comes and what goes. */
export interface Site {
  readonly target: Handle.Held
  readonly staging: Handle.Held
  readonly incoming: Handle.Held
  readonly displaced: Handle.Held
}

export const write = (staging: Handle.Held, intent: Intent): Effect.Effect<void, Handle.Errno> =>
  Effect.gen(function*() {
    const text = yield* Effect.orDie(Schema.encode(IntentText)(intent))
    yield* Handle.withNewFile(
      staging,
      "intent.draft",
      (draft) => Effect.zipRight(draft.write(Buffer.from(text)), draft.sync)
    )
    yield* Handle.rename(staging, "intent.draft", staging, "intent")
    yield* Handle.syncDirectory(staging)
  })

/** The intent under one of its two names; undefined when there is none. */
export const read = (staging: Handle.Held, name: "intent" | "done"): Effect.Effect<Intent | undefined, Failure> =>
  Handle.withChild(staging, name, (file): Effect.Effect<Intent | undefined, Failure> => {
    if (file === undefined) return Effect.succeed(undefined)
    if (!file.stat.isFile() || file.stat.size > maxIntentBytes) return unreadable(file.path)
    return Effect.flatMap(
      Handle.readWhole(file),
      (content) =>
        Effect.catchTag(Schema.decode(IntentText)(content.toString()), "ParseError", () => unreadable(file.path))
    )
  })

const unreadable = (path: string) => new BundleFailed({ reason: "Io", path, detail: "the intent is not one of ours" })

/** Does nothing when the effect fails because something is missing or there already. */
const tolerate = (codes: ReadonlyArray<string>) => <A, E, R>(effect: Effect.Effect<A, E | Handle.Errno, R>) =>
  Effect.catchIf(
    effect,
    (error): error is Handle.Errno => error instanceof Handle.Errno && codes.includes(error.code),
    () => Effect.void
  )

const isSame = (a: Handle.Held, b: Handle.Held): boolean => a.stat.ino === b.stat.ino && a.stat.dev === b.stat.dev

/** Where a path lies; undefined too when something that is no directory blocks the way. */
const reach = (
  site: Site,
  path: string,
  use: (parent: Handle.Held | undefined, name: string) => Effect.Effect<void, ChangeRefused | Handle.Errno>
): Effect.Effect<void, ChangeRefused | Handle.Errno> =>
  Effect.catchTag(Handle.withParent(site.target, path, use), "BundleRefused", () => use(undefined, path))

const blocked = (path: string, detail: string) => refuseChange("RecoveryBlocked", path, detail)

/** Takes one step back, whether it was taken or not; safe to repeat. */
const undoStep = (site: Site, step: Step): Effect.Effect<void, ChangeRefused | Handle.Errno> => {
  switch (step._tag) {
    case "Place":
      return Handle.withChild(site.incoming, step.slot, (source) =>
        // With one name only it is not in place, or not any more.
        source === undefined || source.stat.nlink < 2 ?
          Effect.void :
          reach(site, step.path, (parent, name) =>
            parent === undefined
              ? blocked(step.path, "its directory is not where it was")
              : Handle.withChild(parent, name, (there): Effect.Effect<void, ChangeRefused | Handle.Errno> =>
                there !== undefined && isSame(there, source)
                  ? Handle.removeFile(parent, name)
                  : blocked(step.path, "somebody has moved the new file"))))
    case "MakeDirectory":
      return reach(site, step.path, (parent, name) =>
        parent === undefined
          ? Effect.void
          : tolerate(["ENOENT", "ENOTEMPTY", "EEXIST", "ENOTDIR"])(Handle.removeDirectory(parent, name)))
    case "RemoveDirectory":
      return reach(
        site,
        step.path,
        (parent, name) =>
          parent === undefined ? Effect.void : tolerate(["EEXIST"])(Handle.makeDirectory(parent, name, step.mode))
      )
    case "Displace":
      return Handle.withChild(
        site.displaced,
        step.slot,
        (old) =>
          old === undefined ? Effect.void : reach(site, step.path, (parent, name) =>
            parent === undefined
              ? blocked(step.path, "its directory is not where it was")
              : restore(site, step, old, parent, name))
      )
  }
}

/** Gives a displaced file its name back, unless somebody else has the name. */
const restore = (
  site: Site,
  step: Extract<Step, { readonly _tag: "Displace" }>,
  old: Handle.Held,
  parent: Handle.Held,
  name: string
): Effect.Effect<void, ChangeRefused | Handle.Errno> =>
  Handle.withChild(parent, name, (there): Effect.Effect<void, ChangeRefused | Handle.Errno> => {
    if (there !== undefined && !isSame(there, old)) return blocked(step.path, "somebody else has put something there")
    // A directory that got in by a race has no second name; nothing else can be there now.
    if (old.stat.isDirectory()) return Handle.rename(site.displaced, step.slot, parent, name)
    return Effect.zipRight(
      there === undefined ? Handle.link(site.displaced, step.slot, parent, name) : Effect.void,
      Handle.removeFile(site.displaced, step.slot)
    )
  })

/** The directories that the steps changed, as far as they are there. */
export const syncAll = (site: Site, intent: Intent): Effect.Effect<void, ChangeRefused | Handle.Errno> =>
  Effect.gen(function*() {
    const folders = new Set(intent.steps.map(({ path }) => path.slice(0, Math.max(0, path.lastIndexOf("/")))))
    for (const folder of folders) {
      if (folder === "") yield* Handle.syncDirectory(site.target)
      else {
        yield* reach(site, `${folder}/x`, (held) => held === undefined ? Effect.void : Handle.syncDirectory(held))
      }
    }
    yield* Handle.syncDirectory(site.displaced)
  })

/** Back to what was before the first step. What others put in the way is kept, and `RecoveryBlocked`. */
export const undo = (site: Site, intent: Intent): Effect.Effect<void, ChangeRefused | Handle.Errno> =>
  Effect.gen(function*() {
    const after = yield* AfterStep
    for (const step of [...intent.steps].reverse()) {
      yield* undoStep(site, step)
      yield* after(`undone ${step._tag} ${step.path}`)
    }
    yield* syncAll(site, intent)
    yield* Handle.removeFile(site.staging, "intent")
    yield* after("undone")
    yield* Handle.syncDirectory(site.staging)
  })

/** The new state holds: removes directories that have become empty. Not done again when it is cut off. */
export const tidy = (target: Handle.Held, intent: Intent): Effect.Effect<void> =>
  Effect.forEach(intent.steps, (step) => {
    if (step._tag !== "Displace") return Effect.void
    const names = step.path.split("/").slice(0, -1)
    const folders = names.map((_, depth) => names.slice(0, depth + 1).join("/")).reverse()
    // Stops at the first that is not empty.
    return Effect.ignore(
      Effect.forEach(
        folders,
        (folder) =>
          Handle.withParent(
            target,
            folder,
            (parent, name) => parent === undefined ? Effect.void : Handle.removeDirectory(parent, name)
          ),
        { discard: true }
      )
    )
  }, { discard: true })

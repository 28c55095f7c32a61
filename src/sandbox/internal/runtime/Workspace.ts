import { FileSystem } from "@effect/platform"
import { type Cause, Effect, Either, type Scope } from "effect"
import { RuntimeFailed } from "../../RuntimeError.ts"
import { openDirectory } from "./Descriptor.ts"
import { copyTree, TooLarge } from "./TreeCopy.ts"

const maxEntries = 262_144

/**
 * Puts a new directory in the place of a workspace: filled beside it first, then exchanged, so that the workspace is the
 * old one or the new one.
 */
export const swapWorkspace = <A, E extends { readonly message: string }, R>(options: {
  readonly runtime: string
  readonly workspace: string
  /** Makes the directory at this path, where nothing is, and fills it. */
  readonly fill: (path: string) => Effect.Effect<A, E | RuntimeFailed, R | FileSystem.FileSystem | Scope.Scope>
}): Effect.Effect<A, RuntimeFailed, R | FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const { fill, runtime, workspace } = options
    const aside = (suffix: string) => {
      const path = `${workspace}.${suffix}`
      const remove = Effect.ignore(fs.remove(path, { recursive: true, force: true }))
      return Effect.as(Effect.acquireRelease(remove, () => remove), path)
    }
    const next = yield* aside("next")
    const last = yield* aside("last")
    return yield* Effect.gen(function*() {
      const { mode } = yield* fs.stat(workspace)
      const filled = yield* fill(next)
      yield* fs.chmod(next, mode & 0o777)
      yield* Effect.uninterruptible(Effect.gen(function*() {
        yield* fs.rename(workspace, last)
        const moved = yield* Effect.either(fs.rename(next, workspace))
        if (Either.isRight(moved)) return
        yield* fs.rename(last, workspace)
        return yield* moved.left
      }))
      return filled
    }).pipe(Effect.mapError((cause) =>
      cause instanceof RuntimeFailed
        ? cause
        : new RuntimeFailed({ runtime, reason: "WorkspaceNotReplaced", detail: cause.message })
    ))
  })

/** Puts the content of an open directory in the place of a workspace. Gives what could not be copied. */
export const replaceWorkspace = (options: {
  readonly runtime: string
  readonly workspace: string
  readonly from: number
  readonly maxBytes: number
}): Effect.Effect<ReadonlyArray<string>, RuntimeFailed, FileSystem.FileSystem | Scope.Scope> => {
  const { from, maxBytes, runtime, workspace } = options
  const failed = (cause: TooLarge | Cause.UnknownException) =>
    cause instanceof TooLarge
      ? new RuntimeFailed({ runtime, reason: "WorkspaceTooLarge", detail: `The command left ${cause.detail}.` })
      : new RuntimeFailed({ runtime, reason: "WorkspaceNotReplaced", detail: String(cause.cause ?? cause) })
  return swapWorkspace({
    runtime,
    workspace,
    fill: (next) =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        yield* fs.makeDirectory(next)
        return yield* Effect.scoped(
          Effect.flatMap(openDirectory(next), (to) => copyTree(from, to, { maxBytes, maxEntries }))
        ).pipe(Effect.mapError(failed))
      })
  })
}

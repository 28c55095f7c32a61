import { FileSystem } from "@effect/platform"
import type { PlatformError } from "@effect/platform/Error"
import { type Cause, Effect, Either, type Scope } from "effect"
import { RuntimeFailed } from "../../RuntimeError.ts"
import { openDirectory } from "./Descriptor.ts"
import { copyTree, TooLarge } from "./TreeCopy.ts"

const maxEntries = 262_144

/**
 * Puts the content of an open directory in the place of a workspace: copied beside it first, then exchanged, so that
 * the workspace is the old one or the new one. Gives what could not be copied.
 */
export const replaceWorkspace = (options: {
  readonly runtime: string
  readonly workspace: string
  readonly from: number
  readonly maxBytes: number
}): Effect.Effect<ReadonlyArray<string>, RuntimeFailed, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const { from, maxBytes, runtime, workspace } = options
    const failed = (cause: TooLarge | Cause.UnknownException | PlatformError) =>
      cause instanceof TooLarge
        ? new RuntimeFailed({ runtime, reason: "WorkspaceTooLarge", detail: `The command left ${cause.detail}.` })
        : new RuntimeFailed({ runtime, reason: "WorkspaceNotReplaced", detail: String(cause.cause ?? cause) })
    const aside = (suffix: string) => {
      const path = `${workspace}.${suffix}`
      const remove = Effect.ignore(fs.remove(path, { recursive: true, force: true }))
      return Effect.as(Effect.acquireRelease(remove, () => remove), path)
    }
    const next = yield* aside("next")
    const last = yield* aside("last")
    return yield* Effect.gen(function*() {
      const { mode } = yield* fs.stat(workspace)
      yield* fs.makeDirectory(next)
      const skipped = yield* Effect.scoped(
        Effect.flatMap(openDirectory(next), (to) => copyTree(from, to, { maxBytes, maxEntries }))
      )
      yield* fs.chmod(next, mode & 0o777)
      yield* Effect.uninterruptible(Effect.gen(function*() {
        yield* fs.rename(workspace, last)
        const moved = yield* Effect.either(fs.rename(next, workspace))
        if (Either.isRight(moved)) return
        yield* fs.rename(last, workspace)
        return yield* moved.left
      }))
      return skipped
    }).pipe(Effect.mapError(failed))
  })

import { FileSystem, Path } from "@effect/platform"
import { Effect } from "effect"

/** Places that are no place for code of the host: a sandbox has something of its own there. */
const taken = ["workspace", "proc", "sys", "dev", "run", "etc"]

const executable = 0o1
const readable = 0o5

/** Where code of this service is, and where a sandbox finds it. */
export interface OwnCode {
  readonly source: string
  readonly target: string
}

/**
 * Files and directories as a sandbox gets them at the places where they are. Files are copied, for they may lie where the
 * user of a sandbox cannot go (our home); directories must be open to everybody when that is another user. Fails with what
 * is wrong.
 */
export const placeOwnCode = Effect.fnUntraced(function*(paths: ReadonlyArray<string>, isOtherUser: boolean) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  if (paths.length === 0) return []
  const copies = yield* fs.makeTempDirectoryScoped({ prefix: "smithers-code-" })
  yield* fs.chmod(copies, 0o755)

  const isOpen = (place: string): Effect.Effect<boolean> =>
    fs.stat(place).pipe(
      Effect.map(({ mode }) => (mode & executable) === executable),
      Effect.orElseSucceed(() => false),
      Effect.flatMap((open) =>
        !open || place === path.dirname(place) ? Effect.succeed(open) : isOpen(path.dirname(place))
      )
    )

  return yield* Effect.forEach(
    paths,
    Effect.fnUntraced(function*(target, i) {
      const top = target.split("/")[1] ?? ""
      if (taken.includes(top)) {
        return yield* Effect.fail({
          message: `the code of this service lies in ${target}; a sandbox has a /${top} of its own`
        })
      }
      const source = yield* fs.realPath(target)
      const { mode, type } = yield* fs.stat(source)
      if (type === "File") {
        const copy = path.join(copies, String(i))
        yield* fs.copyFile(source, copy)
        yield* fs.chmod(copy, 0o644)
        return { source: copy, target }
      }
      if (isOtherUser && ((mode & readable) !== readable || !(yield* isOpen(source)))) {
        return yield* Effect.fail({
          message: `${source} is code of this service and closed to other users, as whom sandboxes run`
        })
      }
      return { source, target }
    })
  )
})

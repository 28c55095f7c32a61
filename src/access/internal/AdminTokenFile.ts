import { FileSystem, Path } from "@effect/platform"
import { Effect, Redacted } from "effect"
import { AdminTokenUnavailable } from "../AccessError.ts"

const tooOpen = 0o077

/** The file that holds the admin token, readable by its owner alone. */
export const makeAdminTokenFile = Effect.fnUntraced(function*(home: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const file = path.join(home, "admin-token")

  const tighten = Effect.zipRight(
    fs.chmod(file, 0o600),
    Effect.logWarning(`${file} was open to others or closed to its owner; its mode is now 0600.`)
  )
  const text = Effect.map(fs.readFileString(file), (content) => Redacted.make(content.trim()))

  /** What the file holds; none when there is no such file or it cannot be read. */
  const read = Effect.gen(function*() {
    const info = yield* fs.stat(file)
    if ((info.mode & tooOpen) !== 0) yield* tighten
    return yield* Effect.orElse(text, () => Effect.zipRight(tighten, text))
  }).pipe(Effect.option)

  /** Replaces the file as a whole: at no moment is it half written, or readable by others. */
  const write = (secret: Redacted.Redacted) =>
    Effect.gen(function*() {
      const fresh = `${file}.new`
      yield* fs.remove(fresh, { force: true })
      yield* Effect.scoped(Effect.gen(function*() {
        const handle = yield* fs.open(fresh, { flag: "wx", mode: 0o600 })
        yield* handle.writeAll(new TextEncoder().encode(`${Redacted.value(secret)}\n`))
        yield* handle.sync
      }))
      yield* fs.rename(fresh, file)
    }).pipe(Effect.mapError((cause) =>
      new AdminTokenUnavailable({
        detail: `The admin token cannot be written to ${file}: ${cause.message}.`,
        fix: "Check the permissions of SMITHERS_HOME, or set SMITHERS_ADMIN_TOKEN."
      })
    ))

  return { file, read, write }
})

export type AdminTokenFile = Effect.Effect.Success<ReturnType<typeof makeAdminTokenFile>>

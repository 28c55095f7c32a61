// @effect-diagnostics nodeBuiltinImport:off -- @effect/platform has neither O_NOFOLLOW nor paths relative to a handle
import { Data, Effect } from "effect"
import { constants } from "node:fs"
import fs from "node:fs/promises"

/** A call to the operating system failed. */
export class Errno extends Data.TaggedError("Errno")<{ readonly code: string }> {}

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants

const codeOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : String(cause)

const call = <A>(run: () => Promise<A>): Effect.Effect<A, Errno> =>
  Effect.tryPromise({ try: run, catch: (cause) => new Errno({ code: codeOf(cause) }) })

export const ignoring = (...codes: ReadonlyArray<string>) => <A, R>(effect: Effect.Effect<A, Errno, R>) =>
  Effect.catchIf(effect, ({ code }) => codes.includes(code), () => Effect.succeed(undefined))

/** An open directory. What lies in it is reached through its handle: no part of a path is looked up twice (Linux). */
export type Folder = fs.FileHandle

const at = ({ fd }: Folder, name: string): string => `/proc/self/fd/${fd}/${name}`

const open = (path: string, flags: number, mode?: number) =>
  Effect.acquireRelease(
    call(() => fs.open(path, flags, mode)),
    (handle) => Effect.promise(() => handle.close())
  )

const openFolder = (path: string) => open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)

/** A directory below another; `ENOENT` when it is not there, `ENOTDIR` when a link or a file is. */
export const enter = (folder: Folder, name: string) => openFolder(at(folder, name))

/** A directory of our own by its path, and one below it; neither it nor a part below it may be a link. */
export const descend = Effect.fnUntraced(function*(root: string, parts: ReadonlyArray<string>) {
  let folder = yield* openFolder(root)
  for (const part of parts) folder = yield* enter(folder, part)
  return folder
})

/** The same, made as far as it is missing, for its owner only. */
export const establish = Effect.fnUntraced(function*(root: string, parts: ReadonlyArray<string>) {
  yield* call(() => fs.mkdir(root, { recursive: true, mode: 0o700 }))
  let folder = yield* openFolder(root)
  for (const part of parts) {
    const above = folder
    yield* call(() => fs.mkdir(at(above, part), 0o700)).pipe(
      Effect.zipRight(call(() => above.sync())),
      ignoring("EEXIST")
    )
    folder = yield* enter(above, part)
  }
  return folder
})

/** Puts a file in place, whole and on disk, readable for its owner only; its draft is never seen by anybody who lists. */
export const replace = (folder: Folder, name: string, content: Uint8Array) => {
  const draft = `.${name}.unfinished`
  const discard = ignoring("ENOENT")(call(() => fs.unlink(at(folder, draft))))
  return Effect.gen(function*() {
    // Of a process that died.
    yield* discard
    yield* Effect.scoped(Effect.gen(function*() {
      const file = yield* open(at(folder, draft), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
      yield* call(() => file.writeFile(content))
      yield* call(() => file.sync())
    }))
    yield* call(() => fs.rename(at(folder, draft), at(folder, name)))
    yield* call(() => folder.sync())
  }).pipe(Effect.onError(() => Effect.ignore(discard)))
}

/** A regular file and its size; `ELOOP` when a link is in its place, `EISDIR` when anything else is. */
export const openFile = Effect.fnUntraced(function*(folder: Folder, name: string) {
  const file = yield* open(at(folder, name), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
  const stat = yield* call(() => file.stat())
  return stat.isFile() ? { file, bytes: stat.size } : yield* new Errno({ code: "EISDIR" })
})

/** At most `bytes` from the beginning of a file; fewer when it has become shorter. */
export const read = Effect.fnUntraced(function*(file: fs.FileHandle, bytes: number) {
  const buffer = Buffer.alloc(bytes)
  let done = 0
  while (done < bytes) {
    const { bytesRead } = yield* call(() => file.read(buffer, done, bytes - done, done))
    if (bytesRead === 0) break
    done += bytesRead
  }
  return buffer.subarray(0, done)
})

export const removeFile = (folder: Folder, name: string) =>
  call(() => fs.unlink(at(folder, name))).pipe(Effect.zipRight(call(() => folder.sync())), ignoring("ENOENT"))

/** Removes a directory when it is empty. */
export const removeFolder = (folder: Folder, name: string) => Effect.ignore(call(() => fs.rmdir(at(folder, name))))

/** What is in a directory and does not begin with a dot. */
export const entries = (folder: Folder) =>
  Effect.map(
    call(() => fs.readdir(`/proc/self/fd/${folder.fd}`, { withFileTypes: true })),
    (all) => all.filter(({ name }) => !name.startsWith("."))
  )

// @effect-diagnostics nodeBuiltinImport:off -- @effect/platform has neither O_NOFOLLOW nor paths relative to a handle
import { Data, Effect } from "effect"
import { constants } from "node:fs"
import fs from "node:fs/promises"

/** A call to the operating system failed. */
export class Errno extends Data.TaggedError("Errno")<{ readonly code: string }> {}

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants

export type File = fs.FileHandle

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

/** Whether anything has this name; `EISDIR` when it is a directory. */
export const isTaken = (folder: Folder, name: string) =>
  call(() => fs.lstat(at(folder, name))).pipe(
    Effect.flatMap((stat) => stat.isDirectory() ? new Errno({ code: "EISDIR" }) : Effect.succeed(true)),
    ignoring("ENOENT"),
    Effect.map((taken) => taken ?? false)
  )

/** A new file, readable for its owner only, that goes with the scope unless it got another place. */
export const draft = (folder: Folder, name: string) =>
  Effect.zipRight(
    Effect.acquireRelease(
      Effect.void,
      () => Effect.ignore(call(() => fs.unlink(at(folder, name))))
    ),
    open(at(folder, name), O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
  )

export const append = (file: fs.FileHandle, content: Uint8Array) => call(() => file.writeFile(content))

export const sync = (file: fs.FileHandle) => call(() => file.sync())

/** Puts what is whole and on disk in another place, instead of what is there. */
export const move = (from: Folder, draft: string, to: Folder, name: string) =>
  Effect.zipRight(call(() => fs.rename(at(from, draft), at(to, name))), call(() => to.sync()))

/** The same where nothing is; `EEXIST` otherwise, and of two who try at the same time one is second. */
export const link = (from: Folder, draft: string, to: Folder, name: string) =>
  Effect.zipRight(call(() => fs.link(at(from, draft), at(to, name))), call(() => to.sync()))

/** At most `bytes` of a file from a place on; fewer when it has become shorter. */
export const read = Effect.fnUntraced(function*(file: fs.FileHandle, bytes: number, from = 0) {
  const buffer = Buffer.alloc(bytes)
  let done = 0
  while (done < bytes) {
    const { bytesRead } = yield* call(() => file.read(buffer, done, bytes - done, from + done))
    if (bytesRead === 0) break
    done += bytesRead
  }
  return buffer.subarray(0, done)
})

export const removeFile = (folder: Folder, name: string) =>
  call(() => fs.unlink(at(folder, name))).pipe(Effect.zipRight(call(() => folder.sync())), ignoring("ENOENT"))

/** Removes a directory when it is empty. */
export const removeFolder = (folder: Folder, name: string) => Effect.ignore(call(() => fs.rmdir(at(folder, name))))

/** Removes a directory with all that is in it; links are removed, not followed. Answers how many files. */
export const removeTree = (folder: Folder, name: string): Effect.Effect<number, Errno> =>
  Effect.scoped(Effect.gen(function*() {
    const inner = yield* enter(folder, name)
    let files = 0
    for (const entry of yield* call(() => fs.readdir(`/proc/self/fd/${inner.fd}`, { withFileTypes: true }))) {
      if (entry.isDirectory()) files += yield* removeTree(inner, entry.name)
      else {
        yield* ignoring("ENOENT")(call(() => fs.unlink(at(inner, entry.name))))
        files++
      }
    }
    yield* call(() => fs.rmdir(at(folder, name)))
    return files
  })).pipe(ignoring("ENOENT"), Effect.map((files) => files ?? 0))

/** What is in a directory and does not begin with a dot. */
export const entries = (folder: Folder) =>
  Effect.map(
    call(() => fs.readdir(`/proc/self/fd/${folder.fd}`, { withFileTypes: true })),
    (all) => all.filter(({ name }) => !name.startsWith("."))
  )

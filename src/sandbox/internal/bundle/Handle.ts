// @effect-diagnostics nodeBuiltinImport:off -- @effect/platform has neither O_PATH nor O_NOFOLLOW nor paths relative to a handle
import { Data, Effect } from "effect"
import fs from "node:fs"
import { BundleFailed } from "../../BundleFailed.ts"
import { type BundleRefused, refuse } from "../../BundleRefused.ts"

/** A call to the operating system failed. */
export class Errno extends Data.TaggedError("Errno")<{
  readonly code: string
  readonly path: string
}> {}

/** The same as an error of the subsystem. */
export const failed = ({ code, path }: Errno): BundleFailed =>
  new BundleFailed({ reason: "Io", path, detail: `${code} from the operating system` })

/**
 * A file or directory held by a descriptor of its own: whatever happens to its name, this is the very one that was looked
 * at. What lies in a directory is reached through `/proc/self/fd/<fd>/<name>`, so that no component of a path is ever
 * looked up twice and none can be swapped for a symbolic link (Linux; open(2), O_PATH).
 */
export interface Held {
  readonly fd: number
  /** For messages only. */
  readonly path: string
  readonly stat: fs.Stats
}

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOCTTY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = fs.constants

/** A descriptor that names a file and does not open it: no effect on a device or FIFO. Node does not export it (fcntl.h, Linux). */
const O_PATH = 0o10000000

const codeOf = (cause: unknown): string =>
  cause instanceof Error && "code" in cause && typeof cause.code === "string" ? cause.code : String(cause)

/** One call, on the thread of the event loop: it takes microseconds. Flushing to the disk does not go this way. */
const call = <A>(path: string, run: () => A): Effect.Effect<A, Errno> =>
  Effect.try({ try: run, catch: (cause) => new Errno({ code: codeOf(cause), path }) })

const close = (fd: number) => Effect.sync(() => fs.closeSync(fd))

const joined = (parent: string, name: string): string => parent === "" ? name : `${parent}/${name}`

const at = (directory: Held, name: string): string => `/proc/self/fd/${directory.fd}/${name}`

const using = <A, E, R>(location: string, path: string, use: (held: Held) => Effect.Effect<A, E, R>) =>
  Effect.acquireUseRelease(
    call(path, () => fs.openSync(location, O_PATH | O_NOFOLLOW)),
    (fd) => Effect.flatMap(call(path, () => fs.fstatSync(fd)), (stat) => use({ fd, path, stat })),
    close
  )

const notADirectory = ({ path, stat }: Held): BundleRefused =>
  stat.isSymbolicLink()
    ? refuse("Symlink", path, "no symbolic link is followed")
    : refuse("NotADirectory", path, "must be a directory")

/** Opens a directory by its absolute path, of which the last component must not be a link; paths below it are relative to it. */
export const withRoot = <A, E, R>(
  directory: string,
  use: (root: Held) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | Errno | BundleRefused, R> =>
  using(
    directory,
    directory,
    (held): Effect.Effect<A, E | BundleRefused, R> =>
      held.stat.isDirectory() ? use({ ...held, path: "" }) : Effect.fail(notADirectory(held))
  )

/** The entry of a directory, never followed; undefined when there is none. */
export const withChild = <A, E, R>(
  directory: Held,
  name: string,
  use: (child: Held | undefined) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | Errno, R> => {
  const path = joined(directory.path, name)
  return Effect.acquireUseRelease(
    call(path, () => fs.openSync(at(directory, name), O_PATH | O_NOFOLLOW)).pipe(
      Effect.catchIf(({ code }) => code === "ENOENT", () => Effect.succeed(undefined))
    ),
    (fd) =>
      fd === undefined
        ? use(undefined)
        : Effect.flatMap(call(path, () => fs.fstatSync(fd)), (stat) => use({ fd, path, stat })),
    (fd) => fd === undefined ? Effect.void : close(fd)
  )
}

/** The directory that a path lies in and the last name of the path; undefined when a directory on the way is missing. */
export const withParent = <A, E, R>(
  root: Held,
  path: string,
  use: (parent: Held | undefined, name: string) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | Errno | BundleRefused, R> => {
  const slash = path.indexOf("/")
  if (slash < 0) return use(root, path)
  return withChild(root, path.slice(0, slash), (child): Effect.Effect<A, E | Errno | BundleRefused, R> => {
    if (child === undefined) return use(undefined, path)
    if (!child.stat.isDirectory()) return Effect.fail(notADirectory(child))
    return withParent(child, path.slice(slash + 1), use)
  })
}

/** What lies at a path below a directory; undefined when nothing does. */
export const withPath = <A, E, R>(
  root: Held,
  path: string,
  use: (found: Held | undefined) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | Errno | BundleRefused, R> =>
  withParent(
    root,
    path,
    (parent, name): Effect.Effect<A, E | Errno, R> =>
      parent === undefined ? use(undefined) : withChild(parent, name, use)
  )

/** The names in a directory in code-unit order; undefined when there are more than `max`. */
export const namesIn = (directory: Held, max: number): Effect.Effect<ReadonlyArray<string> | undefined, Errno> =>
  Effect.acquireUseRelease(
    call(directory.path, () => fs.opendirSync(`/proc/self/fd/${directory.fd}`, { bufferSize: 256 })),
    (dir) =>
      call(directory.path, () => {
        const names: Array<string> = []
        for (let entry = dir.readSync(); entry !== null; entry = dir.readSync()) {
          if (names.length >= max) return undefined
          names.push(entry.name)
        }
        return names.sort()
      }),
    (dir) => Effect.sync(() => dir.closeSync())
  )

/** Lets everything else of the process have its turn. */
export const breathe: Effect.Effect<void> = Effect.async<void>((resume) => {
  const immediate = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(immediate))
})

const chunkBytes = 1_048_576

/**
 * Hands over the content of a regular file in chunks of at most 1 MiB, which are valid until the next one. Exactly as
 * many bytes as the file had when it was looked at, or `Changed`.
 */
export const readChunks = <E, R>(
  file: Held,
  use: (chunk: Uint8Array) => Effect.Effect<void, E, R>
): Effect.Effect<void, E | Errno | BundleRefused, R> =>
  Effect.acquireUseRelease(
    call(file.path, () => fs.openSync(`/proc/self/fd/${file.fd}`, O_RDONLY | O_NONBLOCK | O_NOCTTY)),
    (fd) =>
      Effect.gen(function*() {
        const { size } = file.stat
        const buffer = Buffer.allocUnsafe(Math.min(chunkBytes, size + 1))
        const changed = refuse("Changed", file.path, `had ${size} bytes when it was looked at`)
        let done = 0
        for (;;) {
          const count = yield* call(file.path, () => fs.readSync(fd, buffer, 0, buffer.length, done))
          if (count === 0) break
          done += count
          if (done > size) return yield* changed
          yield* use(buffer.subarray(0, count))
          if (count === chunkBytes) yield* breathe
        }
        if (done !== size) return yield* changed
      }),
    close
  ).pipe(Effect.catchIf(
    (error): error is Errno => error instanceof Errno && ["EACCES", "EPERM", "ENXIO"].includes(error.code),
    () => Effect.fail(refuse("Unreadable", file.path, "must be readable"))
  ))

/** At most `length` bytes of a regular file from a place in it; fewer only where it ends. */
export const readAt = (file: Held, offset: number, length: number): Effect.Effect<Buffer, Errno> =>
  Effect.acquireUseRelease(
    call(file.path, () => fs.openSync(`/proc/self/fd/${file.fd}`, O_RDONLY | O_NONBLOCK | O_NOCTTY)),
    (fd) =>
      call(file.path, () => {
        const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(length, file.stat.size - offset)))
        let done = 0
        while (done < buffer.length) {
          const count = fs.readSync(fd, buffer, done, buffer.length - done, offset + done)
          if (count === 0) break
          done += count
        }
        return buffer.subarray(0, done)
      }),
    close
  )

/** The whole content of a file whose size has been checked. */
export const readWhole = (file: Held): Effect.Effect<Buffer, Errno | BundleRefused> =>
  Effect.suspend(() => {
    const chunks: Array<Uint8Array> = []
    return Effect.as(
      readChunks(file, (chunk) => Effect.sync(() => void chunks.push(Uint8Array.from(chunk)))),
      chunks
    )
  }).pipe(Effect.map((chunks) => Buffer.concat(chunks)))

/** Makes content, or the names in a directory, survive a power cut. In the thread pool: it may take long. */
const sync = (fd: number, path: string): Effect.Effect<void, Errno> =>
  Effect.uninterruptible(Effect.async((resume) => {
    fs.fsync(
      fd,
      (error) => resume(error === null ? Effect.void : Effect.fail(new Errno({ code: codeOf(error), path })))
    )
  }))

export const syncDirectory = (directory: Held): Effect.Effect<void, Errno> =>
  Effect.acquireUseRelease(
    call(directory.path, () => fs.openSync(`/proc/self/fd/${directory.fd}`, O_RDONLY | O_DIRECTORY)),
    (fd) => sync(fd, directory.path),
    close
  )

/** A file that is being written; nobody else has it. */
interface Draft {
  readonly write: (chunk: Uint8Array) => Effect.Effect<void, Errno>
  /** Permission bits, whatever the umask. */
  readonly chmod: (mode: number) => Effect.Effect<void, Errno>
  /** Gives the file to somebody; when that is not allowed, it stays ours. */
  readonly chown: (uid: number, gid: number) => Effect.Effect<void>
  readonly touch: (timeMs: number) => Effect.Effect<void, Errno>
  readonly sync: Effect.Effect<void, Errno>
}

/** Creates a file that must not be there yet; readable for its owner only until told otherwise. */
export const withNewFile = <A, E, R>(
  directory: Held,
  name: string,
  use: (draft: Draft) => Effect.Effect<A, E, R>
): Effect.Effect<A, E | Errno, R> => {
  const path = joined(directory.path, name)
  return Effect.acquireUseRelease(
    call(path, () => fs.openSync(at(directory, name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)),
    (fd) =>
      use({
        write: (chunk) =>
          call(path, () => {
            for (let done = 0; done < chunk.length;) done += fs.writeSync(fd, chunk, done)
          }),
        chmod: (mode) => call(path, () => fs.fchmodSync(fd, mode)),
        chown: (uid, gid) => Effect.ignore(call(path, () => fs.fchownSync(fd, uid, gid))),
        touch: (timeMs) => call(path, () => fs.futimesSync(fd, timeMs / 1_000, timeMs / 1_000)),
        sync: sync(fd, path)
      }),
    close
  )
}

export const makeDirectory = (parent: Held, name: string, mode: number): Effect.Effect<void, Errno> =>
  call(joined(parent.path, name), () => fs.mkdirSync(at(parent, name), mode))

/** Gives a directory that was made to the owner of the one it lies in; when that is not allowed, it stays ours. */
export const inheritOwner = (parent: Held, name: string): Effect.Effect<void> =>
  Effect.ignore(call(name, () => fs.lchownSync(at(parent, name), parent.stat.uid, parent.stat.gid)))

/** Makes the directories that a path lies in, as far as they are missing. */
export const makeParents = (root: Held, path: string): Effect.Effect<void, Errno | BundleRefused> => {
  const slash = path.indexOf("/")
  if (slash < 0) return Effect.void
  const name = path.slice(0, slash)
  return Effect.zipRight(
    Effect.catchIf(makeDirectory(root, name, 0o755), ({ code }) => code === "EEXIST", () => Effect.void),
    withChild(
      root,
      name,
      (child): Effect.Effect<void, Errno | BundleRefused> =>
        child === undefined
          ? Effect.fail(refuse("Changed", joined(root.path, name), "nothing is removed meanwhile"))
          : child.stat.isDirectory()
          ? makeParents(child, path.slice(slash + 1))
          : Effect.fail(notADirectory(child))
    )
  )
}

/** Makes a directory of our own and those above it, readable for their owner only. */
export const makeDirectories = (path: string): Effect.Effect<void, Errno> =>
  call(path, () => void fs.mkdirSync(path, { recursive: true, mode: 0o700 }))

export const removeDirectory = (parent: Held, name: string): Effect.Effect<void, Errno> =>
  call(joined(parent.path, name), () => fs.rmdirSync(at(parent, name)))

export const removeFile = (parent: Held, name: string): Effect.Effect<void, Errno> =>
  call(joined(parent.path, name), () => fs.unlinkSync(at(parent, name)))

export const rename = (from: Held, name: string, to: Held, newName: string): Effect.Effect<void, Errno> =>
  call(joined(from.path, name), () => fs.renameSync(at(from, name), at(to, newName)))

/** A second name for a file; `EEXIST` when the name is taken: unlike a rename it never replaces anything. */
export const link = (from: Held, name: string, to: Held, newName: string): Effect.Effect<void, Errno> =>
  call(joined(to.path, newName), () => fs.linkSync(at(from, name), at(to, newName)))

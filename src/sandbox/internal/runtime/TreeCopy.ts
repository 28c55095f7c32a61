// @effect-diagnostics nodeBuiltinImport:off -- names are bytes here, and every step starts from an open directory: @effect/platform knows only paths of text
import { type Cause, Effect } from "effect"
import {
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readlinkSync,
  readSync,
  symlinkSync,
  writeSync
} from "node:fs"
import { openDirectory, openFile } from "./Descriptor.ts"

/** What may be copied. */
interface Bounds {
  readonly maxBytes: number
  readonly maxEntries: number
}

/** Directories within directories; each holds a descriptor while it is copied. */
const maxDepth = 128
/** A path beyond this cannot be removed again by its name. */
const maxPathBytes = 1_024
const chunkBytes = 262_144
const maxReported = 100

export class TooLarge {
  readonly detail: string
  constructor(detail: string) {
    this.detail = detail
  }
}

const child = (directory: number, name: Buffer) => Buffer.concat([Buffer.from(`/proc/self/fd/${directory}/`), name])

const turn = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

/**
 * Copies a tree that nobody trusts and nobody changes any more from one open directory to another: regular files,
 * directories and symbolic links (as links, never followed). A file with several names is copied once per name. Gives the
 * entries that were left out.
 */
export const copyTree = (
  from: number,
  to: number,
  bounds: Bounds
): Effect.Effect<ReadonlyArray<string>, TooLarge | Cause.UnknownException> => {
  const skipped: Array<string> = []
  let bytes = 0
  let entries = 0
  const skip = (path: string, what: string) => {
    if (skipped.length < maxReported) skipped.push(`${path}: ${what}`)
  }

  const copyFile = (source: Buffer, target: Buffer, path: string) =>
    Effect.scoped(Effect.gen(function*() {
      const input = yield* openFile(source)
      const stat = yield* Effect.try(() => fstatSync(input))
      if (!stat.isFile()) return skip(path, "no regular file")
      const output = yield* Effect.acquireRelease(
        Effect.try(() =>
          openSync(target, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, stat.mode & 0o777)
        ),
        (descriptor) => Effect.sync(() => closeSync(descriptor))
      )
      const buffer = Buffer.allocUnsafe(chunkBytes)
      while (true) {
        const read = yield* Effect.try(() => readSync(input, buffer, 0, chunkBytes, null))
        if (read === 0) return
        bytes += read
        if (bytes > bounds.maxBytes) return yield* Effect.fail(new TooLarge(`more than ${bounds.maxBytes} bytes`))
        yield* Effect.try(() => writeSync(output, buffer, 0, read))
        yield* turn
      }
    }))

  const copyDirectory = (
    source: number,
    target: number,
    at: string,
    depth: number
  ): Effect.Effect<void, TooLarge | Cause.UnknownException> =>
    Effect.gen(function*() {
      const names = yield* Effect.try(() => readdirSync(`/proc/self/fd/${source}`, { encoding: "buffer" }))
      for (const name of names) {
        entries++
        if (entries > bounds.maxEntries) return yield* Effect.fail(new TooLarge(`more than ${bounds.maxEntries} files`))
        if (entries % 64 === 0) yield* turn
        const path = at + name.toString("utf8")
        if (Buffer.byteLength(path) > maxPathBytes) {
          skip(`${path.slice(0, 64)}…`, `longer than ${maxPathBytes} bytes`)
          continue
        }
        const [inner, outer] = [child(source, name), child(target, name)]
        const stat = yield* Effect.try(() => lstatSync(inner))
        if (stat.isSymbolicLink()) {
          yield* Effect.try(() => symlinkSync(readlinkSync(inner, { encoding: "buffer" }), outer))
        } else if (stat.isFile()) {
          yield* copyFile(inner, outer, path)
        } else if (!stat.isDirectory()) {
          skip(path, "no regular file")
        } else if (depth >= maxDepth) {
          skip(path, `deeper than ${maxDepth} directories`)
        } else {
          yield* Effect.scoped(Effect.gen(function*() {
            yield* Effect.try(() => mkdirSync(outer, 0o700))
            const below = yield* Effect.all([openDirectory(inner), openDirectory(outer)])
            yield* copyDirectory(...below, `${path}/`, depth + 1)
            yield* Effect.try(() => chmodSync(`/proc/self/fd/${below[1]}`, (stat.mode & 0o777) | 0o700))
          }))
        }
      }
    })

  return Effect.as(copyDirectory(from, to, "", 0), skipped)
}

import { Clock, Context, Effect, Layer } from "effect"
import { randomUUID } from "node:crypto"
import { BundleFailed } from "./BundleFailed.ts"
import { BundleLimits } from "./BundleLimits.ts"
import type { BundleRefused } from "./BundleRefused.ts"
import { newHash } from "./internal/bundle/Digest.ts"
import * as Handle from "./internal/bundle/Handle.ts"

/** Content that is stored. */
export interface Blob {
  /** SHA-256 of the content, lower-case hexadecimal. */
  readonly sha256: string
  readonly bytes: number
}

type Sink<E, R> = (chunk: Uint8Array) => Effect.Effect<void, E, R>

/**
 * Content on disk under its own hash, `<directory>/sha256/<2 digits>/<62 digits>`. Equal content is stored once. It is
 * written under another name, flushed and then named, so that what has its name is whole; what is read is verified.
 */
export class BlobStore extends Context.Tag("smithers-orchestrator/sandbox/BlobStore")<BlobStore, {
  /**
   * Stores what `feed` writes, chunk by chunk; at most `BundleLimits.fileBytes`, else `BlobTooLarge`. When `feed` fails
   * or is interrupted, nothing is stored. Twice is the same as once.
   */
  readonly write: <E, R>(
    feed: (write: Sink<BundleFailed, never>) => Effect.Effect<void, E, R>
  ) => Effect.Effect<Blob, E | BundleFailed, R>
  /** Stores content that is in memory. */
  readonly put: (content: Uint8Array) => Effect.Effect<Blob, BundleFailed>
  /**
   * Hands over the content in chunks of at most 1 MiB, each valid until the next. Only when the effect has succeeded was
   * it the content with this hash: `BlobMissing`, `BlobCorrupt` come at the end at the latest.
   */
  readonly read: <E, R>(sha256: string, use: Sink<E, R>) => Effect.Effect<void, E | BundleFailed, R>
  /** The whole content, verified; `BlobTooLarge` when it has more than `maxBytes`. */
  readonly get: (sha256: string, maxBytes?: number) => Effect.Effect<Buffer, BundleFailed>
  /** A part of the content, not verified: whoever puts the parts together compares the hash. Empty beyond the end. */
  readonly part: (sha256: string, offset: number, length: number) => Effect.Effect<Buffer, BundleFailed>
  readonly has: (sha256: string) => Effect.Effect<boolean, BundleFailed>
  /**
   * Removes blobs that nobody refers to and, like them, unfinished ones when they were written longer than `olderThanMs`
   * ago: a reference may come later than its blob. Storing a blob again makes it young.
   */
  readonly sweep: <E, R>(options: {
    /** Asked about the old ones only. */
    readonly isReferenced: (sha256: string) => Effect.Effect<boolean, E, R>
    readonly olderThanMs: number
  }) => Effect.Effect<{ readonly blobs: number; readonly bytes: number }, E | BundleFailed, R>
}>() {}

const isHash = (name: string): boolean => /^[0-9a-f]{64}$/.test(name)

/** Names in one directory of the store that a sweep looks at; the next sweep sees the others. */
const maxSwept = 100_000

/** All errors as ours: the directory belongs to us, so that what is odd in it is a fault, not an attack. */
const faults = <A, E, R>(
  effect: Effect.Effect<A, E | Handle.Errno | BundleRefused, R>
): Effect.Effect<A, Exclude<E, Handle.Errno | BundleRefused> | BundleFailed, R> =>
  Effect.mapError(
    effect,
    (error) =>
      error instanceof Handle.Errno
        ? Handle.failed(error)
        : isRefused(error)
        ? new BundleFailed({ reason: "Io", path: error.path, detail: error.bound })
        // Neither of the two others.
        : error as Exclude<E, Handle.Errno | BundleRefused>
  )

const isRefused = (error: unknown): error is BundleRefused =>
  typeof error === "object" && error !== null && "_tag" in error && error._tag === "BundleRefused"

/** The store in a directory, which is made when it is not there; several may work in it at once. */
export const make = Effect.fnUntraced(function*(directory: string) {
  yield* faults(Handle.makeDirectories(`${directory}/sha256`))
  yield* faults(Handle.makeDirectories(`${directory}/drafts`))

  /** The two directories, held for one operation. */
  const opened = <A, E, R>(use: (blobs: Handle.Held, drafts: Handle.Held) => Effect.Effect<A, E, R>) =>
    Handle.withRoot(
      `${directory}/sha256`,
      (blobs) => Handle.withRoot(`${directory}/drafts`, (drafts) => use(blobs, drafts))
    )

  const shelfOf = (sha256: string) => sha256.slice(0, 2)
  const nameOf = (sha256: string) => sha256.slice(2)

  const withBlob = <A, E, R>(sha256: string, use: (blob: Handle.Held | undefined) => Effect.Effect<A, E, R>) =>
    Handle.withRoot(
      `${directory}/sha256`,
      (blobs) => Handle.withPath(blobs, `${shelfOf(sha256)}/${nameOf(sha256)}`, use)
    )

  /** Gives a finished draft its name; the directories are flushed when the name is new. */
  const shelve = (blobs: Handle.Held, drafts: Handle.Held, draft: string, sha256: string, isNew: boolean) =>
    Effect.gen(function*() {
      const shelf = shelfOf(sha256)
      const isNewShelf = yield* Handle.makeDirectory(blobs, shelf, 0o700).pipe(
        Effect.as(true),
        Effect.catchIf(({ code }) => code === "EEXIST", () => Effect.succeed(false))
      )
      if (isNewShelf) yield* Handle.syncDirectory(blobs)
      yield* Handle.withPath(blobs, shelf, (held) =>
        held === undefined
          ? new Handle.Errno({ code: "ENOENT", path: shelf })
          : Effect.zipRight(
            Handle.rename(drafts, draft, held, nameOf(sha256)),
            isNew ? Handle.syncDirectory(held) : Effect.void
          ))
    })

  const write: BlobStore["Type"]["write"] = (feed) =>
    faults(opened((blobs, drafts) =>
      Effect.gen(function*() {
        const name = randomUUID()
        const hash = newHash()
        let bytes = 0
        return yield* Handle.withNewFile(drafts, name, (draft) =>
          Effect.gen(function*() {
            yield* feed((chunk) =>
              Effect.suspend(() => {
                bytes += chunk.length
                if (bytes > BundleLimits.fileBytes) {
                  return new BundleFailed({
                    reason: "BlobTooLarge",
                    path: name,
                    detail: `a blob has at most ${BundleLimits.fileBytes} bytes`
                  })
                }
                hash.update(chunk)
                return Effect.mapError(draft.write(chunk), Handle.failed)
              })
            )
            const blob: Blob = { sha256: hash.digest("hex"), bytes }
            const atMs = yield* Clock.currentTimeMillis
            yield* draft.touch(atMs)
            const known = yield* withBlob(blob.sha256, (found) => Effect.succeed(found?.stat.size === bytes))
            // Of what is there already the draft only makes the time new: its bytes are on disk, or are found to be damaged.
            if (!known) yield* draft.sync
            yield* shelve(blobs, drafts, name, blob.sha256, !known)
            return blob
          })).pipe(Effect.onError(() => Effect.ignore(Handle.removeFile(drafts, name))))
      })
    ))

  const read: BlobStore["Type"]["read"] = (sha256, use) =>
    faults(withBlob(sha256, (found) => {
      if (found === undefined) {
        return Effect.fail(new BundleFailed({ reason: "BlobMissing", path: sha256, detail: "it is not stored" }))
      }
      return Effect.suspend(() => {
        const hash = newHash()
        return Handle.readChunks(found, (chunk) => {
          hash.update(chunk)
          return use(chunk)
        }).pipe(Effect.zipRight(Effect.suspend(() => hash.digest("hex") === sha256 ? Effect.void : discard(sha256))))
      })
    }))

  const discard = (sha256: string) =>
    Effect.zipRight(
      Effect.ignore(
        Handle.withRoot(`${directory}/sha256/${shelfOf(sha256)}`, (shelf) => Handle.removeFile(shelf, nameOf(sha256)))
      ),
      new BundleFailed({ reason: "BlobCorrupt", path: sha256, detail: "the stored content is another" })
    )

  const removeOld = <E, R>(held: Handle.Held, before: number, keep: (name: string) => Effect.Effect<boolean, E, R>) =>
    Effect.gen(function*() {
      const isOld = (file: Handle.Held | undefined): file is Handle.Held =>
        file !== undefined && file.stat.isFile() && file.stat.mtimeMs < before
      let blobs = 0
      let bytes = 0
      for (const name of (yield* Handle.namesIn(held, maxSwept)) ?? []) {
        const mayGo = yield* Handle.withChild(held, name, (file) => Effect.succeed(isOld(file)))
        if (!mayGo || (yield* keep(name))) continue
        // Looked at once more: storing it meanwhile has made it young.
        yield* Handle.withChild(held, name, (file) => {
          if (!isOld(file)) return Effect.void
          blobs++
          bytes += file.stat.size
          return Handle.removeFile(held, name)
        })
      }
      yield* Handle.breathe
      return { blobs, bytes }
    })

  return BlobStore.of({
    write,
    put: (content) => write((sink) => sink(content)),
    read,
    get: Effect.fn("BlobStore.get")(function*(sha256, maxBytes = BundleLimits.fileBytes) {
      const chunks: Array<Uint8Array> = []
      let bytes = 0
      yield* read(sha256, (chunk) => {
        bytes += chunk.length
        if (bytes > maxBytes) {
          return new BundleFailed({ reason: "BlobTooLarge", path: sha256, detail: `more than ${maxBytes} bytes` })
        }
        chunks.push(Uint8Array.from(chunk))
        return Effect.void
      })
      return Buffer.concat(chunks)
    }),
    part: (sha256, offset, length) =>
      faults(withBlob(sha256, (found): Effect.Effect<Buffer, BundleFailed | Handle.Errno> =>
        found === undefined
          ? new BundleFailed({ reason: "BlobMissing", path: sha256, detail: "it is not stored" })
          : Handle.readAt(found, offset, length))),
    has: (sha256) => faults(withBlob(sha256, (found) => Effect.succeed(found !== undefined))),
    sweep: Effect.fn("BlobStore.sweep")(function*({ isReferenced, olderThanMs }) {
      const before = (yield* Clock.currentTimeMillis) - olderThanMs
      return yield* faults(opened((blobs, drafts) =>
        Effect.gen(function*() {
          const removed = { blobs: 0, bytes: 0 }
          for (const shelf of (yield* Handle.namesIn(blobs, 256)) ?? []) {
            const { blobs: count, bytes } = yield* Handle.withPath(blobs, shelf, (held) =>
              held === undefined
                ? Effect.succeed({ blobs: 0, bytes: 0 })
                : removeOld(
                  held,
                  before,
                  (name) => isHash(shelf + name) ? isReferenced(shelf + name) : Effect.succeed(true)
                ))
            removed.blobs += count
            removed.bytes += bytes
          }
          yield* removeOld(drafts, before, () => Effect.succeed(false))
          return removed
        })
      ))
    })
  })
})

export const layer = (directory: string): Layer.Layer<BlobStore, BundleFailed> =>
  Layer.effect(BlobStore, make(directory))

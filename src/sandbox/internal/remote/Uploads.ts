import { Effect, Exit, Fiber, Queue } from "effect"
import type { BlobStore } from "../../BlobStore.ts"
import { WorkerRefused } from "../../WorkerRefused.ts"
import type { Job, Upload } from "./Job.ts"

/** A list of files, at most. */
export const maxManifestBytes = 16_777_216

const refuse = (reason: WorkerRefused["reason"], field: string, bound: string) =>
  new WorkerRefused({ reason, field, bound })

const begin = (job: Job, sha256: string, blobs: BlobStore["Type"]): Effect.Effect<Upload> =>
  Effect.gen(function*() {
    const pieces = yield* Queue.bounded<Uint8Array | null>(1)
    const writing = yield* blobs.write((write) =>
      Effect.gen(function*() {
        while (true) {
          const piece = yield* Queue.take(pieces)
          if (piece === null) return
          yield* write(piece)
        }
      })
    ).pipe(Effect.interruptible, Effect.forkIn(job.scope))
    return {
      sha256,
      received: 0,
      // What is written no more is not waited for.
      give: (piece) =>
        Effect.raceFirst(
          Effect.interruptible(Effect.asVoid(Queue.offer(pieces, piece))),
          Effect.interruptible(Effect.asVoid(Fiber.await(writing)))
        ),
      stored: Effect.flatMap(Fiber.await(writing), (exit) =>
        Exit.isSuccess(exit)
          ? Effect.succeed(exit.value)
          : Effect.fail({ message: "the content could not be stored" })),
      stop: Effect.asVoid(Fiber.interrupt(writing))
    }
  })

/**
 * Takes the next piece of a content, which is stored when the last one is there and the whole has its hash. A piece that
 * comes again is taken once; from 0 on it begins anew. All that a job uploads is bounded by the disk it may have.
 */
export const takePiece = (
  job: Job,
  piece: { readonly sha256: string; readonly offset: number; readonly bytes: Uint8Array; readonly last: boolean },
  blobs: BlobStore["Type"]
): Effect.Effect<void, WorkerRefused> =>
  Effect.gen(function*() {
    const { bytes, last, offset, sha256 } = piece
    if (job.uploaded.has(sha256)) return
    const bound = job.limits.diskLimit + maxManifestBytes
    if (job.uploadedBytes + bytes.length > bound) {
      return yield* refuse("TooLarge", "base64", `all uploads of the job have at most ${bound} bytes`)
    }
    if (offset === 0 && (job.upload?.sha256 !== sha256 || job.upload.received > 0)) {
      yield* job.upload?.stop ?? Effect.void
      job.upload = yield* begin(job, sha256, blobs)
    }
    const { upload } = job
    const expected = upload?.sha256 === sha256 ? upload.received : 0
    if (upload?.sha256 !== sha256 || offset > expected) {
      return yield* refuse("OutOfOrder", "offset", `must be ${expected}`)
    }
    if (offset < expected) {
      if (!last && offset + bytes.length === expected) return
      return yield* refuse("OutOfOrder", "offset", `must be ${expected}`)
    }
    job.uploadedBytes += bytes.length
    upload.received += bytes.length
    yield* upload.give(bytes)
    if (!last) return
    yield* upload.give(null)
    job.upload = undefined
    const blob = yield* Effect.mapError(upload.stored, ({ message }) => refuse("TooLarge", "base64", message))
    if (blob.sha256 !== sha256) return yield* refuse("Corrupt", "sha256", "must be the hash of the content")
    job.uploaded.set(sha256, blob.bytes)
  })

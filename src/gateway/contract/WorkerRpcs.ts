import { Rpc, RpcGroup } from "@effect/rpc"
import { Schema } from "effect"
import { RequiredScope } from "./Annotations.ts"
import { failures } from "./Failure.ts"

/** The bounds of what workers send, which keep below those of every request. */
export const workerBounds = {
  /** Longest wait for a job, in milliseconds. */
  waitMs: 20_000,
  /** Bytes in one member of `base64`, and members in one request. */
  pieceBytes: 12_288,
  pieces: 21
} as const

const JobId = Schema.UUID
const Sha256 = Schema.String.pipe(Schema.pattern(/^[0-9a-f]{64}$/))
const Offset = Schema.Int.pipe(Schema.between(0, 1_073_741_824))
const Base64 = Schema.Uint8ArrayFromBase64
/** A content in pieces as long as a request may have strings: 21 of 12,288 bytes, in base64. */
const Pieces = Schema.Array(Base64).pipe(Schema.maxItems(workerBounds.pieces))
const text = (max: number) => Schema.String.pipe(Schema.maxLength(max))

const Assignment = Schema.Struct({
  jobId: JobId,
  /** As an author writes it. */
  policy: Schema.Unknown,
  /** Null: the policy is to be proved, and nothing run. */
  command: Schema.NullOr(Schema.Struct({
    command: Schema.Array(Schema.String),
    /** With the values of the secrets that the step asks for. */
    env: Schema.Record({ key: Schema.String, value: Schema.String }),
    /** The list of files, a content of the job. */
    tree: Sha256,
    stdin: Schema.NullOr(Sha256)
  }))
})
export type Assignment = typeof Assignment.Type

export const LeaseWorker = Rpc.make("worker.lease", {
  payload: {
    /** Of the caller's choice, one for each process. */
    workerId: Schema.String.pipe(Schema.pattern(/^[A-Za-z0-9._-]{1,64}$/)),
    runtime: text(64),
    /** Controls that its runtime has no means for. */
    refuses: Schema.Array(text(64)).pipe(Schema.maxItems(32)),
    waitMs: Schema.Int.pipe(Schema.between(0, workerBounds.waitMs))
  },
  success: Schema.NullOr(Assignment),
  error: failures("RateLimited")
})

export const ProveWorker = Rpc.make("worker.prove", {
  payload: {
    jobId: JobId,
    controls: Schema.Array(Schema.Struct({
      control: text(64),
      asked: Schema.Boolean,
      enforced: Schema.Boolean,
      evidence: text(1_000)
    })).pipe(Schema.maxItems(64))
  },
  success: Schema.Struct({ accepted: Schema.Boolean }),
  error: failures("NOT_FOUND")
})

export const GetWorkerBlob = Rpc.make("worker.blob.get", {
  payload: { jobId: JobId, sha256: Sha256, offset: Offset },
  success: Schema.Struct({ base64: Base64, size: Schema.Int }),
  error: failures("NOT_FOUND")
})

export const PutWorkerBlob = Rpc.make("worker.blob.put", {
  payload: { jobId: JobId, sha256: Sha256, offset: Offset, base64: Pieces, last: Schema.Boolean },
  success: Schema.Struct({ received: Schema.Int }),
  error: failures("NOT_FOUND")
})

export const OutputWorker = Rpc.make("worker.output", {
  payload: {
    jobId: JobId,
    seq: Schema.Int.pipe(Schema.nonNegative()),
    stream: Schema.Literal("stdout", "stderr"),
    base64: Pieces
  },
  success: Schema.Struct({ seq: Schema.Int }),
  error: failures("NOT_FOUND")
})

export const BeatWorker = Rpc.make("worker.beat", {
  payload: { jobId: JobId },
  success: Schema.Struct({ cancelled: Schema.Boolean }),
  error: failures("NOT_FOUND")
})

export const CompleteWorker = Rpc.make("worker.complete", {
  payload: {
    jobId: JobId,
    end: Schema.Union(
      Schema.Struct({
        reason: Schema.Literal("exited", "timeout", "memory", "disk", "output", "killed"),
        exitCode: Schema.NullOr(Schema.Int.pipe(Schema.between(0, 255))),
        durationMs: Schema.Number.pipe(Schema.between(0, 86_400_000)),
        outputTruncated: Schema.Boolean,
        /** The uploaded list of files; null unless `exited`. */
        tree: Schema.NullOr(Sha256)
      }),
      Schema.Struct({
        reason: Schema.Literal("ControlNotEnforced", "Unavailable", "Failed", "Stopped"),
        control: text(64),
        detail: text(2_000)
      })
    )
  },
  success: Schema.Struct({ jobId: JobId }),
  error: failures("NOT_FOUND")
})

/** What a worker on another account or machine calls; ours. A job is known to the token alone that leased it. */
export const WorkerRpcs = RpcGroup.make(
  LeaseWorker,
  ProveWorker,
  GetWorkerBlob,
  PutWorkerBlob,
  OutputWorker,
  BeatWorker,
  CompleteWorker
).annotateRpcs(RequiredScope, "sandbox:work")

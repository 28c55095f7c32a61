import { Context, Effect, Layer, Schedule, type Schema } from "effect"
import type { GatewayClient, GatewayError } from "../gateway/client.ts"
import { type Assignment, type CompleteWorker, type ProveWorker, workerBounds } from "../gateway/contract.ts"
import { type BlobStore, type BundleFailed, type SandboxRuntime } from "../sandbox/index.ts"

type Blobs = BlobStore.BlobStore["Type"]

/** One job, as its worker speaks of it to the service. */
export interface JobLink {
  /** Whether the service accepts the proof. */
  readonly prove: (
    controls: (typeof ProveWorker.payloadSchema.Type)["controls"]
  ) => Effect.Effect<boolean, GatewayError>
  /** Fetches a content of the job into the store; false when it was another. */
  readonly fetch: (sha256: string, into: Blobs) => Effect.Effect<boolean, GatewayError | BundleFailed>
  /** Hands over a content of the store. */
  readonly give: (sha256: string, size: number, from: Blobs) => Effect.Effect<void, GatewayError | BundleFailed>
  /** One after the other, each once. */
  readonly output: (chunk: SandboxRuntime.OutputChunk) => Effect.Effect<void, GatewayError>
  /** True: stop. */
  readonly beat: Effect.Effect<boolean, GatewayError>
  readonly complete: (
    end: Schema.Schema.Encoded<typeof CompleteWorker.payloadSchema>["end"]
  ) => Effect.Effect<void, GatewayError>
}

/** The service, as a worker sees it. */
export class WorkerLink extends Context.Tag("smithers-orchestrator/cli/WorkerLink")<WorkerLink, {
  /** Waits up to 20 s for a job. */
  readonly lease: (worker: {
    readonly workerId: string
    readonly runtime: string
    readonly refuses: ReadonlyArray<string>
  }) => Effect.Effect<Assignment | null, GatewayError>
  readonly job: (jobId: string) => Effect.Effect<JobLink>
}>() {}

const { pieceBytes, pieces } = workerBounds
const chunkBytes = pieceBytes * pieces

const encode = (bytes: Uint8Array): ReadonlyArray<string> =>
  Array.from(
    { length: Math.ceil(bytes.length / pieceBytes) },
    (_, i) => Buffer.from(bytes.subarray(i * pieceBytes, (i + 1) * pieceBytes)).toString("base64")
  )

/** Whether the same call may succeed later: the service is away, or starts. */
export const isAway = (error: GatewayError): boolean =>
  error._tag === "GatewayUnreachable"
    ? error.reason !== "NotAGateway"
    : ["SERVER_ERROR", "Internal", "ConnectionClosed", "RateLimited"].includes(error.code)

/** Until the beats say that it is over: what is sent again is taken once. */
const persistently = <A>(call: Effect.Effect<A, GatewayError>) =>
  Effect.retry(call, { while: isAway, schedule: Schedule.spaced("500 millis") })

const jobOf = (client: GatewayClient, jobId: string) =>
  Effect.gen(function*() {
    const turn = yield* Effect.makeSemaphore(1)
    let seq = 0
    const link: JobLink = {
      prove: (controls) => Effect.map(persistently(client["worker.prove"]({ jobId, controls })), (it) => it.accepted),
      fetch: (sha256, into) =>
        into.write((write) =>
          Effect.gen(function*() {
            let offset = 0
            while (true) {
              const { base64, size } = yield* persistently(client["worker.blob.get"]({ jobId, sha256, offset }))
              yield* write(base64)
              offset += base64.length
              if (offset >= size || base64.length === 0) return
            }
          })
        ).pipe(Effect.map((blob) => blob.sha256 === sha256)),
      give: (sha256, size, from) =>
        Effect.gen(function*() {
          let offset = 0
          do {
            const bytes = yield* from.part(sha256, offset, chunkBytes)
            const last = offset + bytes.length >= size || bytes.length === 0
            const piece = { jobId, sha256, offset, base64: encode(bytes), last }
            yield* persistently(client["worker.blob.put"](piece))
            offset += bytes.length
            if (last) return
          } while (offset < size)
        }),
      output: ({ bytes, stream }) =>
        Effect.suspend(() => persistently(client["worker.output"]({ jobId, seq, stream, base64: encode(bytes) }))).pipe(
          Effect.tap(() => Effect.sync(() => seq++)),
          turn.withPermits(1)
        ),
      beat: Effect.map(client["worker.beat"]({ jobId }), ({ cancelled }) => cancelled),
      complete: (end) => Effect.asVoid(persistently(client["worker.complete"]({ jobId, end })))
    }
    return link
  })

export const layer = (client: GatewayClient) =>
  Layer.succeed(
    WorkerLink,
    WorkerLink.of({
      lease: (worker) => client["worker.lease"]({ ...worker, waitMs: workerBounds.waitMs }),
      job: (jobId) => jobOf(client, jobId)
    })
  )

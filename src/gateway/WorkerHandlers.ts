import { Effect } from "effect"
import { Access, Unauthorized } from "../access/index.ts"
import { RemoteWorkers } from "../sandbox/index.ts"
import { Authorized, Caller } from "./Caller.ts"
import {
  BeatWorker,
  CompleteWorker,
  failure,
  GetWorkerBlob,
  LeaseWorker,
  OutputWorker,
  ProveWorker,
  PutWorkerBlob,
  WorkerRpcs
} from "./contract.ts"
import { failAs } from "./internal/wireErrors.ts"

/** The caller with its token, which a job belongs to. */
const worker = Effect.flatMap(Caller, ({ actor }) =>
  actor.tokenId === null
    ? Effect.fail(failure("FORBIDDEN", "A worker needs a token of this service"))
    : Effect.succeed({ actor, token: actor.tokenId }))

const holder = Effect.map(worker, ({ token }) => token)

/** Answers `WorkerRpcs` from the sandbox. */
export const layer = WorkerRpcs.middleware(Authorized).toLayer(Effect.gen(function*() {
  const access = yield* Access.Access
  const workers = yield* RemoteWorkers.RemoteWorkers
  const leasing = failAs(LeaseWorker.errorSchema)
  const proving = failAs(ProveWorker.errorSchema)
  const getting = failAs(GetWorkerBlob.errorSchema)
  const putting = failAs(PutWorkerBlob.errorSchema)
  const outputting = failAs(OutputWorker.errorSchema)
  const beating = failAs(BeatWorker.errorSchema)
  const completing = failAs(CompleteWorker.errorSchema)

  return {
    "worker.lease": (asking) =>
      Effect.flatMap(worker, ({ actor, token }) => {
        // A grant that ends while the worker waits gets it no job.
        const ended = Effect.flatMap(
          access.ended(token),
          (how) => new Unauthorized({ reason: how === "revoked" ? "Revoked" : "Expired" })
        )
        return leasing(Effect.raceFirst(workers.lease(token, { ...asking, actor }), ended))
      }).pipe(Effect.map((assignment) => assignment ?? null)),

    "worker.prove": ({ controls, jobId }) =>
      Effect.flatMap(holder, (token) => proving(workers.prove(token, jobId, controls))).pipe(
        Effect.map((accepted) => ({ accepted }))
      ),

    "worker.blob.get": ({ jobId, offset, sha256 }) =>
      Effect.flatMap(holder, (token) => getting(workers.get(token, jobId, sha256, offset))).pipe(
        Effect.map(({ bytes, size }) => ({ base64: bytes, size }))
      ),

    "worker.blob.put": ({ base64, jobId, last, offset, sha256 }) => {
      const bytes = Buffer.concat(base64)
      return Effect.flatMap(holder, (token) => putting(workers.put(token, jobId, { sha256, offset, bytes, last })))
        .pipe(
          Effect.as({ received: offset + bytes.length })
        )
    },

    "worker.output": ({ base64, jobId, seq, stream }) => {
      const bytes = Buffer.concat(base64)
      return Effect.flatMap(holder, (token) => outputting(workers.output(token, jobId, seq, { stream, bytes }))).pipe(
        Effect.as({ seq })
      )
    },

    "worker.beat": ({ jobId }) =>
      Effect.flatMap(holder, (token) => beating(workers.beat(token, jobId))).pipe(
        Effect.map((cancelled) => ({ cancelled }))
      ),

    "worker.complete": ({ end, jobId }) =>
      Effect.flatMap(holder, (token) => completing(workers.complete(token, jobId, end))).pipe(Effect.as({ jobId }))
  }
}))

import { NodeStream } from "@effect/platform-node"
import { Deferred, Effect, Fiber, type Scope, Stream } from "effect"
import type { OutputChunk } from "../../SandboxRuntime.ts"
import type { Child } from "./ChildProcess.ts"

interface Output {
  /** Completes at the first byte beyond the bound. */
  readonly overflow: Effect.Effect<void>
  /** Completes when both streams have ended and all of them was given to the sink. */
  readonly drained: Effect.Effect<void>
  readonly bytes: () => number
  readonly truncated: () => boolean
}

const maxChunk = 65_536

const piecesOf = (bytes: Uint8Array): ReadonlyArray<Uint8Array> =>
  Array.from({ length: Math.ceil(bytes.length / maxChunk) }, (_, i) => bytes.subarray(i * maxChunk, (i + 1) * maxChunk))

/** Gives a child's output to the sink as it comes, never more than the bound, reading on only when the sink is done. */
export const collect = (
  child: Child,
  limit: number,
  sink: (chunk: OutputChunk) => Effect.Effect<void>
): Effect.Effect<Output, never, Scope.Scope> =>
  Effect.gen(function*() {
    const overflow = yield* Deferred.make<void>()
    let bytes = 0
    let truncated = false
    const pump = (stream: "stdout" | "stderr") =>
      NodeStream.fromReadable<Error, Uint8Array>(() => child[stream], (cause) => cause as Error).pipe(
        Stream.runForEach((chunk) =>
          Effect.suspend(() => {
            const kept = chunk.subarray(0, limit - bytes)
            bytes += kept.length
            truncated ||= kept.length < chunk.length
            const given = Effect.forEach(piecesOf(kept), (piece) => sink({ stream, bytes: piece }), { discard: true })
            return truncated ? Effect.zipRight(given, Deferred.succeed(overflow, undefined)) : given
          })
        ),
        // A stream that breaks has ended.
        Effect.ignore
      )
    const pumping = yield* Effect.forkScoped(
      Effect.all([pump("stdout"), pump("stderr")], { concurrency: 2, discard: true })
    )
    return {
      overflow: Deferred.await(overflow),
      drained: Fiber.join(pumping),
      bytes: () => bytes,
      truncated: () => truncated
    }
  })

import { Effect } from "effect"
import { failure, type GatewayFailure } from "../contract.ts"
import { limits } from "./Limits.ts"
import type { IncomingMessage } from "./NodeHttp.ts"

const tooLarge = () => failure("PayloadTooLarge", `body: must be at most ${limits.body} bytes`)

const nothing = Buffer.alloc(0)

/**
 * The body of a request. One that is too large fails at once and what still comes is thrown away for a while, so that
 * its sender gets to read the answer; a sender who does not stop then is cut off.
 */
export const readBody = (request: IncomingMessage): Effect.Effect<Buffer, GatewayFailure> =>
  Effect.async((resume) => {
    if (Number(request.headers["content-length"] ?? 0) > limits.body) {
      discard(request, 0)
      return resume(Effect.fail(tooLarge()))
    }
    const chunks: Array<Buffer> = []
    let size = 0
    const onData = (chunk: Buffer) => {
      size += chunk.length
      if (size <= limits.body) {
        chunks.push(chunk)
        return
      }
      stop()
      discard(request, size)
      resume(Effect.fail(tooLarge()))
    }
    const onEnd = () => {
      stop()
      resume(Effect.succeed(chunks.length === 0 ? nothing : chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
    }
    // The client went away or broke the encoding: nobody is there to be answered.
    const onError = () => resume(Effect.interrupt)
    const stop = () => {
      request.off("data", onData)
      request.off("end", onEnd)
    }
    request.on("data", onData)
    request.on("end", onEnd)
    request.on("error", onError)
    return Effect.sync(stop)
  })

const discard = (request: IncomingMessage, already: number): void => {
  let size = already
  request.on("data", (chunk: Buffer) => {
    size += chunk.length
    if (size > limits.discarded) request.destroy()
  })
  request.on("error", () => undefined)
}

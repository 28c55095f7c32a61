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
    let over = false
    request.on("data", (chunk: Buffer) => {
      if (over) return
      size += chunk.length
      if (size <= limits.body) {
        chunks.push(chunk)
        return
      }
      over = true
      chunks.length = 0
      discard(request, size)
      resume(Effect.fail(tooLarge()))
    })
    request.on("end", () => {
      if (over) return
      resume(Effect.succeed(chunks.length === 0 ? nothing : chunks.length === 1 ? chunks[0]! : Buffer.concat(chunks)))
    })
    // The client went away or broke the encoding: nobody is there to be answered.
    request.on("error", () => resume(Effect.interrupt))
    return Effect.sync(() => {
      over = true
    })
  })

const discard = (request: IncomingMessage, already: number): void => {
  let size = already
  request.on("data", (chunk: Buffer) => {
    size += chunk.length
    if (size > limits.discarded) request.destroy()
  })
  request.on("error", () => undefined)
}

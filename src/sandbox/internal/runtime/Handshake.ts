import { Effect } from "effect"
import type { Readable } from "node:stream"

const maxChars = 4_096

/** Reads a descriptor until it says what is waited for; fails when it ends, or says much, without it. */
export const awaitText = (stream: Readable, wanted: RegExp): Effect.Effect<RegExpExecArray, "Ended"> =>
  Effect.async((resume) => {
    let text = ""
    const onData = (chunk: Buffer) => {
      text += chunk.toString("latin1")
      const found = wanted.exec(text)
      if (found !== null) resume(Effect.succeed(found))
      else if (text.length > maxChars) onEnd()
    }
    const onEnd = () => resume(Effect.fail("Ended"))
    stream.on("data", onData).once("close", onEnd).once("end", onEnd)
  })

import { Effect } from "effect"
import { limits } from "./Limits.ts"
import type { ServerResponse } from "./NodeHttp.ts"

/** Hands over what is to be sent, and waits for a client that takes nothing more, but not for ever: false when it was in vain. */
export const written = (response: ServerResponse, content: string | Uint8Array): Effect.Effect<boolean> =>
  Effect.async<boolean>((resume) => {
    if (response.write(content)) return resume(Effect.succeed(true))
    const drained = () => resume(Effect.succeed(true))
    response.once("drain", drained)
    return Effect.sync(() => {
      response.off("drain", drained)
    })
  }).pipe(
    Effect.timeoutTo({ duration: limits.stall, onSuccess: (ok) => ok, onTimeout: () => false })
  )

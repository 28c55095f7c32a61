import { Effect, type Scope } from "effect"
import { RuntimeUnavailable } from "../../RuntimeError.ts"

const count = 256

/** A user id nobody else has, for as long as the scope is open: sandboxes cannot reach each other's processes and files. */
export const makeUserIds = (runtime: string, first: number): Effect.Effect<number, RuntimeUnavailable, Scope.Scope> => {
  const free = Array.from({ length: count }, (_, i) => first + i)
  return Effect.acquireRelease(
    Effect.suspend(() => {
      const id = free.shift()
      return id === undefined
        ? new RuntimeUnavailable({ runtime, reason: "Busy", detail: `All ${count} sandboxes are in use.` })
        : Effect.succeed(id)
    }),
    (id) => Effect.sync(() => free.push(id))
  )
}

import { failure, type GatewayFailure } from "../contract.ts"
import { limits } from "./Limits.ts"

/** Counts the open streams of everybody, each user and each run. */
export interface StreamCaps {
  /** Takes a place, or says which cap is reached; the place is given back with `leave`. */
  readonly enter: (user: string, runId: string, ofSocket: number) => GatewayFailure | undefined
  readonly leave: (user: string, runId: string) => void
}

export const makeStreamCaps = (): StreamCaps => {
  let all = 0
  const users = new Map<string, number>()
  const runs = new Map<string, number>()
  const add = (counts: Map<string, number>, key: string, change: number) => {
    const count = (counts.get(key) ?? 0) + change
    if (count === 0) counts.delete(key)
    else counts.set(key, count)
  }
  return {
    enter: (user, runId, ofSocket) => {
      const refused = (
        [
          ["connection", ofSocket, limits.streamsPerSocket],
          ["run", runs.get(runId) ?? 0, limits.streamsPerRun],
          ["user", users.get(user) ?? 0, limits.streamsPerUser],
          ["global", all, limits.streams]
        ] as const
      ).find(([, count, limit]) => count >= limit)
      if (refused !== undefined) {
        const [scope, , limit] = refused
        return failure("RateLimited", `At most ${limit} event streams (${scope})`, { scope, limit })
      }
      all += 1
      add(users, user, 1)
      add(runs, runId, 1)
      return undefined
    },
    leave: (user, runId) => {
      all -= 1
      add(users, user, -1)
      add(runs, runId, -1)
    }
  }
}

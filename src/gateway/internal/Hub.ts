import { Clock, Effect, type Scope } from "effect"
import type { Journal } from "../../journal/index.ts"
import type { RunEvent } from "../../model/index.ts"
import type { ServiceState } from "../ServiceState.ts"
import { jsonText } from "./Json.ts"
import { limits } from "./Limits.ts"
import { type LiveEvent, toLive } from "./liveEvents.ts"

/** What the hub asks of a connection. */
export interface Member {
  /** A live event of a run; the member sorts out whether it wants it. */
  readonly broadcast: (runId: string, event: LiveEvent, payloadJson: () => string, stateVersion: number) => void
  /** Something was stored for a run: a stream that cannot keep up counts it. */
  readonly noteEvent: (runId: string) => void
  readonly tick: (nowMs: number) => void
  /** One second has passed; asked of members that have streams. */
  readonly beat: (nowMs: number) => void
}

/** Brings what happens to every connection that has said hello. */
export interface Hub {
  readonly join: (member: Member) => void
  readonly leave: (member: Member) => void
  /** A member begins to be (or is no longer) one that `beat` is for. */
  readonly streaming: (member: Member, is: boolean) => void
}

/** Listens to the journal as long as the scope lasts. */
export const makeHub = (
  journal: Journal.Journal["Type"],
  state: ServiceState["Type"],
  heartbeatMs: number
): Effect.Effect<Hub, never, Scope.Scope> =>
  Effect.gen(function*() {
    const members = new Set<Member>()
    const streamers = new Set<Member>()
    const someone = yield* Effect.makeLatch(false)
    const someStream = yield* Effect.makeLatch(false)
    const arrived = yield* Effect.makeLatch(false)
    let backlog: Array<{ readonly event: RunEvent; readonly live: LiveEvent; readonly stateVersion: number }> = []

    const send = ({ event, live, stateVersion }: typeof backlog[number]) => {
      let json: string | undefined
      const payloadJson = () => json ??= jsonText(live.payload)
      for (const member of members) member.broadcast(event.runId, live, payloadJson, stateVersion)
    }
    const sendBacklog = () => {
      const events = backlog
      backlog = []
      events.forEach(send)
    }

    // Called inside a commit: what costs time is left to the fiber below, unless it has fallen far behind.
    yield* journal.watch((event) => {
      for (const member of streamers) member.noteEvent(event.runId)
      const live = toLive(event)
      if (live === undefined) return
      const stateVersion = state.advance()
      if (members.size === 0) return
      if (backlog.length >= limits.broadcastBacklog) sendBacklog()
      backlog.push({ event, live, stateVersion })
      arrived.unsafeOpen()
    })
    yield* Effect.forkScoped(Effect.forever(
      Effect.zipRight(
        arrived.await,
        Effect.sync(() => {
          arrived.unsafeClose()
          sendBacklog()
        })
      )
    ))

    const every = (ms: number, latch: Effect.Latch, act: (nowMs: number) => void) =>
      Effect.forkScoped(Effect.forever(
        latch.await.pipe(
          Effect.zipRight(Effect.sleep(ms)),
          Effect.zipRight(Clock.currentTimeMillis),
          Effect.map(act)
        )
      ))
    yield* every(heartbeatMs, someone, (nowMs) => members.forEach((member) => member.tick(nowMs)))
    yield* every(1_000, someStream, (nowMs) => streamers.forEach((member) => member.beat(nowMs)))

    const streaming = (member: Member, is: boolean) => {
      if (is) streamers.add(member)
      else streamers.delete(member)
      if (streamers.size > 0) someStream.unsafeOpen()
      else someStream.unsafeClose()
    }
    return {
      join: (member) => {
        members.add(member)
        someone.unsafeOpen()
      },
      leave: (member) => {
        members.delete(member)
        if (members.size === 0) someone.unsafeClose()
        streaming(member, false)
      },
      streaming
    }
  })

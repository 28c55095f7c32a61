import { Clock, Effect, type Scope } from "effect"
import type { Journal, RunStore } from "../../journal/index.ts"
import { type Reach, reaches, type RunEvent, type Tenant } from "../../model/index.ts"
import type { ServiceState } from "../ServiceState.ts"
import { jsonText } from "./Json.ts"
import { limits } from "./Limits.ts"
import { type LiveEvent, toLive } from "./liveEvents.ts"

/** What the hub asks of a connection. */
export interface Member {
  /** What it may be told of. */
  readonly reach: () => Reach | null
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
  runs: RunStore.RunStore["Type"],
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
    /** What was taken from it and is being looked up. */
    let taken: typeof backlog = []
    /** Whose runs are; never changes while a run is there. */
    const tenants = new Map<string, Tenant | null>()

    const send = ({ event, live, stateVersion }: typeof backlog[number]) => {
      let json: string | undefined
      const payloadJson = () => json ??= jsonText(live.payload)
      const tenant = tenants.get(event.runId) ?? null
      for (const member of members) {
        if (reaches(member.reach(), tenant)) member.broadcast(event.runId, live, payloadJson, stateVersion)
      }
    }
    const sendBacklog = () => {
      const events = [...taken, ...backlog]
      taken = []
      backlog = []
      events.forEach(send)
    }
    /** Only where somebody is told of some runs and not of others. */
    const learnTenants = Effect.suspend(() => {
      taken = backlog
      backlog = []
      if (![...members].some((member) => member.reach() !== null)) return Effect.void
      const unknown = new Set(taken.map(({ event }) => event.runId).filter((runId) => !tenants.has(runId)))
      if (unknown.size === 0) return Effect.void
      return Effect.matchEffect(runs.tenantsOf([...unknown]), {
        // They are nobody's then, and told to operators alone.
        onFailure: (error) => Effect.logWarning("Whose runs are could not be read", error),
        onSuccess: (found) =>
          Effect.sync(() => {
            if (tenants.size > limits.broadcastBacklog) tenants.clear()
            for (const [runId, tenant] of found) tenants.set(runId, tenant)
          })
      })
    })

    // Called inside a commit: what costs time is left to the fiber below, unless it has fallen far behind.
    yield* journal.watch((event) => {
      if (event.type === "RunStarted") tenants.delete(event.runId)
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
        Effect.zipRight(
          Effect.zipRight(arrived.close, learnTenants),
          Effect.sync(() => {
            const events = taken
            taken = []
            events.forEach(send)
          })
        )
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

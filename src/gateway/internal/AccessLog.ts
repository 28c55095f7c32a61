import { Effect, type Scope } from "effect"
import { Principal } from "../../access/index.ts"
import type { Audit, AuditDetail } from "../../audit/index.ts"
import type { Actor } from "../../model/index.ts"

/** How long the calls of a grant are gathered before they are a row. */
const windowEvery = "1 minute"

/** Sign-ins of a grant that are rows of their own in a window; further ones are counted. */
const entriesPerWindow = 5

/**
 * Not told of: what says nothing of anybody's data, and the turns of a worker, whose every job is in the audit by itself.
 * Whoever polls them would write a row a minute for ever.
 */
const isUntold = (method: string) => method === "health" || method.startsWith("worker.")

/** What came of calls of one method. */
interface Count {
  ok: number
  failed: number
}

interface Window {
  readonly actor: Actor
  readonly sinceMs: number
  readonly counts: Map<string, Count>
  entries: number
}

const countText = (method: string, { failed, ok }: Count): string =>
  failed === 0 ? `${method} ${ok}` : `${method} ${ok} (${failed} failed)`

const detailOf = ({ counts, sinceMs }: Window): AuditDetail => {
  const all = [...counts.values()]
  return {
    sinceMs,
    calls: all.reduce((sum, { failed, ok }) => sum + ok + failed, 0),
    failed: all.reduce((sum, { failed }) => sum + failed, 0),
    methods: [...counts].map(([method, count]) => countText(method, count)).sort()
  }
}

/** What the holders of grants do at the gateway, for the audit. A call costs a look into a map; nobody waits for a row. */
export interface AccessLog {
  /** A call has been answered. Becomes part of the grant's row of this minute. */
  readonly called: (principal: Principal.Principal, method: string, ok: boolean) => void
  /** Somebody has come in: a row at once, of many in a minute a few. */
  readonly entered: (
    principal: Principal.Principal,
    action: "gateway.connect" | "gateway.sign-in",
    origin: Pick<Actor, "requestId" | "traceId">
  ) => Effect.Effect<void>
}

/**
 * Rows of the audit for gateway access: `gateway.access` for each grant and minute with what it called, reads included,
 * and `gateway.connect` and `gateway.sign-in` as they come. The last minute is written when the scope closes.
 */
export const makeAccessLog = (audit: Audit.Audit["Type"]): Effect.Effect<AccessLog, never, Scope.Scope> =>
  Effect.gen(function*() {
    const scope = yield* Effect.scope
    const clock = yield* Effect.clock
    const used = yield* Effect.makeLatch()
    let windows = new Map<string, Window>()

    const windowOf = (principal: Principal.Principal): Window => {
      const { role, tokenId, userId } = principal
      const key = `${tokenId ?? ""} ${userId ?? ""} ${role}`
      const known = windows.get(key)
      if (known !== undefined) return known
      const window = {
        actor: Principal.toActor(principal),
        sinceMs: clock.unsafeCurrentTimeMillis(),
        counts: new Map(),
        entries: 0
      }
      windows.set(key, window)
      used.unsafeOpen()
      return window
    }

    const count = (window: Window, method: string, ok: boolean) => {
      const known = window.counts.get(method)
      const counted = known ?? { ok: 0, failed: 0 }
      if (known === undefined) window.counts.set(method, counted)
      if (ok) counted.ok++
      else counted.failed++
    }

    const record = (entry: Parameters<Audit.Audit["Type"]["record"]>[0]) =>
      Effect.catchAll(
        audit.record(entry),
        (error) => Effect.logWarning("An access to the gateway could not be written to the audit", error)
      )

    const write = Effect.suspend(() => {
      const ended = [...windows.values()]
      windows = new Map()
      used.unsafeClose()
      return Effect.forEach(ended, (window) =>
        window.counts.size === 0 ? Effect.void : record({
          actor: window.actor,
          action: "gateway.access",
          target: window.actor.tokenId,
          runId: null,
          outcome: "ok",
          reason: null,
          detail: detailOf(window)
        }), { discard: true, concurrency: "unbounded" })
    })
    yield* Effect.addFinalizer(() => write)
    yield* Effect.forkScoped(Effect.forever(Effect.zipRight(used.await, Effect.delay(write, windowEvery))))

    return {
      called: (principal, method, ok) => {
        if (!isUntold(method)) count(windowOf(principal), method, ok)
      },
      entered: (principal, action, origin) =>
        Effect.suspend(() => {
          const window = windowOf(principal)
          count(window, action, true)
          if (window.entries++ >= entriesPerWindow) return Effect.void
          return Effect.asVoid(Effect.forkIn(
            record({
              actor: { ...window.actor, ...origin },
              action,
              target: window.actor.tokenId,
              runId: null,
              outcome: "ok",
              reason: null,
              detail: {}
            }),
            scope
          ))
        })
    }
  })

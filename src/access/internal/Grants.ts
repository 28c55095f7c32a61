import { Clock, Deferred, Effect, FiberId } from "effect"
import type { Principal } from "../Principal.ts"
import { grantBounds, type TokenGrant } from "../TokenGrant.ts"
import { tokenIdOf } from "./TokenFormat.ts"
import type { TokenRow } from "./TokenTable.ts"

/** A grant in memory. */
export interface Held {
  row: TokenRow
  readonly principal: Principal
  /** Completed, and replaced, when the row changes. */
  changed: Deferred.Deferred<void>
}

type End = "revoked" | "expired"

/** How the grant has ended by now; null while it is alive. */
export const endOf = (grant: TokenGrant, nowMs: number): End | null => {
  if (grant.revokedAtMs !== null && grant.revokedAtMs <= nowMs) return "revoked"
  return grant.expiresAtMs !== null && grant.expiresAtMs <= nowMs ? "expired" : null
}

const endsAtMs = (grant: TokenGrant): number => Math.min(grant.revokedAtMs ?? Infinity, grant.expiresAtMs ?? Infinity)

/** Node fires a timer that is set further ahead than 24 days at once: longer waits are cut into days. */
const longestSleepMs = 24 * 60 * 60 * 1_000

const unsafeDeferred = () => Deferred.unsafeMake<void>(FiberId.none)

/**
 * The grants in memory, from which requests are answered: changed by the hooks of the commits that change the table,
 * and by nothing else. Grants that have ended are remembered (so that their bearers are told what happened) as long as
 * there is room.
 */
export const makeGrants = (rows: ReadonlyArray<TokenRow>) => {
  const byId = new Map<string, Held>()
  /** When which token was used, since the last `takeUses`. */
  let uses = new Map<string, number>()
  const used = Effect.unsafeMakeLatch(false)

  const put = (row: TokenRow) => {
    const { expiresAtMs, orgId, projectIds, role, scopes, tokenId, userId } = row
    const tenant = orgId === null ? null : { orgId, projectIds }
    byId.set(tokenId, {
      row,
      principal: { userId, tokenId, role, scopes, expiresAtMs, tenant },
      changed: unsafeDeferred()
    })
  }
  for (const row of rows) put(row)

  const ended = (tokenId: string): Effect.Effect<End> =>
    Effect.flatMap(Clock.currentTimeMillis, (nowMs) => {
      const held = byId.get(tokenId)
      const end = held === undefined ? "revoked" : endOf(held.row, nowMs)
      if (held === undefined || end !== null) return Effect.succeed(end ?? "revoked")
      const changed = Deferred.await(held.changed)
      const leftMs = endsAtMs(held.row) - nowMs
      const wait = leftMs === Infinity ? changed : Effect.timeoutOption(changed, Math.min(leftMs, longestSleepMs))
      return Effect.zipRight(wait, ended(tokenId))
    })

  return {
    put,
    ended,
    get: (tokenId: string): TokenRow | undefined => byId.get(tokenId)?.row,
    find: (sha256: string): Held | undefined => {
      const held = byId.get(tokenIdOf(sha256))
      return held?.row.sha256 === sha256 ? held : undefined
    },
    revoke: (tokenId: string, revokedAtMs: number) => {
      const held = byId.get(tokenId)
      if (held === undefined) return
      const before = held.changed
      held.row = { ...held.row, revokedAtMs }
      held.changed = unsafeDeferred()
      Deferred.unsafeDone(before, Effect.void)
    },
    use: (held: Held, nowMs: number) => {
      uses.set(held.row.tokenId, nowMs)
      used.unsafeOpen()
    },
    lastUse: (tokenId: string): number | undefined => uses.get(tokenId),
    /** Waits until there are uses to take. */
    used: used.await,
    /** What was used since the last call; `giveBack` what could not be written. */
    takeUses: (): ReadonlyArray<readonly [string, number]> => {
      const taken = [...uses]
      uses = new Map()
      used.unsafeClose()
      return taken
    },
    giveBack: (taken: ReadonlyArray<readonly [string, number]>) => {
      uses = new Map([...taken, ...uses])
      used.unsafeOpen()
    },
    /** The admin tokens that are alive and have no end set. */
    standingAdmins: (nowMs: number): ReadonlyArray<TokenRow> =>
      [...byId.values()].map(({ row }) => row).filter((row) =>
        row.origin === "admin" && row.revokedAtMs === null && endOf(row, nowMs) === null
      ),
    /** Whether one more grant may exist; forgets ended ones to make room. */
    hasRoom: (nowMs: number): boolean => {
      if (byId.size < grantBounds.live) return true
      for (const [tokenId, { row }] of byId) if (endOf(row, nowMs) !== null) byId.delete(tokenId)
      return byId.size < grantBounds.live
    }
  }
}

export type Grants = ReturnType<typeof makeGrants>

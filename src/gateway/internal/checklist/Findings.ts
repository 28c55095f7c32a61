import { Clock, Effect } from "effect"
import type { Audit } from "../../../audit/index.ts"
import type { Finding } from "../../contract.ts"

export const dayMs = 24 * 60 * 60 * 1_000

export const days = (ms: number): string => `${Math.floor(ms / dayMs)} days`

export type Status = Finding["status"]

/** One point of the list: how to mend it is told where it is not in order. */
export const finding = (
  check: string,
  why: string,
  status: Status,
  what: string,
  fix: string,
  evidence: Finding["evidence"] = {}
): Finding => ({ check, status, what, why, fix: status === "ok" ? null : fix, evidence })

/** The last row of an action, of one target if one is given, and how long ago it was. */
export const makeLast =
  (audit: Audit.Audit["Type"]) => (action: string, of: { readonly target?: string; readonly ok?: true } = {}) =>
    Effect.gen(function*() {
      const rows = yield* audit.list({ action, limit: 200 })
      const row = rows.find(({ outcome, target }) =>
        (of.ok === undefined || outcome === "ok") && (of.target === undefined || target === of.target)
      )
      return row === undefined ? undefined : { ...row, ageMs: (yield* Clock.currentTimeMillis) - row.atMs }
    })

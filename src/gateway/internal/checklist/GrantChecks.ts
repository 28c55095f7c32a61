import { holds, type TokenGrant } from "../../../access/index.ts"
import type { Finding } from "../../contract.ts"
import { dayMs, days, finding, type Status } from "./Findings.ts"

const unusedMs = 30 * dayMs
const expiringMs = 3 * dayMs

/** Grants that have not ended by now, with what is wrong about them. */
export const grantFindings = (grants: ReadonlyArray<TokenGrant>, nowMs: number): ReadonlyArray<Finding> => {
  const live = grants.filter(({ expiresAtMs, revokedAtMs }) =>
    (revokedAtMs === null || revokedAtMs > nowMs) && (expiresAtMs === null || expiresAtMs > nowMs)
  )
  const of = (
    check: string,
    why: string,
    status: Status,
    wrong: string,
    fix: string,
    matches: (g: TokenGrant) => boolean
  ) => {
    const found = live.filter(matches)
    return found.length === 0
      ? finding(check, why, "ok", `None of ${live.length} grants.`, fix)
      : finding(check, why, status, `${found.length} of ${live.length} grants ${wrong}.`, fix, {
        tokenIds: found.slice(0, 20).map(({ tokenId }) => tokenId)
      })
  }
  const everything = ({ scopes }: TokenGrant) => scopes.some((scope) => ["*", "admin"].includes(scope.trim()))
  const issued = ({ origin }: TokenGrant) => origin === "issued"
  return [
    of(
      "grants.unscoped",
      "A token that may do everything is a key to the house.",
      "failed",
      "may do everything",
      "Replace them by tokens with the scopes that are needed: `smithers token issue --scopes`.",
      (grant) => issued(grant) && everything(grant)
    ),
    of(
      "grants.unbounded",
      "A token without an end is good for whoever finds it, for ever.",
      "warning",
      "have no end",
      "Rotate the admin token regularly (`smithers token rotate`), and issue others with a lifetime.",
      ({ expiresAtMs }) => expiresAtMs === null
    ),
    of(
      "grants.unused",
      "What nobody uses, nobody misses when it is stolen.",
      "warning",
      `were not used for ${days(unusedMs)}`,
      "Revoke them: `smithers token revoke`.",
      (grant) => issued(grant) && nowMs - (grant.lastUsedAtMs ?? grant.issuedAtMs) > unusedMs
    ),
    of(
      "grants.expiring",
      "What expires unnoticed stops somebody's work.",
      "warning",
      `end within ${days(expiringMs)}`,
      "Rotate those that are still needed: `smithers token rotate --overlap`.",
      ({ expiresAtMs, issuedAtMs }) =>
        expiresAtMs !== null && expiresAtMs - issuedAtMs > expiringMs && expiresAtMs - nowMs < expiringMs
    ),
    of(
      "grants.launch-and-approve",
      "Whoever launches a workflow that can write or deploy must not be the one who approves it.",
      "warning",
      "hold launch and approval together",
      "Issue two tokens: one with run:write, one with approval:submit.",
      (grant) => issued(grant) && holds(grant.scopes, "run:write") && holds(grant.scopes, "approval:submit")
    )
  ]
}

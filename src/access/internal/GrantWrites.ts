import { Redacted } from "effect"
import type { Audit, AuditDetail } from "../../audit/index.ts"
import type { Actor } from "../../model/index.ts"
import { Write } from "../../persistence/index.ts"
import { InvalidGrant } from "../AccessError.ts"
import type { Grants } from "./Grants.ts"
import { sha256, tokenIdOf } from "./TokenFormat.ts"
import * as TokenTable from "./TokenTable.ts"

/** The row of a new secret. */
export const newRow = (
  secret: Redacted.Redacted,
  fields: Omit<TokenTable.TokenRow, "sha256" | "tokenId" | "revokedAtMs" | "lastUsedAtMs">
): TokenTable.TokenRow => {
  const hash = sha256(Redacted.value(secret))
  return { ...fields, sha256: hash, tokenId: tokenIdOf(hash), revokedAtMs: null, lastUsedAtMs: null }
}

/** The changes of grants, each one unit: the row, its audit, and the memory when both are committed. */
export const makeGrantWrites = (audit: Audit.Audit["Type"], grants: Grants) => {
  const audited = (
    action: string,
    actor: Actor,
    { orgId, tokenId: target }: { readonly orgId: string | null; readonly tokenId: string },
    atMs: number,
    detail: AuditDetail
  ) => audit.append({ atMs, actor, action, target, runId: null, orgId, outcome: "ok", reason: null, detail })

  const insert = (row: TokenTable.TokenRow) => Write.tapCommitted(() => grants.put(row))(TokenTable.insert(row))

  return {
    issue: (row: TokenTable.TokenRow, actor: Actor) =>
      Write.all([
        insert(row),
        audited("token.issue", actor, row, row.issuedAtMs, {
          origin: row.origin,
          role: row.role,
          scopes: row.scopes,
          userId: row.userId,
          ...(row.orgId !== null && { orgId: row.orgId, projectIds: row.projectIds }),
          label: row.label,
          expiresAtMs: row.expiresAtMs
        })
      ]),
    revoke: (row: TokenTable.TokenRow, actor: Actor, nowMs: number) =>
      Write.all([
        TokenTable.revoke(row.tokenId, nowMs, () => "AlreadyRevoked" as const).pipe(
          Write.tapCommitted(() => grants.revoke(row.tokenId, nowMs))
        ),
        audited("token.revoke", actor, row, nowMs, {})
      ]),
    rotate: (tokenId: string, successor: TokenTable.TokenRow, actor: Actor, revokedAtMs: number) =>
      Write.all([
        TokenTable.replace(
          tokenId,
          revokedAtMs,
          successor.issuedAtMs,
          () => new InvalidGrant({ field: "tokenId", bound: "must name a token that is alive and not being replaced" })
        ).pipe(Write.tapCommitted(() => grants.revoke(tokenId, revokedAtMs))),
        insert(successor),
        audited("token.rotate", actor, { tokenId, orgId: successor.orgId }, successor.issuedAtMs, {
          successor: successor.tokenId,
          revokedAtMs,
          expiresAtMs: successor.expiresAtMs
        })
      ])
  }
}

export type GrantWrites = ReturnType<typeof makeGrantWrites>

import { Clock, Effect, Option, Redacted } from "effect"
import { systemActor } from "../../model/index.ts"
import { type Persistence, Write } from "../../persistence/index.ts"
import type { AccessConfig } from "../AccessConfig.ts"
import { AdminTokenUnavailable } from "../AccessError.ts"
import type { AdminTokenFile } from "./AdminTokenFile.ts"
import type { Grants, Held } from "./Grants.ts"
import { type GrantWrites, newRow } from "./GrantWrites.ts"
import { generate, isPlausible, sha256 } from "./TokenFormat.ts"

/**
 * Sees to it that the operator has an admin token: the configured one, else the one in the file, else a new one. An
 * admin token that the operator no longer has (an earlier setting, a file that was lost) is revoked by the same commit.
 */
export const ensureAdminToken = Effect.fnUntraced(function*(
  persistence: Persistence.Persistence["Type"],
  config: AccessConfig["Type"],
  grants: Grants,
  writes: GrantWrites,
  file: AdminTokenFile
) {
  const nowMs = yield* Clock.currentTimeMillis

  const adminRow = (secret: Redacted.Redacted) =>
    newRow(secret, {
      origin: "admin",
      role: "admin",
      scopes: ["*"],
      userId: "user:admin",
      orgId: null,
      projectIds: null,
      label: "admin token",
      issuedBy: systemActor.role,
      rotatedFrom: null,
      issuedAtMs: nowMs,
      expiresAtMs: null
    })

  const retireAllBut = (tokenId: string) =>
    Write.all(
      grants.standingAdmins(nowMs)
        .filter((row) => row.tokenId !== tokenId)
        .map((row) => writes.revoke(row, systemActor, nowMs))
    )

  /** Nobody else changes grants while the service starts. */
  const commit = <A>(unit: Write.Write<A, "AlreadyRevoked">) =>
    persistence.write(unit).pipe(
      Effect.catchIf((error) => error === "AlreadyRevoked", Effect.die),
      Effect.asVoid
    )

  const adopt = (secret: Redacted.Redacted) => {
    const row = adminRow(secret)
    return commit(Write.all([writes.issue(row, systemActor), retireAllBut(row.tokenId)]))
  }

  /** Leaves a grant that stands as it is, and only that one. */
  const keep = (tokenId: string) => commit(retireAllBut(tokenId))

  const grantOf = (secret: Redacted.Redacted): Held["row"] | undefined =>
    grants.find(sha256(Redacted.value(secret)))?.row

  const fromConfig = Effect.fnUntraced(function*(secret: Redacted.Redacted) {
    if (!isPlausible(Redacted.value(secret))) {
      return yield* new AdminTokenUnavailable({
        detail: "SMITHERS_ADMIN_TOKEN must be 16 to 512 visible ASCII characters, or a complete smithers_ token.",
        fix: "Set another one, or unset it: then one is made and written to the admin-token file."
      })
    }
    const row = grantOf(secret)
    if (row === undefined) return yield* adopt(secret)
    if (row.origin !== "admin") {
      return yield* new AdminTokenUnavailable({
        detail: `SMITHERS_ADMIN_TOKEN is the secret of an ordinary token (${row.tokenId}).`,
        fix: "Set one that is used for nothing else."
      })
    }
    if (row.revokedAtMs === null) return yield* keep(row.tokenId)
    return yield* Effect.logWarning(
      `SMITHERS_ADMIN_TOKEN (${row.tokenId}) has been revoked or rotated: it gives no lasting access. Set another one.`
    )
  })

  const fromFile = Effect.gen(function*() {
    const row = Option.getOrUndefined(Option.map(yield* file.read, grantOf))
    if (row !== undefined && row.origin === "admin" && row.revokedAtMs === null) return yield* keep(row.tokenId)
    const secret = yield* generate
    yield* adopt(secret)
    return yield* file.write(secret)
  })

  yield* Option.match(config.adminToken, { onNone: () => fromFile, onSome: fromConfig })
})

import { type SqlClient, SqlSchema } from "@effect/sql"
import { Schema } from "effect"
import { PersistenceError, Write } from "../../persistence/index.ts"
import type { Principal } from "../Principal.ts"
import { TokenGrant } from "../TokenGrant.ts"

const Scopes = Schema.parseJson(Schema.Array(Schema.String))
const encodeScopes = Schema.encodeSync(Scopes)
const ProjectIds = Schema.NullOr(Schema.parseJson(Schema.Array(Schema.String)))
const encodeProjectIds = Schema.encodeSync(ProjectIds)

/** A grant as stored: with the hash of its secret. */
export const TokenRow = Schema.Struct({
  ...TokenGrant.fields,
  scopes: Scopes,
  projectIds: ProjectIds,
  sha256: Schema.String
})
export type TokenRow = typeof TokenRow.Type

export const insert = (row: TokenRow): Write.Write<number> =>
  Write.run(
    `INSERT INTO _smithers_tokens (token_id, token_sha256, origin, role, scopes_json, user_id, label, issued_by,
      rotated_from, issued_at_ms, expires_at_ms, revoked_at_ms, last_used_at_ms, org_id, project_ids_json)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    [
      row.tokenId,
      row.sha256,
      row.origin,
      row.role,
      encodeScopes(row.scopes),
      row.userId,
      row.label,
      row.issuedBy,
      row.rotatedFrom,
      row.issuedAtMs,
      row.expiresAtMs,
      row.revokedAtMs,
      row.lastUsedAtMs,
      row.orgId,
      encodeProjectIds(row.projectIds)
    ]
  )

/** Ends the grant now, unless it has been revoked before. */
export const revoke = <E>(tokenId: string, nowMs: number, otherwise: () => E) =>
  Write.guard(
    "UPDATE _smithers_tokens SET revoked_at_ms = ? WHERE token_id = ? AND (revoked_at_ms IS NULL OR revoked_at_ms > ?)",
    [nowMs, tokenId, nowMs],
    otherwise
  )

/** Ends the grant at `revokedAtMs`, if it is alive and nobody has set an end before. */
export const replace = <E>(tokenId: string, revokedAtMs: number, nowMs: number, otherwise: () => E) =>
  Write.guard(
    `UPDATE _smithers_tokens SET revoked_at_ms = ?
    WHERE token_id = ? AND revoked_at_ms IS NULL AND (expires_at_ms IS NULL OR expires_at_ms > ?)`,
    [revokedAtMs, tokenId, nowMs],
    otherwise
  )

const encodeUses = Schema.encodeSync(Schema.parseJson(Schema.Array(Schema.Tuple(Schema.String, Schema.Int))))

/** Notes when each of the tokens was last used. */
export const touch = (uses: ReadonlyArray<readonly [tokenId: string, atMs: number]>): Write.Write<number> =>
  Write.run(
    `UPDATE _smithers_tokens SET last_used_at_ms = use.value ->> 1
    FROM json_each(?) AS use WHERE token_id = use.value ->> 0`,
    [encodeUses(uses)]
  )

export const makeQueries = (sql: SqlClient.SqlClient) => {
  const columns = sql.literal(
    `token_id AS "tokenId", token_sha256 AS "sha256", origin, role, scopes_json AS "scopes", user_id AS "userId",
    org_id AS "orgId", project_ids_json AS "projectIds", label,
    issued_by AS "issuedBy", rotated_from AS "rotatedFrom", issued_at_ms AS "issuedAtMs",
    expires_at_ms AS "expiresAtMs", revoked_at_ms AS "revokedAtMs", last_used_at_ms AS "lastUsedAtMs"`
  )
  const load = SqlSchema.findAll({
    Request: Schema.Struct({ nowMs: Schema.Int, limit: Schema.Int }),
    Result: TokenRow,
    execute: ({ limit, nowMs }) =>
      sql`SELECT ${columns} FROM _smithers_tokens ORDER BY
        CASE WHEN revoked_at_ms <= ${nowMs} OR expires_at_ms <= ${nowMs} THEN 1 ELSE 0 END, issued_at_ms DESC
      LIMIT ${limit}`
  })
  const find = SqlSchema.findOne({
    Request: Schema.String,
    Result: TokenRow,
    execute: (tokenId) => sql`SELECT ${columns} FROM _smithers_tokens WHERE token_id = ${tokenId}`
  })
  const ofOrg = SqlSchema.findAll({
    Request: Schema.String,
    Result: TokenRow,
    execute: (orgId) => sql`SELECT ${columns} FROM _smithers_tokens WHERE org_id = ${orgId} AND revoked_at_ms IS NULL`
  })
  const page = SqlSchema.findAll({
    Request: Schema.Struct({
      after: Schema.UndefinedOr(Schema.String),
      within: Schema.NullOr(Schema.Struct({
        orgId: Schema.String,
        projectIds: Schema.NullOr(Schema.parseJson(Schema.Array(Schema.String)))
      })),
      limit: Schema.Int
    }),
    Result: TokenRow,
    execute: ({ after, limit, within }) => {
      const visible = sql.and([
        sql`1 = 1`,
        ...(within === null ? [] : [sql`org_id = ${within.orgId}`]),
        ...(within === null || within.projectIds === null ? [] : [
          sql`project_ids_json IS NOT NULL AND NOT EXISTS (SELECT 1 FROM json_each(project_ids_json) AS own
            WHERE own.value NOT IN (SELECT value FROM json_each(${within.projectIds})))`
        ])
      ])
      const older = after === undefined ? sql`1 = 1` : sql`(issued_at_ms, token_id) <
        (SELECT issued_at_ms, token_id FROM _smithers_tokens WHERE token_id = ${after} AND ${visible})`
      return sql`SELECT ${columns} FROM _smithers_tokens WHERE ${visible} AND ${older}
        ORDER BY issued_at_ms DESC, token_id DESC LIMIT ${limit}`
    }
  })
  return {
    /** The newest grants, those that are alive before those that have ended. */
    load: (nowMs: number, limit: number) => PersistenceError.refail("Access.load")(load({ nowMs, limit })),
    find: (tokenId: string) => PersistenceError.refail("Access.find")(find(tokenId)),
    page: (after: string | undefined, limit: number, within: Principal["tenant"]) =>
      PersistenceError.refail("Access.list")(page({ after, limit, within })),
    ofOrg: (orgId: string) => PersistenceError.refail("Access.revokeOrg")(ofOrg(orgId))
  }
}

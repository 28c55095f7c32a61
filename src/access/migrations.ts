import { Effect } from "effect"
import { Migrations } from "../persistence/index.ts"

export const migrations: Migrations.Migrations = {
  table: "access_migrations",
  steps: {
    "0001_tokens": Migrations.statements(
      `CREATE TABLE IF NOT EXISTS _smithers_tokens (
        token_id TEXT NOT NULL PRIMARY KEY CHECK (length(token_id) = 16),
        token_sha256 TEXT NOT NULL UNIQUE CHECK (length(token_sha256) = 64 AND substr(token_sha256, 1, 16) = token_id),
        origin TEXT NOT NULL CHECK (origin IN ('issued', 'admin')),
        role TEXT NOT NULL CHECK (role <> ''),
        scopes_json TEXT NOT NULL CHECK (scopes_json <> '[]'),
        user_id TEXT,
        label TEXT,
        issued_by TEXT NOT NULL,
        rotated_from TEXT,
        issued_at_ms INTEGER NOT NULL,
        expires_at_ms INTEGER CHECK (expires_at_ms > issued_at_ms),
        revoked_at_ms INTEGER,
        last_used_at_ms INTEGER,
        CHECK (origin = 'admin' OR expires_at_ms IS NOT NULL)
      ) STRICT`,
      "CREATE INDEX IF NOT EXISTS _smithers_tokens_by_issue ON _smithers_tokens (issued_at_ms, token_id)"
    ),
    "0002_tenants": Migrations.addColumn("_smithers_tokens", "org_id", "TEXT").pipe(
      Effect.zipRight(Migrations.addColumn("_smithers_tokens", "project_ids_json", "TEXT")),
      Effect.zipRight(Migrations.statements(
        `CREATE INDEX IF NOT EXISTS _smithers_tokens_by_org ON _smithers_tokens (org_id, issued_at_ms, token_id)
          WHERE org_id IS NOT NULL`
      ))
    )
  }
}

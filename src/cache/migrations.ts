import { Migrations } from "../persistence/index.ts"

/** The payload is the last column: who lists entries does not read it. */
export const migrations: Migrations.Migrations = {
  table: "_smithers_cache_migrations",
  steps: {
    "0001_cache": Migrations.statements(
      `CREATE TABLE IF NOT EXISTS _smithers_cache (
        cache_key TEXT NOT NULL PRIMARY KEY,
        tenant TEXT NOT NULL,
        scope TEXT NOT NULL CHECK (scope IN ('run', 'workflow', 'global')),
        task TEXT NOT NULL,
        parts_json TEXT NOT NULL,
        tags_json TEXT NOT NULL,
        workflow TEXT,
        run_id TEXT,
        frame_no INTEGER,
        node_id TEXT NOT NULL,
        iteration INTEGER NOT NULL,
        writer TEXT NOT NULL,
        bytes INTEGER NOT NULL,
        duration_ms INTEGER NOT NULL,
        created_at_ms INTEGER NOT NULL,
        expires_at_ms INTEGER,
        used_at_ms INTEGER NOT NULL,
        hits INTEGER NOT NULL,
        payload_sha256 TEXT NOT NULL,
        payload_json TEXT
      ) STRICT`,
      `CREATE INDEX IF NOT EXISTS _smithers_cache_task ON _smithers_cache (tenant, task, created_at_ms)`,
      `CREATE INDEX IF NOT EXISTS _smithers_cache_created ON _smithers_cache (created_at_ms, cache_key)`,
      `CREATE INDEX IF NOT EXISTS _smithers_cache_used ON _smithers_cache (used_at_ms, cache_key, bytes)`,
      `CREATE INDEX IF NOT EXISTS _smithers_cache_expires ON _smithers_cache (expires_at_ms)
        WHERE expires_at_ms IS NOT NULL`,
      `CREATE INDEX IF NOT EXISTS _smithers_cache_run ON _smithers_cache (run_id, frame_no) WHERE run_id IS NOT NULL`
    )
  }
}

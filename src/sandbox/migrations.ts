import { Migrations } from "../persistence/index.ts"

/** Tables of the sandboxes: what was executed where and how it was confined, and the change sets that came of it. */
export const migrations: Migrations.Migrations = {
  table: "_smithers_sandbox_migrations",
  steps: {
    "0001_sandboxes": Migrations.statements(
      `CREATE TABLE IF NOT EXISTS _smithers_sandboxes (
        run_id TEXT NOT NULL REFERENCES _smithers_runs (run_id) ON DELETE CASCADE,
        sandbox_id TEXT NOT NULL,
        attempt INTEGER NOT NULL,
        runtime TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('pending', 'shipped', 'finished', 'failed', 'cancelled')),
        policy_json TEXT NOT NULL,
        proof_json TEXT NOT NULL,
        request_bytes INTEGER NOT NULL,
        result_bytes INTEGER,
        patch_count INTEGER,
        change_set TEXT,
        error TEXT,
        created_at_ms INTEGER NOT NULL,
        heartbeat_at_ms INTEGER,
        finished_at_ms INTEGER,
        PRIMARY KEY (run_id, sandbox_id, attempt)
      ) STRICT, WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS _smithers_sandboxes_open ON _smithers_sandboxes (status)
        WHERE status IN ('pending', 'shipped')`,
      `CREATE TABLE IF NOT EXISTS _smithers_node_diffs (
        run_id TEXT NOT NULL REFERENCES _smithers_runs (run_id) ON DELETE CASCADE,
        node_id TEXT NOT NULL,
        iteration INTEGER NOT NULL,
        change_set TEXT NOT NULL,
        blob TEXT NOT NULL,
        base_ref TEXT NOT NULL,
        created_at_ms INTEGER NOT NULL,
        PRIMARY KEY (run_id, node_id, iteration)
      ) STRICT, WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS _smithers_node_diffs_set ON _smithers_node_diffs (change_set)`,
      `CREATE TABLE IF NOT EXISTS _smithers_blob_references (
        sha256 TEXT NOT NULL,
        run_id TEXT NOT NULL,
        node_id TEXT NOT NULL,
        iteration INTEGER NOT NULL,
        PRIMARY KEY (sha256, run_id, node_id, iteration),
        FOREIGN KEY (run_id, node_id, iteration)
          REFERENCES _smithers_node_diffs (run_id, node_id, iteration) ON DELETE CASCADE
      ) STRICT, WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS _smithers_blob_references_node
        ON _smithers_blob_references (run_id, node_id, iteration)`
    )
  }
}

import { Effect } from "effect"
import { Migrations } from "../persistence/index.ts"

/** Tables of the journal: what a run is, what its nodes did, and everything that happened, in order. */
export const migrations: Migrations.Migrations = {
  table: "_smithers_journal_migrations",
  steps: {
    "0001_runs": Migrations.statements(
      `CREATE TABLE IF NOT EXISTS _smithers_runs (
        run_id TEXT NOT NULL PRIMARY KEY,
        parent_run_id TEXT,
        workflow TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('running', 'waiting-approval', 'waiting-event', 'waiting-timer',
          'waiting-quota', 'paused', 'finished', 'failed', 'cancelled', 'continued')),
        input_json TEXT NOT NULL,
        output_json TEXT,
        error_json TEXT,
        hold_json TEXT,
        idempotency_key TEXT,
        actor_json TEXT NOT NULL,
        started_by_json TEXT,
        module_revision TEXT,
        owner_id TEXT,
        epoch INTEGER NOT NULL DEFAULT 0,
        heartbeat_at_ms INTEGER,
        created_at_ms INTEGER NOT NULL,
        started_at_ms INTEGER,
        finished_at_ms INTEGER,
        cancel_requested_at_ms INTEGER,
        pause_requested_at_ms INTEGER,
        resumes_without_progress INTEGER NOT NULL DEFAULT 0,
        CHECK ((finished_at_ms IS NOT NULL) = (status IN ('finished', 'failed', 'cancelled', 'continued')))
      ) STRICT`,
      `CREATE UNIQUE INDEX IF NOT EXISTS _smithers_runs_idempotency
        ON _smithers_runs (workflow, idempotency_key) WHERE idempotency_key IS NOT NULL`,
      `CREATE INDEX IF NOT EXISTS _smithers_runs_created ON _smithers_runs (created_at_ms, run_id)`,
      `CREATE INDEX IF NOT EXISTS _smithers_runs_status ON _smithers_runs (status, created_at_ms, run_id)`,
      `CREATE INDEX IF NOT EXISTS _smithers_runs_workflow ON _smithers_runs (workflow, created_at_ms, run_id)`,
      `CREATE INDEX IF NOT EXISTS _smithers_runs_owner ON _smithers_runs (owner_id) WHERE owner_id IS NOT NULL`,
      `CREATE INDEX IF NOT EXISTS _smithers_runs_parent ON _smithers_runs (parent_run_id, created_at_ms)
        WHERE parent_run_id IS NOT NULL`
    ),
    "0002_journal": Migrations.statements(
      `CREATE TABLE IF NOT EXISTS _smithers_nodes (
        run_id TEXT NOT NULL REFERENCES _smithers_runs (run_id) ON DELETE CASCADE,
        node_id TEXT NOT NULL,
        iteration INTEGER NOT NULL,
        ordinal INTEGER NOT NULL,
        kind TEXT NOT NULL,
        label TEXT,
        parent_node_id TEXT,
        state TEXT NOT NULL CHECK (state IN ('pending', 'in-progress', 'finished', 'failed', 'cancelled', 'skipped',
          'waiting-approval', 'waiting-event', 'waiting-timer', 'waiting-quota', 'waiting-bound', 'bound-stale')),
        attempt INTEGER NOT NULL,
        output_json TEXT,
        error_json TEXT,
        started_at_ms INTEGER,
        finished_at_ms INTEGER,
        updated_at_ms INTEGER NOT NULL,
        PRIMARY KEY (run_id, node_id, iteration)
      ) STRICT, WITHOUT ROWID`,
      `CREATE TABLE IF NOT EXISTS _smithers_attempts (
        run_id TEXT NOT NULL REFERENCES _smithers_runs (run_id) ON DELETE CASCADE,
        node_id TEXT NOT NULL,
        iteration INTEGER NOT NULL,
        attempt INTEGER NOT NULL,
        state TEXT NOT NULL,
        error_json TEXT,
        started_at_ms INTEGER NOT NULL,
        finished_at_ms INTEGER,
        heartbeat_at_ms INTEGER,
        PRIMARY KEY (run_id, node_id, iteration, attempt)
      ) STRICT, WITHOUT ROWID`,
      `CREATE TABLE IF NOT EXISTS _smithers_events (
        run_id TEXT NOT NULL REFERENCES _smithers_runs (run_id) ON DELETE CASCADE,
        seq INTEGER NOT NULL CHECK (seq >= 1),
        frame_no INTEGER NOT NULL,
        type TEXT NOT NULL,
        node_id TEXT,
        iteration INTEGER,
        attempt INTEGER,
        data_json TEXT NOT NULL,
        timestamp_ms INTEGER NOT NULL,
        PRIMARY KEY (run_id, seq)
      ) STRICT, WITHOUT ROWID`,
      `CREATE TABLE IF NOT EXISTS _smithers_frames (
        run_id TEXT NOT NULL REFERENCES _smithers_runs (run_id) ON DELETE CASCADE,
        frame_no INTEGER NOT NULL,
        seq INTEGER NOT NULL,
        created_at_ms INTEGER NOT NULL,
        tree_json TEXT NOT NULL,
        PRIMARY KEY (run_id, frame_no)
      ) STRICT, WITHOUT ROWID`
    ),
    "0003_cached": Migrations.addColumn("_smithers_attempts", "cached", "INTEGER NOT NULL DEFAULT 0"),
    // The node's row tells of its last attempt, of one whose result was taken from the cache too.
    "0004_cached_nodes": Effect.zipRight(
      Migrations.addColumn("_smithers_nodes", "cached", "INTEGER NOT NULL DEFAULT 0"),
      Migrations.statements(
        `UPDATE _smithers_nodes SET cached = 1 WHERE EXISTS (SELECT 1 FROM _smithers_attempts AS a
          WHERE a.run_id = _smithers_nodes.run_id AND a.node_id = _smithers_nodes.node_id
            AND a.iteration = _smithers_nodes.iteration AND a.attempt = _smithers_nodes.attempt AND a.cached = 1)`
      )
    ),
    // An idempotency key stands for a run of one tenant: two tenants may choose the same.
    "0005_tenants": Migrations.addColumn("_smithers_runs", "org_id", "TEXT").pipe(
      Effect.zipRight(Migrations.addColumn("_smithers_runs", "project_id", "TEXT")),
      Effect.zipRight(Migrations.statements(
        "DROP INDEX IF EXISTS _smithers_runs_idempotency",
        `CREATE UNIQUE INDEX IF NOT EXISTS _smithers_runs_by_key
          ON _smithers_runs (workflow, idempotency_key, COALESCE(org_id, ''), COALESCE(project_id, ''))
          WHERE idempotency_key IS NOT NULL`,
        `CREATE INDEX IF NOT EXISTS _smithers_runs_org ON _smithers_runs (org_id, created_at_ms, run_id)
          WHERE org_id IS NOT NULL`,
        `CREATE INDEX IF NOT EXISTS _smithers_runs_org_status ON _smithers_runs (org_id, status, created_at_ms, run_id)
          WHERE org_id IS NOT NULL`
      ))
    ),
    "0006_runs_of_projects": Migrations.statements(
      `CREATE INDEX IF NOT EXISTS _smithers_runs_project ON _smithers_runs (org_id, project_id, created_at_ms, run_id)
        WHERE project_id IS NOT NULL`
    )
  }
}

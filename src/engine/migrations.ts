import { Effect } from "effect"
import { Migrations } from "../persistence/index.ts"

/** What runs wait for: decisions of people, and points in time. */
export const migrations: Migrations.Migrations = {
  table: "_smithers_engine_migrations",
  steps: {
    "0001_waits": Migrations.statements(
      `CREATE TABLE IF NOT EXISTS _smithers_approvals (
        run_id TEXT NOT NULL REFERENCES _smithers_runs (run_id) ON DELETE CASCADE,
        node_id TEXT NOT NULL,
        iteration INTEGER NOT NULL,
        workflow TEXT NOT NULL,
        title TEXT NOT NULL,
        summary TEXT,
        payload_json TEXT NOT NULL,
        payload_sha256 TEXT NOT NULL,
        owner TEXT,
        fallback_owner TEXT,
        allowed_scopes_json TEXT NOT NULL,
        allowed_users_json TEXT NOT NULL,
        status TEXT NOT NULL CHECK (status IN ('requested', 'approved', 'denied', 'cancelled')),
        requested_at_ms INTEGER NOT NULL,
        decided_at_ms INTEGER,
        decided_by TEXT,
        note TEXT,
        decision_json TEXT,
        PRIMARY KEY (run_id, node_id, iteration),
        CHECK ((decided_by IS NOT NULL) = (status IN ('approved', 'denied')))
      ) STRICT`,
      `CREATE INDEX IF NOT EXISTS _smithers_approvals_pending ON _smithers_approvals (requested_at_ms, run_id)
        WHERE status = 'requested'`,
      `CREATE TABLE IF NOT EXISTS _smithers_timers (
        run_id TEXT NOT NULL REFERENCES _smithers_runs (run_id) ON DELETE CASCADE,
        node_id TEXT NOT NULL,
        iteration INTEGER NOT NULL,
        fires_at_ms INTEGER NOT NULL,
        PRIMARY KEY (run_id, node_id, iteration)
      ) STRICT, WITHOUT ROWID`,
      `CREATE INDEX IF NOT EXISTS _smithers_timers_due ON _smithers_timers (fires_at_ms)`
    ),
    // As of the run that asks.
    "0002_tenants": Migrations.addColumn("_smithers_approvals", "org_id", "TEXT").pipe(
      Effect.zipRight(Migrations.addColumn("_smithers_approvals", "project_id", "TEXT")),
      Effect.zipRight(Migrations.statements(
        `CREATE INDEX IF NOT EXISTS _smithers_approvals_of_org ON _smithers_approvals (org_id, requested_at_ms, run_id)
          WHERE status = 'requested' AND org_id IS NOT NULL`
      ))
    )
  }
}

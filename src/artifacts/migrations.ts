import { Migrations } from "../persistence/index.ts"

/** Runs that are removed, and whose artifacts are still to go. No run hangs on them: they outlive it. */
export const migrations: Migrations.Migrations = {
  table: "_smithers_artifacts_migrations",
  steps: {
    "0001_removals": Migrations.statements(
      `CREATE TABLE IF NOT EXISTS _smithers_artifact_removals (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        run_id TEXT NOT NULL,
        org_id TEXT
      ) STRICT`,
      `CREATE INDEX IF NOT EXISTS _smithers_artifact_removals_run ON _smithers_artifact_removals (run_id)`
    )
  }
}

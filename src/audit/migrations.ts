import { Migrations } from "../persistence/index.ts"

/** A row, once there, stays as it is: `INSERT OR REPLACE` would delete without firing the DELETE trigger. */
const appendOnly = (event: string, condition: string) =>
  `CREATE TRIGGER IF NOT EXISTS _smithers_audit_no_${event.toLowerCase()}
  BEFORE ${event} ON _smithers_audit ${condition}
  BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END`

export const migrations: Migrations.Migrations = {
  table: "audit_migrations",
  steps: {
    "0001_audit": Migrations.statements(
      `CREATE TABLE IF NOT EXISTS _smithers_audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at_ms INTEGER NOT NULL,
        actor TEXT NOT NULL,
        token_id TEXT,
        role TEXT NOT NULL,
        action TEXT NOT NULL CHECK (action <> ''),
        target TEXT,
        run_id TEXT,
        outcome TEXT NOT NULL CHECK (outcome IN ('ok', 'refused', 'failed')),
        reason TEXT,
        detail_json TEXT NOT NULL
      ) STRICT`,
      "CREATE INDEX IF NOT EXISTS _smithers_audit_by_action ON _smithers_audit (action, id)",
      "CREATE INDEX IF NOT EXISTS _smithers_audit_by_actor ON _smithers_audit (actor, id)",
      "CREATE INDEX IF NOT EXISTS _smithers_audit_by_run ON _smithers_audit (run_id, id) WHERE run_id IS NOT NULL",
      appendOnly("UPDATE", ""),
      appendOnly("DELETE", ""),
      appendOnly("INSERT", "WHEN EXISTS (SELECT 1 FROM _smithers_audit WHERE id = NEW.id)")
    )
  }
}

import { Migrations } from "../persistence/index.ts"

/**
 * A message waits until it is part of a batch; a batch, whose text never changes, until it is delivered or dropped. An
 * organization that is deleted leaves its messages behind: what it used is still to be billed. `org_id` is empty for what
 * belongs to the service itself.
 */
export const migrations: Migrations.Migrations = {
  table: "outbox_migrations",
  steps: {
    "0001_outbox": Migrations.statements(
      `CREATE TABLE IF NOT EXISTS _smithers_outbox (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        channel TEXT NOT NULL CHECK (channel IN ('audit', 'billing')),
        org_id TEXT NOT NULL,
        message TEXT NOT NULL
      ) STRICT`,
      "CREATE INDEX IF NOT EXISTS _smithers_outbox_lane ON _smithers_outbox (channel, org_id, id)",
      `CREATE TABLE IF NOT EXISTS _smithers_outbox_batches (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        channel TEXT NOT NULL CHECK (channel IN ('audit', 'billing')),
        org_id TEXT NOT NULL,
        delivery_id TEXT NOT NULL UNIQUE,
        messages INTEGER NOT NULL,
        body TEXT NOT NULL,
        state TEXT NOT NULL CHECK (state IN ('due', 'dead')),
        attempts INTEGER NOT NULL,
        since_at_ms INTEGER NOT NULL,
        next_at_ms INTEGER NOT NULL,
        error TEXT
      ) STRICT`,
      "CREATE INDEX IF NOT EXISTS _smithers_outbox_batches_lane ON _smithers_outbox_batches (state, channel, org_id, id)"
    )
  }
}

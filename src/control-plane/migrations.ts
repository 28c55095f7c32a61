import { SqlClient } from "@effect/sql"
import { Effect, Record } from "effect"
import { Migrations } from "../persistence/index.ts"

const org = "org_id TEXT NOT NULL REFERENCES _smithers_cp_orgs (org_id) ON DELETE CASCADE"
const project =
  "FOREIGN KEY (org_id, project_id) REFERENCES _smithers_cp_projects (org_id, project_id) ON DELETE CASCADE"
const team = "FOREIGN KEY (org_id, team_id) REFERENCES _smithers_cp_teams (org_id, team_id) ON DELETE CASCADE"
/** A primary key cannot hold a null: `__org__` stands for the whole organization. */
const projectKey = "project_key TEXT NOT NULL CHECK (project_key = COALESCE(project_id, '__org__'))"

/** A row of an organization's audit stays as it is, and goes with its organization only. */
const appendOnly = (event: string, condition: string) =>
  `CREATE TRIGGER IF NOT EXISTS _smithers_cp_audit_events_no_${event.toLowerCase()}
  BEFORE ${event} ON _smithers_cp_audit_events ${condition}
  BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END`

/**
 * The tables and their columns are those of the ControlPlaneStore family, with ours behind them. Each statement may be
 * executed again.
 *
 * Usage and audit rows name projects and runs without referring to them: who deletes a project neither gets its usage
 * back nor loses what was done in it. Both go with their organization.
 *
 * A series is what is summed: a metric and unit of a project, or of the whole organization. Its rollups are by level
 * (0 all time, 1 a UTC day, 2 a quarter of an hour, on which the days of every time zone begin) and bucket (the time
 * divided by the length of the level).
 *
 * Of an organization that was deleted its id stays, so that it is not given to another one: runs and audit still name it.
 */
export const schema: Readonly<Record<string, ReadonlyArray<string>>> = {
  "0001_control_plane": [
    `CREATE TABLE IF NOT EXISTS _smithers_cp_orgs (
      org_id TEXT NOT NULL PRIMARY KEY,
      slug TEXT NOT NULL UNIQUE,
      name TEXT NOT NULL,
      metadata_json TEXT NOT NULL DEFAULT '{}',
      created_at_ms INTEGER NOT NULL,
      updated_at_ms INTEGER NOT NULL
    ) STRICT`,
    `CREATE TABLE IF NOT EXISTS _smithers_cp_teams (
      ${org},
      team_id TEXT NOT NULL,
      slug TEXT NOT NULL,
      name TEXT NOT NULL,
      metadata_json TEXT NOT NULL DEFAULT '{}',
      created_at_ms INTEGER NOT NULL,
      updated_at_ms INTEGER NOT NULL,
      PRIMARY KEY (org_id, team_id),
      UNIQUE (org_id, slug)
    ) STRICT`,
    `CREATE TABLE IF NOT EXISTS _smithers_cp_team_members (
      ${org},
      team_id TEXT NOT NULL,
      user_id TEXT NOT NULL,
      role TEXT NOT NULL,
      created_at_ms INTEGER NOT NULL,
      updated_at_ms INTEGER NOT NULL,
      PRIMARY KEY (org_id, team_id, user_id),
      ${team}
    ) STRICT`,
    "CREATE INDEX IF NOT EXISTS _smithers_cp_team_members_user ON _smithers_cp_team_members (org_id, user_id)",
    `CREATE TABLE IF NOT EXISTS _smithers_cp_projects (
      ${org},
      project_id TEXT NOT NULL,
      slug TEXT NOT NULL,
      name TEXT NOT NULL,
      metadata_json TEXT NOT NULL DEFAULT '{}',
      created_at_ms INTEGER NOT NULL,
      updated_at_ms INTEGER NOT NULL,
      PRIMARY KEY (org_id, project_id),
      UNIQUE (org_id, slug)
    ) STRICT`,
    `CREATE TABLE IF NOT EXISTS _smithers_cp_project_teams (
      ${org},
      project_id TEXT NOT NULL,
      team_id TEXT NOT NULL,
      role TEXT NOT NULL,
      created_at_ms INTEGER NOT NULL,
      updated_at_ms INTEGER NOT NULL,
      PRIMARY KEY (org_id, project_id, team_id),
      ${project},
      ${team}
    ) STRICT`,
    "CREATE INDEX IF NOT EXISTS _smithers_cp_project_teams_team ON _smithers_cp_project_teams (org_id, team_id)",
    `CREATE TABLE IF NOT EXISTS _smithers_cp_billing_accounts (
      org_id TEXT NOT NULL PRIMARY KEY REFERENCES _smithers_cp_orgs (org_id) ON DELETE CASCADE,
      plan TEXT NOT NULL,
      billing_customer_id TEXT,
      status TEXT NOT NULL,
      updated_at_ms INTEGER NOT NULL
    ) STRICT`,
    `CREATE TABLE IF NOT EXISTS _smithers_cp_identity_providers (
      ${org},
      provider_id TEXT NOT NULL,
      type TEXT NOT NULL CHECK (type IN ('saml', 'oidc')),
      issuer TEXT NOT NULL,
      sso_url TEXT,
      certificate_ref TEXT,
      client_id TEXT,
      jwks_url TEXT,
      status TEXT NOT NULL CHECK (status IN ('active', 'disabled')),
      metadata_json TEXT NOT NULL DEFAULT '{}',
      created_at_ms INTEGER NOT NULL,
      updated_at_ms INTEGER NOT NULL,
      PRIMARY KEY (org_id, provider_id)
    ) STRICT`,
    `CREATE INDEX IF NOT EXISTS _smithers_cp_identity_providers_issuer
      ON _smithers_cp_identity_providers (issuer, status)`,
    `CREATE TABLE IF NOT EXISTS _smithers_cp_usage_events (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      ${org},
      project_id TEXT,
      run_id TEXT,
      metric TEXT NOT NULL,
      quantity INTEGER NOT NULL CHECK (quantity >= 0),
      unit TEXT NOT NULL,
      observed_at_ms INTEGER NOT NULL,
      recorded_at_ms INTEGER NOT NULL,
      idempotency_key TEXT,
      metadata_json TEXT NOT NULL DEFAULT '{}'
    ) STRICT`,
    "CREATE INDEX IF NOT EXISTS _smithers_cp_usage_events_org ON _smithers_cp_usage_events (org_id)",
    `CREATE UNIQUE INDEX IF NOT EXISTS _smithers_cp_usage_events_key
      ON _smithers_cp_usage_events (org_id, idempotency_key) WHERE idempotency_key IS NOT NULL`,
    `CREATE TABLE IF NOT EXISTS _smithers_cp_usage_series (
      series_id INTEGER PRIMARY KEY,
      ${org},
      project_id TEXT,
      ${projectKey},
      metric TEXT NOT NULL,
      unit TEXT NOT NULL,
      open INTEGER NOT NULL DEFAULT 1 CHECK (open IN (0, 1)),
      UNIQUE (org_id, metric, unit, project_key)
    ) STRICT`,
    `CREATE TABLE IF NOT EXISTS _smithers_cp_usage_rollups (
      series_id INTEGER NOT NULL REFERENCES _smithers_cp_usage_series (series_id) ON DELETE CASCADE,
      level INTEGER NOT NULL CHECK (level IN (0, 1, 2)),
      bucket INTEGER NOT NULL,
      quantity INTEGER NOT NULL,
      events INTEGER NOT NULL,
      PRIMARY KEY (series_id, level, bucket)
    ) STRICT, WITHOUT ROWID`,
    `CREATE TABLE IF NOT EXISTS _smithers_cp_usage_limits (
      ${org},
      project_id TEXT,
      ${projectKey},
      metric TEXT NOT NULL,
      unit TEXT NOT NULL,
      period TEXT NOT NULL CHECK (period IN ('daily', 'weekly', 'monthly')),
      "window" TEXT NOT NULL CHECK ("window" IN ('calendar', 'rolling')),
      time_zone TEXT NOT NULL,
      enforcement TEXT NOT NULL CHECK (enforcement IN ('hard', 'soft')),
      limit_quantity INTEGER NOT NULL CHECK (limit_quantity >= 0),
      updated_at_ms INTEGER NOT NULL,
      PRIMARY KEY (org_id, project_key, metric, unit, period),
      ${project}
    ) STRICT`,
    `CREATE INDEX IF NOT EXISTS _smithers_cp_usage_limits_metric
      ON _smithers_cp_usage_limits (org_id, metric, unit, period)`,
    `CREATE TABLE IF NOT EXISTS _smithers_cp_usage_reservations (
      ${org},
      reservation_id TEXT NOT NULL,
      project_id TEXT,
      run_id TEXT,
      metric TEXT NOT NULL,
      unit TEXT NOT NULL,
      quantity INTEGER NOT NULL CHECK (quantity >= 0),
      created_at_ms INTEGER NOT NULL,
      expires_at_ms INTEGER NOT NULL,
      PRIMARY KEY (org_id, reservation_id)
    ) STRICT`,
    `CREATE INDEX IF NOT EXISTS _smithers_cp_usage_reservations_metric
      ON _smithers_cp_usage_reservations (org_id, metric, unit, expires_at_ms, project_id, quantity)`,
    `CREATE INDEX IF NOT EXISTS _smithers_cp_usage_reservations_expired
      ON _smithers_cp_usage_reservations (expires_at_ms)`,
    `CREATE TABLE IF NOT EXISTS _smithers_cp_secret_refs (
      ${org},
      project_id TEXT,
      ${projectKey},
      name TEXT NOT NULL,
      provider TEXT NOT NULL,
      ref TEXT NOT NULL,
      created_by TEXT,
      created_at_ms INTEGER NOT NULL,
      rotated_at_ms INTEGER,
      PRIMARY KEY (org_id, project_key, name),
      ${project}
    ) STRICT`,
    `CREATE TABLE IF NOT EXISTS _smithers_cp_audit_events (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      ${org},
      project_id TEXT,
      actor_id TEXT,
      action TEXT NOT NULL,
      target_type TEXT NOT NULL,
      target_id TEXT,
      occurred_at_ms INTEGER NOT NULL,
      metadata_json TEXT NOT NULL DEFAULT '{}',
      hash TEXT NOT NULL
    ) STRICT`,
    "CREATE INDEX IF NOT EXISTS _smithers_cp_audit_events_org ON _smithers_cp_audit_events (org_id, id, hash)",
    appendOnly("UPDATE", ""),
    appendOnly("DELETE", "WHEN EXISTS (SELECT 1 FROM _smithers_cp_orgs WHERE org_id = OLD.org_id)"),
    appendOnly("INSERT", "WHEN EXISTS (SELECT 1 FROM _smithers_cp_audit_events WHERE id = NEW.id)")
  ],
  "0002_deleted_orgs": [
    `CREATE TABLE IF NOT EXISTS _smithers_cp_deleted_orgs (
      org_id TEXT NOT NULL PRIMARY KEY,
      deleted_at_ms INTEGER NOT NULL,
      ended_at_ms INTEGER
    ) STRICT`,
    `CREATE INDEX IF NOT EXISTS _smithers_cp_deleted_orgs_pending
      ON _smithers_cp_deleted_orgs (deleted_at_ms) WHERE ended_at_ms IS NULL`
  ],
  "0004_script_changes": [
    `CREATE TABLE IF NOT EXISTS _smithers_cp_script_changes (
      id INTEGER PRIMARY KEY AUTOINCREMENT,
      entry_json TEXT NOT NULL
    ) STRICT`
  ]
}

/** What was deleted before ids were kept, as far as the service's audit still tells of it. */
const deletedBefore = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const audit = yield* sql`SELECT 1 FROM sqlite_schema WHERE type = 'table' AND name = '_smithers_audit'`
  if (audit.length === 0) return
  yield* sql`INSERT INTO _smithers_cp_deleted_orgs (org_id, deleted_at_ms)
    SELECT target, MAX(at_ms) FROM _smithers_audit
      WHERE action = 'org.delete' AND outcome = 'ok' AND target IS NOT NULL
        AND target NOT IN (SELECT org_id FROM _smithers_cp_orgs)
      GROUP BY target
    ON CONFLICT (org_id) DO NOTHING`
})

export const migrations: Migrations.Migrations = {
  table: "_smithers_cp_migrations",
  steps: {
    ...Record.map(schema, (texts) => Migrations.statements(...texts)),
    "0003_deleted_before": deletedBefore
  }
}

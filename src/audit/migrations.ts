import { SqlClient } from "@effect/sql"
import { Effect } from "effect"
import { randomUUID } from "node:crypto"
import { Migrations } from "../persistence/index.ts"
import { columns, type Content, digestOf, genesisOf, link } from "./internal/Chain.ts"

/** What the triggers of the audit's tables say. */
const appendOnly = (table: string, event: string, condition: string) =>
  `CREATE TRIGGER IF NOT EXISTS ${table}_no_${event.toLowerCase()}
  BEFORE ${event} ON ${table} ${condition}
  BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END`

/** A row, once there, stays as it is: `INSERT OR REPLACE` would delete without firing the DELETE trigger. */
const noReplace = "WHEN EXISTS (SELECT 1 FROM _smithers_audit WHERE id = NEW.id)"

/** Rows read and rewritten at a time. */
const pageRows = 1_000

/** Chains the rows that were there before the chain, in the order of their ids. */
const chainExisting = Effect.gen(function*() {
  const sql = yield* SqlClient.SqlClient
  const logId = randomUUID()
  yield* sql.unsafe("INSERT INTO _smithers_audit_log (one, log_id) VALUES (1, ?) ON CONFLICT DO NOTHING", [logId])
  let previous = genesisOf(logId)
  let lastId = 0
  for (;;) {
    const rows = yield* sql.unsafe(
      `SELECT ${columns.join(", ")} FROM _smithers_audit WHERE id > ? ORDER BY id LIMIT ${pageRows}`,
      [lastId]
    ).values
    if (rows.length === 0) return
    for (const row of rows) {
      lastId = row[0] as number
      const hash = link(previous, digestOf(row as Content))
      yield* sql.unsafe("UPDATE _smithers_audit SET previous_hash = ?, hash = ? WHERE id = ?", [previous, hash, lastId])
      previous = hash
    }
  }
})

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
      appendOnly("_smithers_audit", "UPDATE", ""),
      appendOnly("_smithers_audit", "DELETE", ""),
      appendOnly("_smithers_audit", "INSERT", noReplace)
    ),
    "0002_chain": Effect.gen(function*() {
      yield* Migrations.statements(
        "CREATE TABLE IF NOT EXISTS _smithers_audit_log (one INTEGER PRIMARY KEY CHECK (one = 1), log_id TEXT NOT NULL) STRICT",
        // What was signed, in the very bytes that were signed; `through_id` is set on a seal: rows up to it may be pruned.
        `CREATE TABLE IF NOT EXISTS _smithers_audit_statements (
          n INTEGER PRIMARY KEY,
          statement TEXT NOT NULL,
          key_id TEXT NOT NULL,
          signature TEXT NOT NULL,
          row_id INTEGER NOT NULL,
          through_id INTEGER
        ) STRICT`,
        "CREATE INDEX IF NOT EXISTS _smithers_audit_seals ON _smithers_audit_statements (through_id) WHERE through_id IS NOT NULL",
        "DROP TRIGGER IF EXISTS _smithers_audit_no_update",
        "DROP TRIGGER IF EXISTS _smithers_audit_no_delete"
      )
      for (const column of ["org_id", "project_id", "request_id", "trace_id", "deployment", "module_revision"]) {
        yield* Migrations.addColumn("_smithers_audit", column, "TEXT")
      }
      for (const column of ["previous_hash", "hash"]) {
        yield* Migrations.addColumn("_smithers_audit", column, "TEXT NOT NULL DEFAULT ''")
      }
      yield* chainExisting
      yield* Migrations.statements(
        "CREATE INDEX IF NOT EXISTS _smithers_audit_by_time ON _smithers_audit (at_ms, id)",
        "CREATE INDEX IF NOT EXISTS _smithers_audit_by_org ON _smithers_audit (org_id, id) WHERE org_id IS NOT NULL",
        appendOnly("_smithers_audit", "UPDATE", ""),
        appendOnly(
          "_smithers_audit",
          "DELETE",
          "WHEN OLD.id > (SELECT COALESCE(MAX(through_id), 0) FROM _smithers_audit_statements WHERE through_id IS NOT NULL)"
        ),
        appendOnly("_smithers_audit_log", "UPDATE", ""),
        appendOnly("_smithers_audit_log", "DELETE", ""),
        appendOnly("_smithers_audit_statements", "UPDATE", ""),
        appendOnly("_smithers_audit_statements", "DELETE", ""),
        appendOnly(
          "_smithers_audit_statements",
          "INSERT",
          "WHEN EXISTS (SELECT 1 FROM _smithers_audit_statements WHERE n = NEW.n)"
        )
      )
    })
  }
}

import Sqlite from "better-sqlite3"
import fs from "node:fs"
import path from "node:path"

/** One execution of a task, as it left it in the file. */
export interface Line {
  readonly nodeId: string
  readonly attempt: number
  readonly pid: number
  readonly nonce: string
}

export interface StoredEvent {
  readonly seq: number
  readonly type: string
  readonly nodeId: string | null
  readonly attempt: number | null
  readonly timestampMs: number
}

export interface StoredNode {
  readonly nodeId: string
  readonly kind: string
  readonly state: string
  readonly attempt: number
  readonly output: string | null
}

/** What a killed service left behind. */
export interface Evidence {
  readonly status: string | undefined
  readonly events: ReadonlyArray<StoredEvent>
  readonly nodes: ReadonlyArray<StoredNode>
  readonly attempts: ReadonlyArray<{ readonly nodeId: string; readonly attempt: number; readonly state: string }>
  readonly lines: ReadonlyArray<Line>
  readonly problems: ReadonlyArray<string>
}

export const readLines = (file: string): ReadonlyArray<Line> =>
  fs.existsSync(file)
    ? fs.readFileSync(file, "utf8").split("\n").slice(0, -1).map((line) => {
      const [key, attempt, pid, nonce] = line.split(" ")
      return { nodeId: key!.split("/")[1]!, attempt: Number(attempt), pid: Number(pid), nonce: nonce! }
    })
    : []

/** Looks at a copy of the database: what the next start finds must not have been touched by us. */
export const collect = (home: string, runId: string, file: string): Evidence => {
  const copy = path.join(path.dirname(home), "evidence")
  fs.rmSync(copy, { recursive: true, force: true })
  fs.mkdirSync(copy)
  const names = fs.existsSync(home) ? fs.readdirSync(home).filter((name) => /\.db(-wal)?$/.test(name)) : []
  for (const name of names) fs.copyFileSync(path.join(home, name), path.join(copy, name))
  const database = names.find((name) => name.endsWith(".db"))
  const lines = readLines(file)
  const nothing: Evidence = { status: undefined, events: [], nodes: [], attempts: [], lines, problems: [] }
  if (database === undefined) return nothing
  const db = new Sqlite(path.join(copy, database))
  try {
    const problems: Array<string> = []
    const integrity = db.pragma("integrity_check", { simple: true })
    if (integrity !== "ok") problems.push(`integrity_check: ${String(integrity)}`)
    const orphans = db.pragma("foreign_key_check") as ReadonlyArray<unknown>
    if (orphans.length > 0) problems.push(`foreign_key_check: ${JSON.stringify(orphans.slice(0, 3))}`)
    const tables = new Set(db.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all())
    // Killed while the first start made its tables.
    if (!["runs", "events", "nodes", "attempts"].every((name) => tables.has(`_smithers_${name}`))) {
      return { ...nothing, problems }
    }
    const all = <A>(text: string) => db.prepare(text).all(runId) as Array<A>
    return {
      status: db.prepare("SELECT status FROM _smithers_runs WHERE run_id = ?").pluck().get(runId) as string | undefined,
      events: all(`SELECT seq, type, node_id AS nodeId, attempt, timestamp_ms AS timestampMs
        FROM _smithers_events WHERE run_id = ? ORDER BY seq`),
      nodes: all(`SELECT node_id AS nodeId, kind, state, attempt, output_json AS output
        FROM _smithers_nodes WHERE run_id = ?`),
      attempts: all(`SELECT node_id AS nodeId, attempt, state FROM _smithers_attempts
        WHERE run_id = ? ORDER BY node_id, attempt`),
      lines,
      problems
    }
  } finally {
    db.close()
  }
}

import * as NodeContext from "@effect/platform-node/NodeContext"
import Sqlite from "better-sqlite3"
import { Effect, Layer, ManagedRuntime } from "effect"
import path from "node:path"
import { Audit } from "../../src/audit/index.ts"
import { ControlPlane } from "../../src/control-plane/index.ts"
import { Persistence, PersistenceConfig } from "../../src/persistence/index.ts"
import { exportTo } from "./ExportFile.ts"
import { median, percentile, perSecond } from "./Figures.ts"
import { atLeast, atMost, figure, type Measurement } from "./Measurement.ts"

const dayMs = 86_400_000
const quarterMs = dayMs / 96

/** The control plane as the service has it, on a home, with `synchronous=FULL`. */
export const openPlane = async (home: string) => {
  const runtime = ManagedRuntime.make(ControlPlane.layer.pipe(
    Layer.provideMerge(Audit.layer),
    Layer.provideMerge(Persistence.layer),
    Layer.provide(
      Layer.succeed(PersistenceConfig.PersistenceConfig, { home, synchronous: "full", allowNetworkFileSystem: false })
    ),
    Layer.provide(NodeContext.layer)
  ))
  const cp = await runtime.runPromise(ControlPlane.ControlPlane)
  const { file } = await runtime.runPromise(Persistence.Persistence)
  await runtime.runPromise(Effect.gen(function*() {
    yield* cp.createOrg({ orgId: "org", slug: "org", name: "Org" })
    for (let i = 0; i < 8; i++) {
      yield* cp.createProject({ orgId: "org", projectId: `p${i}`, slug: `p${i}`, name: `P${i}` })
    }
    yield* cp.setUsageLimit({ orgId: "org", metric: "ms", unit: "ms", limitQuantity: 1e15 })
    yield* cp.setUsageLimit({
      orgId: "org",
      projectId: "p1",
      metric: "ms",
      unit: "ms",
      period: "daily",
      timeZone: "America/New_York",
      limitQuantity: 1e15
    })
  }))
  return { runtime, cp, file }
}

/** The same rows by better-sqlite3 alone, as many in a transaction as the writer would take. */
const rawInserts = (directory: string, count: number, batch: number): number => {
  const db = new Sqlite(path.join(directory, `raw-usage-${batch}.sqlite`))
  db.pragma("journal_mode = WAL")
  db.exec(
    `CREATE TABLE IF NOT EXISTS usage (id INTEGER PRIMARY KEY AUTOINCREMENT, org_id TEXT NOT NULL, project_id TEXT,
    run_id TEXT, metric TEXT NOT NULL, quantity INTEGER NOT NULL, unit TEXT NOT NULL, observed_at_ms INTEGER NOT NULL,
    recorded_at_ms INTEGER NOT NULL, idempotency_key TEXT UNIQUE, metadata_json TEXT NOT NULL) STRICT`
  )
  db.pragma("synchronous = FULL")
  const insert = db.prepare("INSERT INTO usage VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)")
  const rows = db.transaction((from: number, to: number) => {
    for (let i = from; i < to; i++) {
      insert.run("org", "p1", `run-${i}`, "ms", 17, "ms", Date.now(), Date.now(), `k-${batch}-${i}`, "{}")
    }
  })
  const started = performance.now()
  for (let i = 0; i < count; i += batch) rows(i, Math.min(i + batch, count))
  const rate = count / (performance.now() - started) * 1_000
  db.close()
  return rate
}

/** Puts so many events and their sums in place, spread over the last 60 days, with SQL alone. */
const fill = (file: string, from: number, to: number, nowMs: number) => {
  const db = new Sqlite(file)
  const chunk = 100_000
  const events = db.prepare(`WITH RECURSIVE n (i) AS (SELECT ? UNION ALL SELECT i + 1 FROM n WHERE i + 1 < ?)
    INSERT INTO _smithers_cp_usage_events
      (org_id, project_id, run_id, metric, quantity, unit, observed_at_ms, recorded_at_ms, idempotency_key)
    SELECT 'org', 'p' || (i % 8), 'run-' || i, 'ms', 17, 'ms', CAST(? - (i * 7919.0 * 1000) % ? AS INTEGER), ?, 'f' || i FROM n`)
  for (let i = from; i < to; i += chunk) events.run(i, Math.min(i + chunk, to), nowMs, 60 * dayMs, nowMs)
  db.exec("DELETE FROM _smithers_cp_usage_rollups")
  for (const [level, length] of [[0, 1e18], [1, dayMs], [2, quarterMs]] as const) {
    for (const key of ["project_id", "'__org__'"]) {
      db.exec(`INSERT INTO _smithers_cp_usage_rollups (series_id, level, bucket, quantity, events)
        SELECT s.series_id, ${level}, e.bucket, e.quantity, e.events FROM (
          SELECT ${key} AS key, observed_at_ms / ${length} AS bucket, SUM(quantity) AS quantity, COUNT(*) AS events
            FROM _smithers_cp_usage_events GROUP BY 1, 2) AS e
          JOIN _smithers_cp_usage_series AS s ON s.org_id = 'org' AND s.project_key = e.key`)
    }
  }
  db.close()
}

/** The events that were recorded so far. */
const forget = (file: string) => {
  const db = new Sqlite(file)
  db.exec("DELETE FROM _smithers_cp_usage_events")
  db.close()
}

/** Usage and audit of an organization as they are recorded, and what a quota check costs beside ever more events. */
export const controlPlane: Measurement = {
  name: "control-plane",
  about: "usage and audit events recorded by concurrent callers, exported, and quota checks beside many events",
  run: async ({ directory, large, quick, say }) => {
    const { cp, file, runtime } = await openPlane(path.join(directory, "home"))
    const count = quick ? 4_000 : 40_000
    const record = (tag: string) =>
      runtime.runPromise(Effect.forEach(
        Array.from({ length: count }, (_, i) => i),
        (i) =>
          cp.recordUsage({
            orgId: "org",
            projectId: `p${i % 8}`,
            runId: `run-${i}`,
            metric: "ms",
            quantity: 17,
            unit: "ms",
            idempotencyKey: `${tag}-${i}`
          }),
        { concurrency: 1_000, discard: true }
      ))
    const audit = () =>
      runtime.runPromise(Effect.forEach(
        Array.from({ length: count }, (_, i) => i),
        (i) => cp.recordAuditEvent({ orgId: "org", action: "thing.done", targetType: "thing", targetId: `t${i}` }),
        { concurrency: 1_000, discard: true }
      ))
    await record("warm")
    await audit()
    const usage: Array<number> = []
    const audits: Array<number> = []
    const raws: Array<number> = []
    for (let i = 0; i < (quick ? 2 : 5); i++) {
      raws.push(rawInserts(path.join(directory), count, 1_000 - i))
      usage.push(await perSecond(count, () => record(String(i))))
      audits.push(await perSecond(count, audit))
    }
    const floor = { name: "raw, 1,000 a transaction", value: median(raws) }
    const samples = (values: ReadonlyArray<number>) => ({ samples: values.map(Math.round) })
    const figures = [
      figure("recordUsage, 1,000 callers", median(usage), "events/s", {
        floor,
        aim: atLeast(median(usage), 20_000, "≥ 20,000/s"),
        detail: samples(usage)
      }),
      figure("recordAuditEvent, 1,000 callers", median(audits), "events/s", {
        floor,
        aim: atLeast(median(audits), 20_000, "≥ 20,000/s"),
        detail: samples(audits)
      })
    ]

    const verified = await runtime.runPromise(cp.verifyOrgAudit({ orgId: "org" }))
    const verifying = await perSecond(
      verified.events,
      () => runtime.runPromise(cp.verifyOrgAudit({ orgId: "org" }))
    )
    figures.push(figure("verifyOrgAudit", verifying, "rows/s", {
      aim: atLeast(verifying, 100_000, "≥ 100,000/s"),
      detail: { rows: verified.events }
    }))

    const exportRows = quick ? 50_000 : 1_000_000
    say(`control-plane: export of ${exportRows.toLocaleString("en-US")} audit rows`)
    // Usage events have a measurement of their own.
    forget(file)
    for (let rows = verified.events; rows < exportRows; rows += count) await audit()
    let records = 0
    const started = performance.now()
    await exportTo(path.join(directory, "export.ndjson"), async (cursor?: string) => {
      const part = await runtime.runPromise(cp.exportOrgPart({ orgId: "org", cursor }))
      records += part.records
      return part
    })
    figures.push(
      figure(
        `export of an organization, ${exportRows.toLocaleString("en-US")} audit rows`,
        records / (performance.now() - started) * 1_000,
        "rows/s",
        { detail: { records } }
      )
    )

    const sizes = [1_000, 10_000, 100_000, ...(quick ? [] : [1_000_000]), ...(large ? [10_000_000] : [])]
    const nowMs = Date.now()
    let filled = 0
    for (const size of sizes) {
      say(`control-plane: ${size.toLocaleString("en-US")} usage events`)
      fill(file, filled, size, nowMs)
      filled = size
      const check = cp.checkUsageLimit({ orgId: "org", projectId: "p1", metric: "ms", unit: "ms" })
      await runtime.runPromise(Effect.repeatN(check, 2_000))
      const micros: Array<number> = []
      await runtime.runPromise(Effect.repeatN(
        Effect.suspend(() => {
          const started = performance.now()
          return Effect.map(check, () => micros.push((performance.now() - started) * 1_000))
        }),
        5_000
      ))
      const millis = percentile(micros, 0.5) / 1_000
      figures.push(figure(`checkUsageLimit at ${size.toLocaleString("en-US")} events, p50`, millis, "ms", {
        aim: atMost(millis, 0.1, "≤ 0.1 ms"),
        detail: { p99: percentile(micros, 0.99) / 1_000, limits: 2 }
      }))
    }
    await runtime.dispose()
    return figures
  }
}

import { assert, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import { Effect, FastCheck, Schema, TestClock } from "effect"
import { Metric, Unit } from "../../src/control-plane/Fields.ts"
import { UsageLimit } from "../../src/control-plane/UsageLimit.ts"
import { Persistence } from "../../src/persistence/index.ts"
import { acme, Live } from "./support.ts"

const hour = 3_600_000
const day = 24 * hour
const quarter = hour / 4

const Given = Schema.Struct({
  metric: Metric,
  unit: Unit,
  period: UsageLimit.fields.period,
  window: UsageLimit.fields.window,
  enforcement: UsageLimit.fields.enforcement,
  timeZone: Schema.Literal("UTC", "Europe/Berlin", "Asia/Kathmandu"),
  limitQuantity: UsageLimit.fields.limitQuantity,
  ofProject: Schema.Boolean
})

it.effect.prop(
  "the limits that a check reads are what their schema says, whatever was set",
  [Given],
  ([{ ofProject, ...given }]) =>
    Effect.gen(function*() {
      const cp = yield* acme
      const limit = yield* cp.setUsageLimit({ orgId: "acme", projectId: ofProject ? "app" : null, ...given })
      const { metric, period, unit } = given
      const check = yield* cp.checkUsageLimit({ orgId: "acme", projectId: "app", metric, unit, period })
      const read = Schema.decodeUnknownSync(UsageLimit)(check?.limits[0])
      assert.deepStrictEqual(read, limit)
    }).pipe(Effect.provide(Live)),
  { fastCheck: { numRuns: 15 } }
)

it.effect("a limit that its schema would refuse is refused by the table", () =>
  Effect.gen(function*() {
    yield* acme
    const { file } = yield* Persistence.Persistence
    const put = (column: string, value: string) =>
      Effect.try({
        try: () => {
          const db = new Sqlite(file)
          try {
            const columns = {
              org_id: "'acme'",
              project_id: "NULL",
              project_key: "'__org__'",
              metric: "'m'",
              unit: "'count'",
              period: "'daily'",
              "\"window\"": "'calendar'",
              time_zone: "'UTC'",
              enforcement: "'hard'",
              limit_quantity: "1",
              updated_at_ms: "0",
              [column]: value
            }
            db.exec(`INSERT INTO _smithers_cp_usage_limits (${Object.keys(columns).join(", ")})
              VALUES (${Object.values(columns).join(", ")})`)
          } finally {
            db.close()
          }
        },
        catch: (cause) => (cause as Error).message
      })
    for (
      const [column, value] of [
        ["org_id", "'nobody'"],
        ["project_id", "'nothing'"],
        ["project_key", "'app'"],
        ["metric", "NULL"],
        ["period", "'yearly'"],
        ["\"window\"", "'sliding'"],
        ["enforcement", "'firm'"],
        ["limit_quantity", "-1"],
        ["limit_quantity", "'much'"],
        ["limit_quantity", "1.5"],
        ["updated_at_ms", "'now'"],
        ["time_zone", "NULL"]
      ] as const
    ) {
      assert.match(yield* Effect.flip(put(column, value)), /constraint|cannot store/i, `${column} ${value}`)
    }
    yield* put("metric", "'m'")
  }).pipe(Effect.provide(Live)))

// Rollups beside the platform's own calendar, around the changes of the clocks.

const dateIn = (timeZone: string) => {
  const format = new Intl.DateTimeFormat("en-CA", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" })
  return (ms: number): string => format.format(ms)
}

const nameOf = (period: "daily" | "weekly" | "monthly", date: string): string => {
  const days = Date.parse(date) / day
  return period === "daily" ? date : period === "weekly" ? String(Math.floor((days + 3) / 7)) : date.slice(0, 7)
}

/** When the clocks of a zone change, or a month turns with a day that has another length. */
const changes = [
  ["Europe/Berlin", Date.UTC(2026, 2, 29, 1)],
  ["Europe/Berlin", Date.UTC(2026, 9, 25, 1)],
  ["America/New_York", Date.UTC(2026, 2, 8, 7)],
  ["America/New_York", Date.UTC(2026, 10, 1, 6)],
  ["America/Havana", Date.UTC(2026, 2, 8, 5)],
  ["Australia/Lord_Howe", Date.UTC(2026, 3, 4, 15)],
  ["Asia/Kathmandu", Date.UTC(2026, 0, 31, 18, 15)],
  ["UTC", Date.UTC(2024, 1, 29)]
] as const

const Event = Schema.Struct({
  /** Hours from the change. */
  hours: Schema.Int.pipe(Schema.between(-40, 40)),
  quarters: Schema.Literal(0, 1, 2, 3),
  delta: Schema.Literal(-1, 0, 1),
  quantity: Schema.Int.pipe(Schema.between(0, 1_000_000)),
  /** Days that it is late by. */
  late: Schema.Literal(0, 1, 40),
  repeated: Schema.Boolean,
  project: Schema.Literal("app", "web", null)
})

it.effect.prop(
  "an event counts in the day, week and month that its zone's calendar says, to the millisecond, late or twice said",
  [
    FastCheck.constantFrom(...changes),
    Schema.Array(Event).pipe(Schema.minItems(8), Schema.maxItems(30))
  ],
  ([[timeZone, change], events]) =>
    Effect.gen(function*() {
      const cp = yield* acme
      const date = dateIn(timeZone)
      for (const projectId of ["app", null]) {
        for (const period of ["daily", "weekly", "monthly"] as const) {
          yield* cp.setUsageLimit({ orgId: "acme", projectId, metric: "m", period, timeZone, limitQuantity: 1 })
        }
      }
      const placed = events.map((event, i) => ({
        ...event,
        key: `k${i}`,
        at: change + event.hours * hour + event.quarters * quarter + event.delta
      }))
      for (const { at, key, late, project, quantity, repeated } of placed) {
        yield* TestClock.setTime(at + late * day)
        const event = {
          orgId: "acme",
          projectId: project,
          metric: "m",
          quantity,
          observedAtMs: at,
          idempotencyKey: key
        }
        const stored = yield* cp.recordUsage(event)
        if (repeated) assert.deepStrictEqual(yield* cp.recordUsage(event), stored)
      }
      for (const { at } of placed) {
        const check = yield* cp.checkUsageLimit({ orgId: "acme", projectId: "app", metric: "m", atMs: at })
        for (const { fromMs, period, projectId, toMs, usedQuantity } of check!.limits) {
          const name = nameOf(period, date(at))
          const plain = placed.filter((event) =>
            nameOf(period, date(event.at)) === name && (projectId === null || event.project === projectId)
          ).reduce((sum, { quantity }) => sum + quantity, 0)
          assert.strictEqual(usedQuantity, plain, `${timeZone} ${period} ${new Date(at).toISOString()}`)
          assert.isTrue(fromMs <= at && at < toMs)
        }
      }
    }).pipe(Effect.provide(Live)),
  { fastCheck: { numRuns: 15 }, timeout: 120_000 }
)

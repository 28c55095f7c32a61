import { assert, describe, it } from "@effect/vitest"
import { spanAt } from "../../src/control-plane/Period.ts"

const hour = 3_600_000
const quarter = hour / 4

/** Year, month and day of a moment as the zone's clocks show it, by the platform's own calendar. */
const dateIn = (timeZone: string) => {
  const format = new Intl.DateTimeFormat("en-CA", { timeZone, year: "numeric", month: "2-digit", day: "2-digit" })
  return (ms: number): string => format.format(ms)
}

/** Days since the epoch of the date, the Monday before it, the month: what moments of one period have in common. */
const periodOf = (period: "daily" | "weekly" | "monthly", date: string): string => {
  const day = Date.parse(date) / (24 * hour)
  return period === "daily" ? date : period === "weekly" ? String(Math.floor((day + 3) / 7)) : date.slice(0, 7)
}

const zones = [
  "UTC",
  "Europe/Berlin",
  "America/New_York",
  "Asia/Kathmandu",
  "Australia/Lord_Howe",
  "Pacific/Chatham",
  // Midnight is skipped in these, or comes twice.
  "America/Sao_Paulo",
  "America/Havana",
  "Asia/Beirut",
  "Africa/Cairo",
  "America/Asuncion",
  // A day was skipped here.
  "Pacific/Apia"
]

describe("a calendar period", () => {
  for (const timeZone of zones) {
    it(`has in ${timeZone} exactly the quarters of an hour whose date lies in it, in every year`, () => {
      const date = dateIn(timeZone)
      for (const period of ["daily", "weekly", "monthly"] as const) {
        // Around the changes of the clocks, and steps that meet every hour of the day elsewhere.
        for (let at = Date.UTC(2011, 9, 1); at < Date.UTC(2027, 0, 1); at += 61 * hour + quarter) {
          const { fromMs, toMs } = spanAt(period, "calendar", timeZone, at)
          const name = periodOf(period, date(at))
          assert.isTrue(fromMs <= at && at < toMs, `${timeZone} ${period} ${new Date(at).toISOString()}`)
          assert.strictEqual(fromMs % quarter, 0)
          assert.strictEqual(toMs % quarter, 0)
          assert.strictEqual(periodOf(period, date(fromMs)), name)
          assert.strictEqual(periodOf(period, date(toMs - 1)), name)
          assert.notStrictEqual(periodOf(period, date(fromMs - 1)), name)
          assert.notStrictEqual(periodOf(period, date(toMs)), name)
        }
      }
    })
  }

  it("is 23 hours long when the clocks go forward, and 25 when they go back", () => {
    const length = (day: number) => {
      const { fromMs, toMs } = spanAt("daily", "calendar", "Europe/Berlin", day)
      return (toMs - fromMs) / hour
    }
    assert.strictEqual(length(Date.UTC(2026, 2, 29, 12)), 23)
    assert.strictEqual(length(Date.UTC(2026, 9, 25, 12)), 25)
    assert.strictEqual(length(Date.UTC(2026, 6, 1, 12)), 24)
  })

  it("turns at its very end", () => {
    const end = Date.UTC(2026, 1, 1)
    assert.deepStrictEqual(spanAt("monthly", "calendar", "UTC", end - 1), { fromMs: Date.UTC(2026, 0, 1), toMs: end })
    assert.deepStrictEqual(spanAt("monthly", "calendar", "UTC", end), { fromMs: end, toMs: Date.UTC(2026, 2, 1) })
  })

  it("of a week begins on Monday, across the year", () => {
    const week = { fromMs: Date.UTC(2025, 11, 29), toMs: Date.UTC(2026, 0, 5) }
    for (let day = 29; day < 36; day++) {
      assert.deepStrictEqual(spanAt("weekly", "calendar", "UTC", Date.UTC(2025, 11, day, 23)), week)
    }
  })
})

describe("a rolling period", () => {
  it("is the last 24 hours, 7 days or 30 days, from the quarter of an hour they begin in to the one that is now", () => {
    const at = Date.UTC(2026, 4, 10, 12, 7, 30)
    const now = Date.UTC(2026, 4, 10, 12)
    for (const [period, days] of [["daily", 1], ["weekly", 7], ["monthly", 30]] as const) {
      assert.deepStrictEqual(spanAt(period, "rolling", "UTC", at), {
        fromMs: now - days * 24 * hour,
        toMs: now + quarter
      })
    }
  })
})

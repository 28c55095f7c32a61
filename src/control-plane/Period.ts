import { DateTime, Option } from "effect"

type Period = "daily" | "weekly" | "monthly"

/**
 * `calendar`: the day, the week from Monday, the month of a time zone. `rolling`: the last 24 hours, 7 days, 30 days,
 * begun with the quarter of an hour they begin in.
 */
type Windowing = "calendar" | "rolling"

/** From inclusive, to exclusive, both on a quarter of an hour. */
export interface Span {
  readonly fromMs: number
  readonly toMs: number
}

export const quarterMs = 15 * 60_000
export const dayMs = 24 * 60 * 60_000

const rollingMs = { daily: dayMs, weekly: 7 * dayMs, monthly: 30 * dayMs } as const

const down = (ms: number): number => Math.floor(ms / quarterMs) * quarterMs

/** The first instant of a day in a zone: where midnight is skipped, the day begins after it. */
const startOfDay = (year: number, month: number, day: number, zone: DateTime.TimeZone): number => {
  // As a UTC date, so that months and days carry over.
  const local = DateTime.toPartsUtc(
    DateTime.unsafeMake(0).pipe(
      DateTime.setPartsUtc({ year, month: 1, day: 1 }),
      DateTime.add({ months: month - 1 }),
      DateTime.add({ days: day - 1 })
    )
  )
  const parts = { year: local.year, month: local.month, day: local.day }
  return DateTime.toEpochMillis(
    DateTime.unsafeMakeZoned({ ...parts, hours: 0, minutes: 0, seconds: 0, millis: 0 }, {
      timeZone: zone,
      adjustForTimeZone: true
    })
  )
}

/** The period that a moment lies in. Every offset in use since 1972 is of whole quarters of an hour. */
export const spanAt = (period: Period, windowing: Windowing, timeZone: string, atMs: number): Span => {
  if (windowing === "rolling") return { fromMs: down(atMs - rollingMs[period]), toMs: down(atMs) + quarterMs }
  const zone = Option.getOrElse(DateTime.zoneMakeNamed(timeZone), () => DateTime.zoneMakeOffset(0))
  const { day, month, weekDay, year } = DateTime.toParts(DateTime.setZone(DateTime.unsafeMake(atMs), zone))
  const starts = (first: number, days: number): Span => ({
    fromMs: down(startOfDay(year, month, first, zone)),
    toMs: down(startOfDay(year, month, first + days, zone))
  })
  switch (period) {
    case "daily":
      return starts(day, 1)
    case "weekly":
      return starts(day - (weekDay + 6) % 7, 7)
    case "monthly":
      return {
        fromMs: down(startOfDay(year, month, 1, zone)),
        toMs: down(startOfDay(year, month + 1, 1, zone))
      }
  }
}

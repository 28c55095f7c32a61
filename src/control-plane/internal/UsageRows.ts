import { Write } from "../../persistence/index.ts"
import { Conflict, type OrgNotFound, type RecordNotFound } from "../ControlPlaneError.ts"
import { orgWide } from "../Fields.ts"
import { dayMs, quarterMs, type Span } from "../Period.ts"
import type { UsageEvent } from "../UsageEvent.ts"
import type { UsageFeed } from "../UsageFeed.ts"
import { orgExists, projectExists } from "./Guards.ts"

/** Different (project, metric, unit) of one organization, the organization's own sums among them. */
const maxSeries = 10_000

/** What is summed. */
export interface Series {
  readonly orgId: string
  readonly projectId: string | null
  readonly metric: string
  readonly unit: string
}

/** An event before it is stored. */
export type Recorded = Omit<UsageEvent, "id">

const lastIdText = "SELECT seq FROM sqlite_sequence WHERE name = '_smithers_cp_usage_events'"

// The id says which of the events a row is.
const insertText = `INSERT INTO _smithers_cp_usage_events (id, org_id, project_id, run_id, metric, quantity, unit,
    observed_at_ms, recorded_at_ms, idempotency_key, metadata_json)
  SELECT COALESCE((${lastIdText}), 0) + e.key + 1, e.value ->> 0, e.value ->> 1, e.value ->> 2, e.value ->> 3,
      e.value ->> 4, e.value ->> 5, e.value ->> 6, e.value ->> 7, e.value ->> 8, e.value ->> 9
    FROM json_each(?) AS e CROSS JOIN _smithers_cp_usage_series AS s
    WHERE s.org_id = e.value ->> 0 AND s.metric = e.value ->> 3 AND s.unit = e.value ->> 5
      AND s.project_key = COALESCE(e.value ->> 1, '${orgWide}') AND s.open = 1
  ON CONFLICT (org_id, idempotency_key) WHERE idempotency_key IS NOT NULL DO NOTHING RETURNING id`

const rollupText = `INSERT INTO _smithers_cp_usage_rollups (series_id, level, bucket, quantity, events)
  SELECT s.series_id, e.value ->> 4, e.value ->> 5, e.value ->> 6, e.value ->> 7
    FROM json_each(?) AS e CROSS JOIN _smithers_cp_usage_series AS s
    WHERE s.org_id = e.value ->> 0 AND s.metric = e.value ->> 1 AND s.unit = e.value ->> 2
      AND s.project_key = e.value ->> 3
  ON CONFLICT (series_id, level, bucket) DO UPDATE
    SET quantity = quantity + excluded.quantity, events = events + excluded.events`

/** Quarters of an hour of a day. */
const quarters = dayMs / quarterMs

type Rollup = [
  orgId: string,
  metric: string,
  unit: string,
  projectKey: string,
  level: number,
  bucket: number,
  quantity: number,
  events: number
]

/** What a quarter of an hour of one series adds up to: many events of a batch have it in common. */
interface Quarter extends Series {
  readonly bucket: number
  quantity: number
  events: number
}

const quartersOf = (events: ReadonlyArray<Recorded>): Iterable<Quarter> => {
  const found = new Map<string, Quarter>()
  for (const { metric, observedAtMs, orgId, projectId, quantity, unit } of events) {
    const bucket = Math.floor(observedAtMs / quarterMs)
    const key = `${orgId} ${projectId} ${metric} ${unit} ${bucket}`
    const quarter = found.get(key)
    if (quarter === undefined) {
      found.set(key, { orgId, projectId, metric, unit, bucket, quantity, events: 1 })
    } else {
      quarter.quantity += quantity
      quarter.events++
    }
  }
  return found.values()
}

/** What the events add to the sums of their projects and organizations, at every level. */
const rollupsOf = (events: ReadonlyArray<Recorded>): ReadonlyArray<Rollup> => {
  const rollups = new Map<string, Rollup>()
  for (const { bucket: quarter, events: count, metric, orgId, projectId, quantity, unit } of quartersOf(events)) {
    for (const projectKey of projectId === null ? [orgWide] : [orgWide, projectId]) {
      for (const [level, bucket] of [[0, 0], [1, Math.floor(quarter / quarters)], [2, quarter]] as const) {
        const key = `${orgId} ${projectKey} ${metric} ${unit} ${level} ${bucket}`
        const rollup = rollups.get(key)
        if (rollup === undefined) {
          rollups.set(key, [orgId, metric, unit, projectKey, level, bucket, quantity, count])
        } else {
          rollup[6] += quantity
          rollup[7] += count
        }
      }
    }
  }
  return [...rollups.values()]
}

/**
 * The events and their places in the sums; answers the id of each, null for one that was not stored because its key is
 * known, or its series is not.
 */
export const record = (
  events: ReadonlyArray<Recorded>,
  feed: UsageFeed["Type"]
): Write.Write<ReadonlyArray<number | null>> => {
  const text = JSON.stringify(events.map((event) => [
    event.orgId,
    event.projectId,
    event.runId,
    event.metric,
    event.quantity,
    event.unit,
    event.observedAtMs,
    event.recordedAtMs,
    event.idempotencyKey,
    event.metadata
  ]))
  const unit = Write.all([Write.rows(lastIdText, []), Write.rows(insertText, [text])]).pipe(
    Write.map(([[last], stored]) => {
      const ids: Array<number | null> = events.map(() => null)
      const lastId = Number(last?.["seq"] ?? 0)
      for (const { id } of stored) ids[Number(id) - lastId - 1] = Number(id)
      return ids
    }),
    Write.next(rollupText, (ids) => [JSON.stringify(rollupsOf(events.filter((_, index) => ids[index] !== null)))])
  )
  return feed === null
    ? unit
    : unit.pipe(feed.post((ids) =>
      events.flatMap((event, index) => {
        const id = ids[index] ?? null
        return id === null ? [] : [{ id, ...event }]
      })
    ))
}

const ensureText = `INSERT INTO _smithers_cp_usage_series (org_id, project_id, project_key, metric, unit)
  VALUES (?, ?, ?, ?, ?) ON CONFLICT (org_id, metric, unit, project_key) DO UPDATE SET open = 1`

/** What an event is summed in comes to be with the first one, if organization and project are there. */
export const ensureSeries = ({ metric, orgId, projectId, unit }: Series) =>
  Write.discard<OrgNotFound | RecordNotFound | Conflict>([
    orgExists(orgId),
    projectExists(orgId, projectId),
    Write.guard(
      "SELECT 1 WHERE (SELECT COUNT(*) FROM _smithers_cp_usage_series WHERE org_id = ?) < ?",
      [orgId, maxSeries],
      () => new Conflict({ reason: "TooManySeries", id: orgId })
    ),
    Write.run(ensureText, [orgId, null, orgWide, metric, unit]),
    ...(projectId === null ? [] : [Write.run(ensureText, [orgId, projectId, projectId, metric, unit])])
  ])

// The sums of a span: its whole UTC days, and the quarters of an hour before and behind them.
const usedText = `(SELECT COALESCE(SUM(quantity), 0) FROM (
    SELECT r.quantity FROM _smithers_cp_usage_series AS s JOIN _smithers_cp_usage_rollups AS r USING (series_id)
      WHERE s.org_id = ? AND s.metric = ? AND s.unit = ? AND s.project_key = ?
        AND r.level = 1 AND r.bucket >= ? AND r.bucket < ?
    UNION ALL SELECT r.quantity FROM _smithers_cp_usage_series AS s JOIN _smithers_cp_usage_rollups AS r USING (series_id)
      WHERE s.org_id = ? AND s.metric = ? AND s.unit = ? AND s.project_key = ?
        AND r.level = 2 AND r.bucket >= ? AND r.bucket < ?
    UNION ALL SELECT r.quantity FROM _smithers_cp_usage_series AS s JOIN _smithers_cp_usage_rollups AS r USING (series_id)
      WHERE s.org_id = ? AND s.metric = ? AND s.unit = ? AND s.project_key = ?
        AND r.level = 2 AND r.bucket >= ? AND r.bucket < ?))`

// What is reserved counts in every period: it will be used now or not at all.
const reservedText = (ofProject: string) =>
  `(SELECT COALESCE(SUM(quantity), 0) FROM _smithers_cp_usage_reservations
    WHERE org_id = ? AND metric = ? AND unit = ? AND expires_at_ms > ? ${ofProject})`

const sumsText = (ofProject: string) => `SELECT ${usedText} AS used, ${reservedText(ofProject)} AS reserved`
const sumsOfOrg = sumsText("")
const sumsOfProject = sumsText("AND project_id = ?")

/** Parts of a span by level: days from and to, quarters of an hour before them, and behind them. */
export const bucketsOf = ({ fromMs, toMs }: Span) => {
  const from = Math.floor(fromMs / quarterMs)
  const to = Math.ceil(toMs / quarterMs)
  const firstDay = Math.ceil(from / quarters)
  const lastDay = Math.floor(to / quarters)
  return firstDay < lastDay
    ? [[firstDay, lastDay], [from, firstDay * quarters], [lastDay * quarters, to]] as const
    : [[0, 0], [from, to], [0, 0]] as const
}

const sumsParams = ({ metric, orgId, projectId, unit }: Series, span: Span, nowMs: number) => {
  const series = [orgId, metric, unit, projectId ?? orgWide]
  return [
    ...bucketsOf(span).flatMap((buckets) => [...series, ...buckets]),
    orgId,
    metric,
    unit,
    nowMs,
    ...(projectId === null ? [] : [projectId])
  ]
}

/** One row, `used` and `reserved`, both whole numbers. */
export const sums = (series: Series, span: Span, nowMs: number) => ({
  text: series.projectId === null ? sumsOfOrg : sumsOfProject,
  params: sumsParams(series, span, nowMs)
})

const roomText = (ofProject: string) =>
  `SELECT 1 FROM _smithers_cp_usage_limits WHERE org_id = ? AND project_key = ? AND metric = ? AND unit = ? AND period = ?
    AND limit_quantity >= ${usedText} + ${reservedText(ofProject)} + ?`
const roomInOrg = roomText("")
const roomInProject = roomText("AND project_id = ?")

/** Fails unless so much more fits into the limit as it is when the unit is executed. */
export const room = <E>(
  series: Series,
  period: string,
  span: Span,
  nowMs: number,
  quantity: number,
  otherwise: () => E
): Write.Write<unknown, E> =>
  Write.guard(series.projectId === null ? roomInOrg : roomInProject, [
    series.orgId,
    series.projectId ?? orgWide,
    series.metric,
    series.unit,
    period,
    ...sumsParams(series, span, nowMs),
    quantity
  ], otherwise)

import { Clock, Effect, Schema } from "effect"
import type { PersistenceError } from "../persistence/index.ts"
import { type ChangeError, Conflict, type ReadError } from "./ControlPlaneError.ts"
import { AtMs, Id, IdempotencyKey, Limit, Metadata, Metric, orgWide, ProjectOf, Quantity, Unit } from "./Fields.ts"
import { batched } from "./internal/Batches.ts"
import { checked } from "./internal/Input.ts"
import type { Plane } from "./internal/Plane.ts"
import { betweenOf, makeSearch } from "./internal/Search.ts"
import { makeTable, type Table } from "./internal/Table.ts"
import { bucketsOf, ensureSeries, record, type Recorded } from "./internal/UsageRows.ts"
import { quarterMs } from "./Period.ts"
import { UsageEvent } from "./UsageEvent.ts"

export const RunIdText = Schema.String.pipe(
  Schema.pattern(/^[A-Za-z0-9_.:-]{1,256}$/),
  Schema.annotations({ description: "must have 1–256 characters of A-Z a-z 0-9 _ . : -" })
)

const New = Schema.Struct({
  orgId: Id,
  projectId: ProjectOf,
  runId: Schema.optional(Schema.NullOr(RunIdText)),
  metric: Metric,
  quantity: Quantity,
  unit: Schema.optional(Unit),
  observedAtMs: Schema.optional(AtMs),
  idempotencyKey: Schema.optional(Schema.NullOr(IdempotencyKey)),
  metadata: Schema.optional(Metadata)
})
const EventId = Schema.NonNegativeInt.annotations({ description: "must be the id of an event" })
const Page = Schema.Struct({
  orgId: Id,
  projectId: Schema.optional(Id),
  runId: Schema.optional(RunIdText),
  metric: Schema.optional(Metric),
  sinceMs: Schema.optional(AtMs),
  untilMs: Schema.optional(AtMs),
  beforeId: Schema.optional(EventId),
  limit: Schema.optional(Limit)
})
const Asked = Schema.Struct({
  orgId: Id,
  projectId: ProjectOf,
  metric: Schema.optional(Metric),
  sinceMs: Schema.optional(AtMs),
  untilMs: Schema.optional(AtMs)
})

const checkNew = checked(New)
const checkPage = checked(Page)
const checkAsked = checked(Asked)

/** What was used of one metric. */
export interface UsageSummary {
  readonly orgId: string
  /** Null: of the whole organization. */
  readonly projectId: string | null
  readonly metric: string
  readonly unit: string
  readonly quantity: number
  readonly events: number
}

export interface UsageMethods {
  /**
   * Stores one measurement and adds it to the sums of its project and its organization, in one commit. `count` and the
   * time of the clock unless given; the time may lie in the past or the future.
   *
   * With an `idempotencyKey` it may be repeated: the same measurement under the same key answers the event that is
   * there, another one is a `Conflict` (`KeyReused`). A time that is not given is not compared. Keys live as long as the
   * organization. Without a key a repetition counts twice.
   */
  readonly recordUsage: (input: typeof New.Encoded) => Effect.Effect<UsageEvent, ChangeError | Conflict>
  /**
   * Newest first, before the event `beforeId`: all, or those to which everything that is given applies; since and until
   * (inclusive) are of when it was observed. With a filter every event may have to be looked at; others get their turn
   * meanwhile.
   */
  readonly listUsage: (input: typeof Page.Encoded) => Effect.Effect<ReadonlyArray<UsageEvent>, ReadError>
  /**
   * The sums of an organization or of one of its projects, by metric and unit, at most 10,000 rows; since and until (inclusive) are widened to whole quarters
   * of an hour. Reads sums, no events.
   */
  readonly summarizeUsage: (input: typeof Asked.Encoded) => Effect.Effect<ReadonlyArray<UsageSummary>, ReadError>
}

/** Stores an event, whatever it needs to exist; answers the id, or the event that has the key already. */
type Recorder = (
  event: Recorded,
  /** One way to store it; null when it was not. */
  store: Effect.Effect<number | null, PersistenceError>
) => Effect.Effect<number | UsageEvent, ChangeError | Conflict>

const attempts = 3

const summaryText = (levels: string) =>
  `SELECT s.project_id AS "projectId", s.metric, s.unit, SUM(r.quantity) AS quantity, SUM(r.events) AS events
    FROM _smithers_cp_usage_series AS s JOIN _smithers_cp_usage_rollups AS r USING (series_id)
    WHERE s.org_id = ? AND s.project_key = ? AND s.metric = COALESCE(?, s.metric) AND ${levels}
    GROUP BY s.series_id ORDER BY s.metric, s.unit`

const summaryOfAll = summaryText("r.level = 0")
const summaryOfSpan = summaryText(`r.level IN (1, 2) AND ((r.level = 1 AND r.bucket >= ? AND r.bucket < ?)
  OR (r.level = 2 AND r.bucket >= ? AND r.bucket < ?) OR (r.level = 2 AND r.bucket >= ? AND r.bucket < ?))`)

/** What recording and settling share. */
interface Recording {
  readonly table: Table<UsageEvent>
  /** The event that has the key. */
  readonly known: (orgId: string, key: string | null) => Effect.Effect<UsageEvent | undefined, PersistenceError>
  readonly recorder: Recorder
}

export const makeRecorder = ({ persistence }: Plane): Recording => {
  const table = makeTable(persistence, "_smithers_cp_usage_events", UsageEvent, { key: ["id"], generated: ["id"] })

  const known = (orgId: string, key: string | null) =>
    key === null
      ? Effect.succeed(undefined)
      : Effect.map(table.select("WHERE org_id = ? AND idempotency_key = ?", [orgId, key]), ([event]) => event)

  const recorder: Recorder = (event, store) => {
    const attempt = (left: number): Effect.Effect<number | UsageEvent, ChangeError | Conflict> =>
      Effect.flatMap(store, (id) => id === null ? again(left) : Effect.succeed(id))
    const again = Effect.fnUntraced(function*(left: number) {
      const earlier = yield* known(event.orgId, event.idempotencyKey)
      if (earlier !== undefined) return earlier
      if (left === 0) return yield* new Conflict({ reason: "Contended", id: event.orgId })
      yield* persistence.write(ensureSeries(event))
      return yield* attempt(left - 1)
    })
    return attempt(attempts)
  }
  return { table, known, recorder }
}

export const make = ({ feed, persistence }: Plane, { recorder, table }: Recording): UsageMethods => {
  const { read } = persistence
  const store = batched(persistence, (events: ReadonlyArray<Recorded>) => record(events, feed))
  const search = makeSearch(persistence, table.name, table.select, "newest-first")

  return {
    recordUsage: (input) =>
      Effect.flatMap(Clock.currentTimeMillis, (recordedAtMs) =>
        Effect.flatMap(checkNew(input), (given) => {
          const { idempotencyKey = null, metadata = {}, metric, orgId, projectId = null, quantity, runId = null } =
            given
          const { observedAtMs = recordedAtMs, unit = "count" } = given
          const event = {
            orgId,
            projectId,
            runId,
            metric,
            quantity,
            unit,
            observedAtMs,
            recordedAtMs,
            idempotencyKey,
            metadata
          }
          return Effect.flatMap(recorder(event, store(event)), (stored) => {
            if (typeof stored === "number") return Effect.succeed({ id: stored, ...event })
            const same = stored.projectId === projectId && stored.runId === runId && stored.metric === metric &&
              stored.unit === unit && stored.quantity === quantity &&
              JSON.stringify(stored.metadata) === JSON.stringify(metadata) &&
              (given.observedAtMs === undefined || stored.observedAtMs === given.observedAtMs)
            return same
              ? Effect.succeed(stored)
              : new Conflict({ reason: "KeyReused", id: String(idempotencyKey) })
          })
        })),
    listUsage: Effect.fn("ControlPlane.listUsage")(function*(input) {
      const {
        beforeId = Number.MAX_SAFE_INTEGER,
        limit = 50,
        metric = null,
        orgId,
        projectId = null,
        runId = null,
        ...span
      } = yield* checkPage(input)
      return yield* search({
        orgId,
        from: beforeId,
        limit,
        equal: { project_id: projectId, run_id: runId, metric },
        between: betweenOf("observed_at_ms", span)
      })
    }),
    summarizeUsage: Effect.fn("ControlPlane.summarizeUsage")(function*(input) {
      const { metric = null, orgId, projectId = null, sinceMs, untilMs } = yield* checkAsked(input)
      const series = [orgId, projectId ?? orgWide, metric]
      const rows = sinceMs === undefined && untilMs === undefined
        ? yield* read(summaryOfAll, series)
        : yield* read(summaryOfSpan, [
          ...series,
          ...bucketsOf({
            fromMs: sinceMs ?? 0,
            toMs: (Math.floor((untilMs ?? 253_402_300_799_999) / quarterMs) + 1) * quarterMs
          }).flat()
        ])
      return rows.map((row): UsageSummary => ({
        orgId,
        projectId,
        metric: String(row["metric"]),
        unit: String(row["unit"]),
        quantity: Number(row["quantity"]),
        events: Number(row["events"])
      }))
    })
  }
}

import { Clock, Effect, Schema } from "effect"
import type { PersistenceError } from "../persistence/index.ts"
import type { ReadError } from "./ControlPlaneError.ts"
import { AtMs, Id, Metric, orgWide, ProjectOf, Unit } from "./Fields.ts"
import { checked } from "./internal/Input.ts"
import type { Plane } from "./internal/Plane.ts"
import { makeTable } from "./internal/Table.ts"
import { type Series, sums } from "./internal/UsageRows.ts"
import { type Span, spanAt } from "./Period.ts"
import { Period, UsageLimit } from "./UsageLimit.ts"

/** A limit and how much of it is left. */
export interface LimitState extends UsageLimit {
  /** The period that is looked at: from inclusive, to exclusive. */
  readonly fromMs: number
  readonly toMs: number
  readonly usedQuantity: number
  /** Reserved now and neither settled, released nor expired. */
  readonly reservedQuantity: number
  /** What is neither used nor reserved, at least 0. */
  readonly remainingQuantity: number
  /** More is used than the limit allows. */
  readonly exceeded: boolean
}

/** The state of the limit that has least left, and of all that apply. */
export interface QuotaCheck extends LimitState {
  readonly limits: ReadonlyArray<LimitState>
}

const Asked = Schema.Struct({
  orgId: Id,
  projectId: ProjectOf,
  metric: Metric,
  unit: Schema.optional(Unit),
  period: Schema.optional(Period),
  atMs: Schema.optional(AtMs)
})
const checkAsked = checked(Asked)

export interface QuotaMethods {
  /**
   * How a metric stands against the limits of the project and of its organization: those of `period`, or of every period
   * when none is given, as of now or of `atMs`. Null when there is no limit. Costs the same however many events there
   * are: at most a few hundred sums are read for each limit, and what is reserved at the moment.
   */
  readonly checkUsageLimit: (input: typeof Asked.Encoded) => Effect.Effect<QuotaCheck | null, ReadError>
}

/** What has least left comes first; of equals the exceeded one, then the one of the project. */
const tightest = (left: LimitState, right: LimitState): number =>
  left.remainingQuantity - right.remainingQuantity ||
  Number(right.exceeded) - Number(left.exceeded) ||
  Number(left.projectId === null) - Number(right.projectId === null)

/** Looks at limits; shared with the reservations. */
export const makeQuotas = ({ persistence }: Plane) => {
  const { read } = persistence
  const table = makeTable(persistence, "_smithers_cp_usage_limits", UsageLimit, {
    key: ["orgId", "projectId", "metric", "unit", "period"],
    byProjectKey: true
  })
  const limitsText = `SELECT ${table.columns} FROM ${table.name}
    WHERE org_id = ? AND metric = ? AND unit = ? AND period = COALESCE(?, period) AND project_key IN (?, '${orgWide}')`
  /** The period that was last looked at; the calendar of a time zone is not asked for every check. */
  const spans = new Map<string, Span>()

  const spanOf = ({ period, timeZone, window }: UsageLimit, atMs: number): Span => {
    if (window === "rolling") return spanAt(period, window, timeZone, atMs)
    const key = `${period} ${timeZone}`
    const last = spans.get(key)
    if (last !== undefined && last.fromMs <= atMs && atMs < last.toMs) return last
    const span = spanAt(period, window, timeZone, atMs)
    spans.set(key, span)
    return span
  }

  /** The limits of the project and of its organization. */
  const limitsOf = (
    { metric, orgId, projectId, unit }: Series,
    period: string | null
  ): Effect.Effect<ReadonlyArray<UsageLimit>, PersistenceError> =>
    // Not decoded, for every check would pay for it: the table is STRICT, checks what is one of some words, and its columns
    // are named as the fields. A test decodes them, and tries to put in what would not decode.
    Effect.map(
      read(limitsText, [orgId, metric, unit, period, projectId ?? orgWide]),
      (rows) => rows as unknown as ReadonlyArray<UsageLimit>
    )

  const stateOf = (limit: UsageLimit, atMs: number, nowMs: number): Effect.Effect<LimitState, PersistenceError> => {
    const span = spanOf(limit, atMs)
    const { params, text } = sums(limit, span, nowMs)
    return Effect.map(read(text, params), ([row]) => {
      const usedQuantity = Number(row?.["used"])
      const reservedQuantity = Number(row?.["reserved"])
      return {
        ...limit,
        ...span,
        usedQuantity,
        reservedQuantity,
        remainingQuantity: Math.max(0, limit.limitQuantity - usedQuantity - reservedQuantity),
        exceeded: usedQuantity > limit.limitQuantity
      }
    })
  }

  return { limitsOf, spanOf, stateOf }
}

export type Quotas = ReturnType<typeof makeQuotas>

export const make = ({ limitsOf, stateOf }: Quotas): QuotaMethods => ({
  checkUsageLimit: (input) =>
    Effect.gen(function*() {
      const { metric, orgId, period = null, projectId = null, unit = "count", ...given } = yield* checkAsked(input)
      const nowMs = yield* Clock.currentTimeMillis
      const limits = yield* limitsOf({ orgId, projectId, metric, unit }, period)
      const states: Array<LimitState> = []
      for (const limit of limits) states.push(yield* stateOf(limit, given.atMs ?? nowMs, nowMs))
      states.sort(tightest)
      const [first] = states
      return first === undefined ? null : { ...first, limits: states }
    })
})

import { Effect, Schema } from "effect"
import { Write } from "../persistence/index.ts"
import { type ChangeError, type ReadError, RecordNotFound } from "./ControlPlaneError.ts"
import { AtMs, Id, LimitQuantity, Metric, orgWide, page, ProjectOf, TimeZone, Unit } from "./Fields.ts"
import { orgExists, projectExists } from "./internal/Guards.ts"
import { checked, oneOf } from "./internal/Input.ts"
import type { Plane } from "./internal/Plane.ts"
import { makeTable } from "./internal/Table.ts"

export const Period = oneOf("daily", "weekly", "monthly")
const Windowing = oneOf("calendar", "rolling")
const Enforcement = oneOf("hard", "soft")

/** How much of a metric an organization, or one of its projects, may use in a period. */
export const UsageLimit = Schema.Struct({
  orgId: Id,
  projectId: Schema.NullOr(Id),
  metric: Metric,
  unit: Unit,
  period: Period,
  /** `calendar`: the day, the week from Monday, the month. `rolling`: the last 24 hours, 7 days, 30 days. */
  window: Windowing,
  /** In which calendar periods begin. */
  timeZone: Schema.String,
  /** `hard` refuses reservations; `soft` is only reported. */
  enforcement: Enforcement,
  limitQuantity: LimitQuantity,
  updatedAtMs: AtMs
})
export type UsageLimit = typeof UsageLimit.Type

const key = {
  orgId: Id,
  projectId: ProjectOf,
  metric: Metric,
  unit: Schema.optional(Unit),
  period: Schema.optional(Period)
}

const Given = Schema.Struct({
  ...key,
  window: Schema.optional(Windowing),
  timeZone: Schema.optional(TimeZone),
  enforcement: Schema.optional(Enforcement),
  limitQuantity: LimitQuantity
})
const One = Schema.Struct(key)
const Page = Schema.Struct({ orgId: Id, projectId: ProjectOf, ...page })

const checkGiven = checked(Given)
const checkOne = checked(One)
const checkPage = checked(Page)

export interface UsageLimitMethods {
  /**
   * Sets or changes the limit of (organization or project, metric, unit, period). Unless given: `count`, `monthly`,
   * `calendar`, `UTC`, `hard`. Counts what was used in the period before it was set.
   */
  readonly setUsageLimit: (input: typeof Given.Encoded) => Effect.Effect<UsageLimit, ChangeError>
  readonly getUsageLimit: (input: typeof One.Encoded) => Effect.Effect<UsageLimit, RecordNotFound | ReadError>
  /**
   * Of a project, of the organization itself (`projectId: null`), or all; by project, metric, unit and period, after
   * `<projectId or __org__>/<metric>/<unit>/<period>`.
   */
  readonly listUsageLimits: (input: typeof Page.Encoded) => Effect.Effect<ReadonlyArray<UsageLimit>, ReadError>
  readonly deleteUsageLimit: (input: typeof One.Encoded) => Effect.Effect<void, ChangeError>
}

export const positionOf = ({ metric, period, projectId, unit }: UsageLimit): string =>
  [projectId ?? orgWide, metric, unit, period].join("/")

export const make = ({ change, persistence }: Plane): UsageLimitMethods => {
  const table = makeTable(persistence, "_smithers_cp_usage_limits", UsageLimit, {
    key: ["orgId", "projectId", "metric", "unit", "period"],
    byProjectKey: true
  })
  const where = "WHERE org_id = ? AND project_key = ? AND metric = ? AND unit = ? AND period = ?"
  const about = (action: string, orgId: string, projectId: string | null) => ({
    orgId,
    projectId,
    action,
    targetType: "usage_limit",
    targetId: projectId ?? orgId
  })

  return {
    setUsageLimit: Effect.fn("ControlPlane.setUsageLimit")(function*(input) {
      const given = yield* checkGiven(input)
      const { limitQuantity, metric, orgId, period = "monthly", projectId = null, unit = "count" } = given
      const { enforcement = "hard", timeZone = "UTC", window = "calendar" } = given
      const detail = { metric, unit, period, window, timeZone, enforcement, limitQuantity }
      return yield* change({ ...about("usage_limit.upsert", orgId, projectId), detail }, (updatedAtMs) => {
        const limit = { orgId, projectId, ...detail, updatedAtMs }
        return Write.all([orgExists(orgId), projectExists(orgId, projectId), table.upsert(limit)]).pipe(
          Write.map(() => limit)
        )
      })
    }),
    getUsageLimit: Effect.fn("ControlPlane.getUsageLimit")(function*(input) {
      const { metric, orgId, period = "monthly", projectId, unit = "count" } = yield* checkOne(input)
      const [limit] = yield* table.select(where, [orgId, projectId ?? orgWide, metric, unit, period])
      return limit ?? (yield* new RecordNotFound({ kind: "usage-limit", orgId, id: `${metric}/${unit}/${period}` }))
    }),
    listUsageLimits: Effect.fn("ControlPlane.listUsageLimits")(function*(input) {
      const { after = "", limit = 50, orgId, projectId } = yield* checkPage(input)
      // A metric and a unit may have slashes in them: the position is compared as the text it is.
      return yield* table.select(
        `WHERE org_id = ? AND project_key = COALESCE(?, project_key)
          AND project_key || '/' || metric || '/' || unit || '/' || period > ?
          ORDER BY project_key || '/' || metric || '/' || unit || '/' || period LIMIT ?`,
        [orgId, projectId === undefined ? null : projectId ?? orgWide, after, limit]
      )
    }),
    deleteUsageLimit: Effect.fn("ControlPlane.deleteUsageLimit")(function*(input) {
      const { metric, orgId, period = "monthly", projectId = null, unit = "count" } = yield* checkOne(input)
      const detail = { metric, unit, period }
      yield* change({ ...about("usage_limit.delete", orgId, projectId), detail }, () =>
        Write.guard(
          `DELETE FROM ${table.name} ${where}`,
          [orgId, projectId ?? orgWide, metric, unit, period],
          () => new RecordNotFound({ kind: "usage-limit", orgId, id: `${metric}/${unit}/${period}` })
        ))
    })
  }
}

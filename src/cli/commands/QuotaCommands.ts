import { Args, Command, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import type { QuotaState } from "../../gateway/contract.ts"
import { QuotaDocument, QuotasDocument, QuotaStateDocument, RemovedDocument } from "../Documents.ts"
import { connected, provideConnection } from "../SharedOptions.ts"
import { table, timestamp } from "../Table.ts"
import { after, desk, limit, metric, org, project, seriesOf, text, unit } from "../TenantOptions.ts"

const period = Options.choice("period", ["daily", "weekly", "monthly"]).pipe(
  Options.withDescription("The period of the limit."),
  Options.optional
)

const quotaSet = Command.make("set", {
  org,
  limit: Args.integer({ name: "limit" }).pipe(Args.withDescription("How much may be used in a period.")),
  project,
  metric,
  unit,
  period,
  rolling: Options.boolean("rolling").pipe(
    Options.withDescription("The last 24 hours, 7 or 30 days instead of the day, week or month.")
  ),
  soft: Options.boolean("soft").pipe(Options.withDescription("Only report it; stop nothing.")),
  timeZone: text("time-zone", "Where days begin, like Europe/Berlin; UTC unless given."),
  ...connected
}, (options) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    const row = yield* client["quotas.set"]({
      ...seriesOf(options),
      period: Option.getOrUndefined(options.period),
      window: options.rolling ? "rolling" : "calendar",
      enforcement: options.soft ? "soft" : "hard",
      timeZone: Option.getOrUndefined(options.timeZone),
      limitQuantity: options.limit
    })
    yield* output.print(QuotaDocument, row, () =>
      `${row.limitQuantity} ${row.unit} of ${row.metric}, ${row.period} (${row.window}, ${row.timeZone}, ${row.enforcement}).`)
  })).pipe(Command.withDescription("Set or change a limit."), provideConnection)

const quotaList = Command.make(
  "list",
  { org, limit, after, ...connected },
  ({ after, limit, org }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      const quotas = yield* client["quotas.list"]({ orgId: org, limit, after: Option.getOrUndefined(after) })
      yield* output.print(QuotasDocument, { quotas }, () =>
        quotas.length === 0 ? "No limits." : table(
          ["PROJECT", "METRIC", "UNIT", "PERIOD", "LIMIT", "WINDOW", "TIME ZONE", "ENFORCEMENT"],
          quotas.map((row) => [
            row.projectId ?? "(all)",
            row.metric,
            row.unit,
            row.period,
            String(row.limitQuantity),
            row.window,
            row.timeZone,
            row.enforcement
          ])
        ))
    })
).pipe(Command.withDescription("List the limits of an organization."), provideConnection)

const checkText = (state: QuotaState | null): string =>
  state === null ? "There is no limit." : table(
    ["PROJECT", "PERIOD", "LIMIT", "USED", "RESERVED", "LEFT", "UNTIL"],
    state.limits.map((row) => [
      row.projectId ?? "(all)",
      row.period,
      String(row.limitQuantity),
      String(row.usedQuantity),
      String(row.reservedQuantity),
      row.exceeded ? "exceeded" : String(row.remainingQuantity),
      timestamp(row.toMs)
    ])
  )

const quotaCheck = Command.make(
  "check",
  { org, project, metric, unit, period, ...connected },
  (options) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      const check = yield* client["quotas.check"]({
        ...seriesOf(options),
        period: Option.getOrUndefined(options.period)
      })
      yield* output.print(QuotaStateDocument, { check }, () => checkText(check))
    })
).pipe(
  Command.withDescription("How usage stands against the limits of project and organization."),
  provideConnection
)

const quotaRemove = Command.make(
  "remove",
  { org, project, metric, unit, period, ...connected },
  (options) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      const answer = yield* client["quotas.remove"]({
        ...seriesOf(options),
        period: Option.getOrUndefined(options.period)
      })
      yield* output.print(RemovedDocument, answer, () => "The limit is removed.")
    })
).pipe(Command.withDescription("Remove a limit."), provideConnection)

export const quotaCommand = Command.make("quota").pipe(
  Command.withDescription("Limits on what organizations and projects use."),
  Command.withSubcommands([quotaSet, quotaList, quotaCheck, quotaRemove])
)

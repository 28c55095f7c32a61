import { Args, Command, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import type { QuotaState } from "../../gateway/contract.ts"
import { confirm } from "../Confirmation.ts"
import { Connection } from "../Connection.ts"
import {
  DeletedOrgDocument,
  DeletedProjectDocument,
  OrgDocument,
  OrgsDocument,
  ProjectDocument,
  ProjectsDocument,
  QuotaDocument,
  QuotaRemovedDocument,
  QuotasDocument,
  QuotaStateDocument,
  UsageDocument
} from "../Documents.ts"
import { Output } from "../Output.ts"
import { connected, provideConnection, yes } from "../SharedOptions.ts"
import { fields, table, timestamp } from "../Table.ts"

const org = Args.text({ name: "orgId" }).pipe(Args.withDescription("Id of the organization."))
const projectArgument = Args.text({ name: "projectId" }).pipe(Args.withDescription("Id of the project."))
const text = (name: string, description: string) =>
  Options.text(name).pipe(Options.withDescription(description), Options.optional)
const slug = Options.text("slug").pipe(Options.withDescription("Short name: a-z 0-9 -, unique."))
const named = Options.text("name").pipe(Options.withDescription("Name for people."))
const limit = Options.integer("limit").pipe(Options.withDescription("At most so many."), Options.withDefault(50))
const after = text("after", "Only those behind the one with this id.")

const countsText = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts).filter(([, count]) => count > 0).map(([what, count]) => `${count} ${what}`).join(", ")

/** The service and what is printed. */
const desk = Effect.all({ client: Effect.map(Connection, ({ client }) => client), output: Output })

const orgText = (row: typeof OrgDocument.Type): string =>
  fields([["Id", row.orgId], ["Slug", row.slug], ["Name", row.name], ["Created", timestamp(row.createdAtMs)]])

const orgCreate = Command.make("create", {
  slug,
  name: named,
  id: text("id", "Its id; a random one unless given."),
  ...connected
}, ({ id, name, slug }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    const row = yield* client["orgs.create"]({ orgId: Option.getOrUndefined(id), slug, name })
    yield* output.print(OrgDocument, row, orgText)
  })).pipe(Command.withDescription("Make an organization."), provideConnection)

const orgShow = Command.make("show", { org, ...connected }, ({ org }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    yield* output.print(OrgDocument, yield* client["orgs.get"]({ orgId: org }), orgText)
  })).pipe(Command.withDescription("Show an organization."), provideConnection)

const orgList = Command.make("list", { limit, after, ...connected }, ({ after, limit }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    const orgs = yield* client["orgs.list"]({ limit, after: Option.getOrUndefined(after) })
    yield* output.print(OrgsDocument, { orgs }, () =>
      orgs.length === 0 ? "No organizations." : table(
        ["ORG", "SLUG", "NAME", "CREATED"],
        orgs.map(({ createdAtMs, name, orgId, slug }) => [orgId, slug, name, timestamp(createdAtMs)])
      ))
  })).pipe(Command.withDescription("List organizations by id."), provideConnection)

const orgDelete = Command.make("delete", { org, yes, ...connected }, ({ org, yes }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    yield* confirm(`Delete ${org} with its projects, usage, limits, references and audit?`, yes)
    const answer = yield* client["orgs.delete"]({ orgId: org })
    yield* output.print(DeletedOrgDocument, answer, ({ deleted }) =>
      `${org} is deleted. With it: ${countsText(deleted)}.`)
  })).pipe(Command.withDescription("Delete an organization with everything it has."), provideConnection)

export const orgCommand = Command.make("org").pipe(
  Command.withDescription("Organizations: the tenants of the service."),
  Command.withSubcommands([orgCreate, orgList, orgShow, orgDelete])
)

const projectCreate = Command.make("create", {
  org,
  slug,
  name: named,
  id: text("id", "Its id; a random one unless given."),
  ...connected
}, ({ id, name, org, slug }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    const row = yield* client["projects.create"]({ orgId: org, projectId: Option.getOrUndefined(id), slug, name })
    yield* output.print(ProjectDocument, row, () => `Project ${row.projectId} of ${org} is made.`)
  })).pipe(Command.withDescription("Make a project."), provideConnection)

const projectList = Command.make(
  "list",
  { org, limit, after, ...connected },
  ({ after, limit, org }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      const projects = yield* client["projects.list"]({ orgId: org, limit, after: Option.getOrUndefined(after) })
      yield* output.print(ProjectsDocument, { projects }, () =>
        projects.length === 0 ? "No projects." : table(
          ["PROJECT", "SLUG", "NAME", "CREATED"],
          projects.map(({ createdAtMs, name, projectId, slug }) => [projectId, slug, name, timestamp(createdAtMs)])
        ))
    })
).pipe(Command.withDescription("List the projects of an organization by id."), provideConnection)

const projectDelete = Command.make(
  "delete",
  { org, project: projectArgument, yes, ...connected },
  ({ org, project, yes }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      yield* confirm(`Delete project ${project} with its team grants, limits and references? Its usage stays.`, yes)
      const answer = yield* client["projects.delete"]({ orgId: org, projectId: project })
      yield* output.print(DeletedProjectDocument, answer, () => `Project ${project} of ${org} is deleted.`)
    })
).pipe(Command.withDescription("Delete a project; its usage stays."), provideConnection)

export const projectCommand = Command.make("project").pipe(
  Command.withDescription("Projects of an organization."),
  Command.withSubcommands([projectCreate, projectList, projectDelete])
)

const project = text("project", "Of this project; else of the whole organization.")
const metric = Options.text("metric").pipe(Options.withDescription("What is measured: steps, agent_runtime_ms, …"))
const unit = text("unit", "In which unit; count unless given.")
const period = Options.choice("period", ["daily", "weekly", "monthly"]).pipe(
  Options.withDescription("The period of the limit."),
  Options.optional
)

interface SeriesOptions {
  readonly org: string
  readonly project: Option.Option<string>
  readonly metric: string
  readonly unit: Option.Option<string>
}

const seriesOf = ({ metric, org, project, unit }: SeriesOptions) => ({
  orgId: org,
  projectId: Option.getOrUndefined(project),
  metric,
  unit: Option.getOrUndefined(unit)
})

const usageSummary = Command.make(
  "summary",
  { org, project, ...connected },
  ({ org, project }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      const usage = yield* client["usage.summary"]({ orgId: org, projectId: Option.getOrUndefined(project) })
      yield* output.print(UsageDocument, { usage }, () =>
        usage.length === 0 ? "No usage." : table(
          ["METRIC", "UNIT", "QUANTITY", "EVENTS"],
          usage.map(({ events, metric, quantity, unit }) => [metric, unit, String(quantity), String(events)])
        ))
    })
).pipe(Command.withDescription("What an organization has used, by metric."), provideConnection)

export const usageCommand = Command.make("usage").pipe(
  Command.withDescription("What organizations use."),
  Command.withSubcommands([usageSummary])
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
      yield* output.print(QuotaRemovedDocument, answer, () => "The limit is removed.")
    })
).pipe(Command.withDescription("Remove a limit."), provideConnection)

export const quotaCommand = Command.make("quota").pipe(
  Command.withDescription("Limits on what organizations and projects use."),
  Command.withSubcommands([quotaSet, quotaList, quotaCheck, quotaRemove])
)

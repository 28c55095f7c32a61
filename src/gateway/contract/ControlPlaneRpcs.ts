import { Rpc, RpcGroup } from "@effect/rpc"
import { Schema } from "effect"
import { Bounds, TimestampMs } from "../../model/index.ts"
import { AdminOnly, ForTenants, RequiredScope } from "./Annotations.ts"
import { failures } from "./Failure.ts"

// The control plane checks what it is given; here stands only what kind of thing it is.

const Text = Schema.String.pipe(Schema.maxLength(4_096))
const NullableText = Schema.NullOr(Schema.String)
const Metadata = Schema.Record({ key: Schema.String, value: Schema.Unknown })
const page = {
  limit: Schema.optional(Schema.Int.pipe(Schema.between(1, Bounds.pageRows))),
  /** The id of the last row of the page before. */
  after: Schema.optional(Text)
}

export const OrgRow = Schema.Struct({
  orgId: Schema.String,
  slug: Schema.String,
  name: Schema.String,
  metadata: Metadata,
  createdAtMs: TimestampMs,
  updatedAtMs: TimestampMs
})
export type OrgRow = typeof OrgRow.Type

export const ProjectRow = Schema.Struct({ ...OrgRow.fields, projectId: Schema.String })
export type ProjectRow = typeof ProjectRow.Type

/** How many rows of which table went along. */
const Counts = Schema.Record({ key: Schema.String, value: Schema.Int })

export const CreateOrg = Rpc.make("orgs.create", {
  payload: { orgId: Schema.optional(Text), slug: Text, name: Text, metadata: Schema.optional(Metadata) },
  success: OrgRow,
  error: failures("CONFLICT")
})

export const GetOrg = Rpc.make("orgs.get", {
  payload: { orgId: Text },
  success: OrgRow,
  error: failures("NOT_FOUND")
}).annotate(ForTenants, "org")

/** By id. */
export const ListOrgs = Rpc.make("orgs.list", {
  payload: Schema.Struct(page),
  success: Schema.Array(OrgRow),
  error: failures()
})

/** What is not given stays as it is. */
export const UpdateOrg = Rpc.make("orgs.update", {
  payload: {
    orgId: Text,
    slug: Schema.optional(Text),
    name: Schema.optional(Text),
    metadata: Schema.optional(Metadata)
  },
  success: OrgRow,
  error: failures("NOT_FOUND", "CONFLICT")
}).annotate(ForTenants, "org")

/** Deletes an organization with everything it has, in one commit. */
export const DeleteOrg = Rpc.make("orgs.delete", {
  payload: { orgId: Text },
  success: Schema.Struct({ orgId: Schema.String, deleted: Counts, lastAuditHash: Schema.String }),
  error: failures("NOT_FOUND", "CONFLICT")
})

export const CreateProject = Rpc.make("projects.create", {
  payload: {
    orgId: Text,
    projectId: Schema.optional(Text),
    slug: Text,
    name: Text,
    metadata: Schema.optional(Metadata)
  },
  success: ProjectRow,
  error: failures("NOT_FOUND", "CONFLICT")
}).annotate(ForTenants, "org")

/** Of one organization, by id. */
export const ListProjects = Rpc.make("projects.list", {
  payload: Schema.Struct({ orgId: Text, ...page }),
  success: Schema.Array(ProjectRow),
  error: failures()
}).annotate(ForTenants, "org")

export const DeleteProject = Rpc.make("projects.delete", {
  payload: { orgId: Text, projectId: Text },
  success: Schema.Struct({ projectId: Schema.String, deleted: Counts }),
  error: failures("NOT_FOUND", "CONFLICT")
}).annotate(ForTenants, "org")

const series = {
  orgId: Text,
  /** Without it, the whole organization. */
  projectId: Schema.optional(Text),
  metric: Text,
  /** `count` unless given. */
  unit: Schema.optional(Text)
}

const UsageRow = Schema.Struct({
  id: Schema.Int,
  orgId: Schema.String,
  projectId: NullableText,
  runId: NullableText,
  metric: Schema.String,
  quantity: Schema.Int,
  unit: Schema.String,
  observedAtMs: TimestampMs,
  recordedAtMs: TimestampMs,
  idempotencyKey: NullableText,
  metadata: Metadata
})

/** With an idempotency key it may be repeated. */
export const RecordUsage = Rpc.make("usage.record", {
  payload: {
    ...series,
    runId: Schema.optional(Text),
    quantity: Schema.Number,
    observedAtMs: Schema.optional(TimestampMs),
    idempotencyKey: Schema.optional(Text),
    metadata: Schema.optional(Metadata)
  },
  success: UsageRow,
  error: failures("NOT_FOUND", "CONFLICT")
})

/** Sums by metric and unit; the times, inclusive, are widened to whole quarters of an hour. */
export const SummarizeUsage = Rpc.make("usage.summary", {
  payload: {
    orgId: Text,
    projectId: Schema.optional(Text),
    metric: Schema.optional(Text),
    sinceMs: Schema.optional(TimestampMs),
    untilMs: Schema.optional(TimestampMs)
  },
  success: Schema.Array(Schema.Struct({
    orgId: Schema.String,
    projectId: NullableText,
    metric: Schema.String,
    unit: Schema.String,
    quantity: Schema.Number,
    events: Schema.Int
  })),
  error: failures()
}).annotate(ForTenants, "org")

const Period = Schema.Literal("daily", "weekly", "monthly")

export const LimitRow = Schema.Struct({
  orgId: Schema.String,
  projectId: NullableText,
  metric: Schema.String,
  unit: Schema.String,
  period: Period,
  window: Schema.Literal("calendar", "rolling"),
  timeZone: Schema.String,
  enforcement: Schema.Literal("hard", "soft"),
  limitQuantity: Schema.Int,
  updatedAtMs: TimestampMs
})
export type LimitRow = typeof LimitRow.Type

/** Sets or changes a limit; `monthly`, `calendar`, `UTC`, `hard` unless given. */
export const SetQuota = Rpc.make("quotas.set", {
  payload: {
    ...series,
    period: Schema.optional(Period),
    window: Schema.optional(Schema.Literal("calendar", "rolling")),
    timeZone: Schema.optional(Text),
    enforcement: Schema.optional(Schema.Literal("hard", "soft")),
    limitQuantity: Schema.Number
  },
  success: LimitRow,
  error: failures("NOT_FOUND")
})

/** Of an organization and its projects; after `<project or __org__>/<metric>/<unit>/<period>`. */
export const ListQuotas = Rpc.make("quotas.list", {
  payload: Schema.Struct({ orgId: Text, ...page }),
  success: Schema.Array(LimitRow),
  error: failures()
}).annotate(ForTenants, "org")

const state = {
  ...LimitRow.fields,
  fromMs: TimestampMs,
  toMs: TimestampMs,
  usedQuantity: Schema.Number,
  reservedQuantity: Schema.Number,
  remainingQuantity: Schema.Number,
  exceeded: Schema.Boolean
}

export const QuotaState = Schema.Struct({ ...state, limits: Schema.Array(Schema.Struct(state)) })
export type QuotaState = typeof QuotaState.Type

/** The limit of project and organization that has least left, and all of them; null when there is none. */
export const CheckQuota = Rpc.make("quotas.check", {
  payload: { ...series, period: Schema.optional(Period) },
  success: Schema.NullOr(QuotaState),
  error: failures()
}).annotate(ForTenants, "org")

export const RemoveQuota = Rpc.make("quotas.remove", {
  payload: { ...series, period: Schema.optional(Period) },
  success: Schema.Struct({ removed: Schema.Literal(true) }),
  error: failures("NOT_FOUND")
})

/** Tenants and what they use, for administrators of the service; ours. */
export const ControlPlaneRpcs = RpcGroup.make(
  CreateOrg,
  GetOrg,
  ListOrgs,
  UpdateOrg,
  DeleteOrg,
  CreateProject,
  ListProjects,
  DeleteProject,
  RecordUsage,
  SummarizeUsage,
  SetQuota,
  ListQuotas,
  CheckQuota,
  RemoveQuota
)
  .annotateRpcs(RequiredScope, "run:admin")
  .annotateRpcs(AdminOnly, true)

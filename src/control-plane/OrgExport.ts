import { Clock, Effect, Option, Schema } from "effect"
import type { BillingAccount, BillingAccountMethods } from "./BillingAccount.ts"
import type { OrgNotFound, ReadError } from "./ControlPlaneError.ts"
import { AtMs, Id } from "./Fields.ts"
import type { IdentityProvider, IdentityProviderMethods } from "./IdentityProvider.ts"
import { checked } from "./internal/Input.ts"
import type { Organization, OrganizationMethods } from "./Organization.ts"
import type { OrgAuditMethods } from "./OrgAudit.ts"
import type { OrgAuditEvent } from "./OrgAuditEvent.ts"
import type { OrgSecretRef, OrgSecretRefMethods } from "./OrgSecretRef.ts"
import type { Project, ProjectMethods, ProjectTeam } from "./Project.ts"
import type { Team, TeamMember, TeamMethods } from "./Team.ts"
import type { UsageMethods, UsageSummary } from "./Usage.ts"
import { positionOf, type UsageLimit, type UsageLimitMethods } from "./UsageLimit.ts"

/** Audit rows in one export; the next one goes on behind them. */
const maxEvents = 100_000
/** Rows of any other kind. */
const maxRows = 100_000
const pageRows = 1_000

const Asked = Schema.Struct({
  orgId: Id,
  sinceMs: Schema.optional(AtMs),
  untilMs: Schema.optional(AtMs),
  afterId: Schema.optional(Schema.NonNegativeInt.annotations({ description: "must be the id of an event, or 0" }))
})
const checkAsked = checked(Asked)

/** Everything of an organization, and its audit of a span of time. */
export interface OrgExport {
  readonly exportedAtMs: number
  readonly org: Organization
  readonly projects: ReadonlyArray<Project>
  readonly projectTeams: ReadonlyArray<ProjectTeam>
  readonly teams: ReadonlyArray<Team>
  readonly teamMembers: ReadonlyArray<TeamMember>
  readonly billing: BillingAccount | null
  readonly identityProviders: ReadonlyArray<IdentityProvider>
  readonly usage: ReadonlyArray<UsageSummary>
  readonly usageLimits: ReadonlyArray<UsageLimit>
  readonly secretRefs: ReadonlyArray<OrgSecretRef>
  readonly auditEvents: ReadonlyArray<OrgAuditEvent>
  /** For `afterId` of the next export; null when this one has all that was asked for. */
  readonly nextAfterId: number | null
}

export interface OrgExportMethods {
  /**
   * One document, its audit oldest first, from `sinceMs` to `untilMs` (inclusive; the usage widened to whole quarters of
   * an hour). At most 100,000 audit rows, and as many of each other kind: use `listAuditEvents` for more than fits
   * into memory.
   */
  readonly exportOrgAudit: (input: typeof Asked.Encoded) => Effect.Effect<OrgExport, OrgNotFound | ReadError>
}

type Parts =
  & OrganizationMethods
  & TeamMethods
  & ProjectMethods
  & BillingAccountMethods
  & IdentityProviderMethods
  & UsageMethods
  & UsageLimitMethods
  & OrgSecretRefMethods
  & OrgAuditMethods

/** Page after page, until one is not full. */
const all = Effect.fnUntraced(function*<A, E>(
  page: (after: string | undefined) => Effect.Effect<ReadonlyArray<A>, E>,
  position: (last: A) => string,
  most = maxRows
) {
  const rows: Array<A> = []
  for (;;) {
    const last = rows.at(-1)
    const found = yield* page(last === undefined ? undefined : position(last))
    for (const row of found) rows.push(row)
    if (found.length < pageRows || rows.length >= most) return rows
  }
})

export const make = (plane: Parts): OrgExportMethods => ({
  exportOrgAudit: Effect.fn("ControlPlane.exportOrgAudit")(function*(input) {
    const { afterId, orgId, sinceMs, untilMs } = yield* checkAsked(input)
    const org = yield* plane.getOrg(orgId)
    const of = { orgId, limit: pageRows }
    const auditEvents = yield* all(
      (after) =>
        plane.listAuditEvents({ ...of, sinceMs, untilMs, afterId: after === undefined ? afterId : Number(after) }),
      ({ id }) => String(id),
      maxEvents
    )
    return {
      exportedAtMs: yield* Clock.currentTimeMillis,
      org,
      projects: yield* all((after) => plane.listProjects({ ...of, after }), ({ projectId }) => projectId),
      projectTeams: yield* all(
        (after) => plane.listProjectTeams({ ...of, after }),
        ({ projectId, teamId }) => `${projectId}/${teamId}`
      ),
      teams: yield* all((after) => plane.listTeams({ ...of, after }), ({ teamId }) => teamId),
      teamMembers: yield* all(
        (after) => plane.listTeamMembers({ ...of, after }),
        ({ teamId, userId }) => `${teamId}/${userId}`
      ),
      billing: Option.getOrNull(
        yield* Effect.catchTag(
          Effect.asSome(plane.getBillingAccount({ orgId })),
          "RecordNotFound",
          () => Effect.succeedNone
        )
      ),
      identityProviders: yield* all(
        (after) => plane.listIdentityProviders({ ...of, after }),
        ({ providerId }) => providerId
      ),
      usage: yield* plane.summarizeUsage({ orgId, sinceMs, untilMs }),
      usageLimits: yield* all((after) => plane.listUsageLimits({ ...of, after }), positionOf),
      secretRefs: yield* all(
        (after) => plane.listSecretRefs({ ...of, after }),
        ({ name, projectId }) => `${projectId ?? "__org__"}/${name}`
      ),
      auditEvents,
      nextAfterId: auditEvents.length >= maxEvents ? auditEvents.at(-1)?.id ?? null : null
    }
  })
})

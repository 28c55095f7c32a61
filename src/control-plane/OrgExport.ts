import { Clock, Effect, Record, Schema } from "effect"
import type { BillingAccount, BillingAccountMethods } from "./BillingAccount.ts"
import { InvalidInput, type OrgNotFound, type ReadError } from "./ControlPlaneError.ts"
import { AtMs, Id } from "./Fields.ts"
import type { IdentityProvider, IdentityProviderMethods } from "./IdentityProvider.ts"
import { ExportText } from "./internal/ExportText.ts"
import { checked } from "./internal/Input.ts"
import type { Plane } from "./internal/Plane.ts"
import { betweenOf, makeSearch } from "./internal/Search.ts"
import { makeTable } from "./internal/Table.ts"
import type { Organization, OrganizationMethods } from "./Organization.ts"
import type { OrgAuditMethods } from "./OrgAudit.ts"
import { OrgAuditEvent } from "./OrgAuditEvent.ts"
import type { OrgSecretRef, OrgSecretRefMethods } from "./OrgSecretRef.ts"
import type { Project, ProjectMethods, ProjectTeam } from "./Project.ts"
import type { ReservationMethods } from "./Reservation.ts"
import type { Team, TeamMember, TeamMethods } from "./Team.ts"
import type { UsageMethods, UsageSummary } from "./Usage.ts"
import { UsageEvent } from "./UsageEvent.ts"
import { positionOf, type UsageLimit, type UsageLimitMethods } from "./UsageLimit.ts"

/** Rows of one kind in one document; the next one goes on behind them. */
const maxRows = 100_000
/** Rows that are read at once. */
const readRows = 250
/** A part of an export ends when it has so many records, or characters: small ones leave no old garbage behind. */
const partRecords = 500
const partChars = 262_144

const span = { sinceMs: Schema.optional(AtMs), untilMs: Schema.optional(AtMs) }
const EventId = Schema.NonNegativeInt.annotations({ description: "must be the id of an event, or 0" })
const Asked = Schema.Struct({ orgId: Id, ...span, afterId: Schema.optional(EventId) })

const sections = [
  "org",
  "team",
  "teamMember",
  "project",
  "projectTeam",
  "billingAccount",
  "identityProvider",
  "secretRef",
  "usageLimit",
  "reservation",
  "usage",
  "usageEvent",
  "auditEvent"
] as const

const Counts = Schema.Record({ key: Schema.Literal(...sections), value: Schema.NonNegativeInt })

// Each of the sections is a member.
const noCounts = Record.fromIterableWith(sections, (type) => [type, 0]) as typeof Counts.Type
const beginning = { counts: noCounts, hash: "0".repeat(64) }

/** Where an export goes on. */
const Position = Schema.Struct({
  section: Schema.Literal(...sections),
  /** The last record that was written of the section, null if there is none yet. */
  after: Schema.NullOr(Schema.String),
  /** The last event of the audit that is part of the export. */
  throughAuditId: Schema.NonNegativeInt,
  counts: Counts,
  hash: Schema.String.pipe(Schema.pattern(/^[0-9a-f]{64}$/))
})

const cursorBound = "must be what the part before answered"
const Cursor = Schema.parseJson(Position).annotations({ description: cursorBound })
const cursorText = Schema.encodeSync(Cursor)

const AskedPart = Schema.Struct({ orgId: Id, ...span, cursor: Schema.optional(Cursor) })

const checkAsked = checked(Asked)
const checkAskedPart = checked(AskedPart)

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

/** Lines to be appended to those of the parts before, and where it goes on; null: this is the last part. */
export interface OrgExportPart {
  readonly text: string
  readonly records: number
  /** The `cursor` that the next part is asked for with, as it is. */
  readonly next: string | null
}

export interface OrgExportMethods {
  /**
   * One document, its audit oldest first, from `sinceMs` to `untilMs` (inclusive; the usage widened to whole quarters of
   * an hour). At most 100,000 audit rows, and as many of each other kind: use `exportOrgPart` for more than fits
   * into memory.
   */
  readonly exportOrgAudit: (input: typeof Asked.Encoded) => Effect.Effect<OrgExport, OrgNotFound | ReadError>
  /**
   * The next part of an export of any size, from its beginning without a cursor: about 500 records or 250,000
   * characters. The parts, one after the other, are NDJSON:
   *
   *     {"type":"org-export","format":1,"orgId":…,"exportedAtMs":…,"sinceMs":…,"untilMs":…,"throughAuditId":…}
   *     {"type":"<kind of record>","record":{…}}                     any number of them
   *     {"type":"end","counts":{"<kind of record>":…},"hash":"…"}
   *
   * `sinceMs` and `untilMs` (inclusive) are of usage (its sums by whole quarters of an hour), its events and the audit.
   * Events of usage are newest first, those
   * of the audit oldest first, all else is by id. A record is as it was when its part was read: what is changed while
   * the export goes on is in it as it was, or as it is; the audit ends where it ended at the beginning.
   *
   * The hash is of all lines before the last: SHA-256 (hex) of the hash of the lines before, a line feed and the line,
   * beginning with 64 zeros. It finds what was damaged or lost, not what was forged.
   */
  readonly exportOrgPart: (input: typeof AskedPart.Encoded) => Effect.Effect<OrgExportPart, OrgNotFound | ReadError>
}

type Parts =
  & OrganizationMethods
  & TeamMethods
  & ProjectMethods
  & BillingAccountMethods
  & IdentityProviderMethods
  & UsageMethods
  & UsageLimitMethods
  & ReservationMethods
  & OrgSecretRefMethods
  & OrgAuditMethods

/** One kind of record: its rows page by page, and what stands for the place of a row. */
interface Listed<A, E> {
  readonly page: (after: string | undefined, limit: number) => Effect.Effect<ReadonlyArray<A>, E>
  readonly position: (row: A) => string
}

const listed = <A, E>(page: Listed<A, E>["page"], position: Listed<A, E>["position"]): Listed<A, E> => ({
  page,
  position
})

/** What is not in pages. */
const whole = <A, E>(rows: Effect.Effect<ReadonlyArray<A>, E>): Listed<A, E> =>
  listed((after) => after === undefined ? rows : Effect.succeed([]), () => "")

/** Page after page, until one is not full. */
const all = Effect.fnUntraced(function*<A, E>({ page, position }: Listed<A, E>) {
  const limit = 1_000
  const rows: Array<A> = []
  for (;;) {
    const last = rows.at(-1)
    const found = yield* page(last === undefined ? undefined : position(last), limit)
    for (const row of found) rows.push(row)
    if (found.length < limit || rows.length >= maxRows) return rows
  }
})

interface Time {
  readonly sinceMs?: number | undefined
  readonly untilMs?: number | undefined
}

const listsOf = (
  plane: Parts,
  orgId: string,
  time: Time
) => ({
  org: whole(Effect.map(plane.getOrg(orgId), (org) => [org])),
  team: listed((after, limit) => plane.listTeams({ orgId, after, limit }), ({ teamId }) => teamId),
  teamMember: listed(
    (after, limit) => plane.listTeamMembers({ orgId, after, limit }),
    ({ teamId, userId }) => `${teamId}/${userId}`
  ),
  project: listed((after, limit) => plane.listProjects({ orgId, after, limit }), ({ projectId }) => projectId),
  projectTeam: listed(
    (after, limit) => plane.listProjectTeams({ orgId, after, limit }),
    ({ projectId, teamId }) => `${projectId}/${teamId}`
  ),
  billingAccount: whole(
    plane.getBillingAccount({ orgId }).pipe(
      Effect.map((account) => [account]),
      Effect.catchTag("RecordNotFound", () => Effect.succeed([]))
    )
  ),
  identityProvider: listed(
    (after, limit) => plane.listIdentityProviders({ orgId, after, limit }),
    ({ providerId }) => providerId
  ),
  secretRef: listed(
    (after, limit) => plane.listSecretRefs({ orgId, after, limit }),
    ({ name, projectId }) => `${projectId ?? "__org__"}/${name}`
  ),
  usageLimit: listed((after, limit) => plane.listUsageLimits({ orgId, after, limit }), positionOf),
  reservation: listed(
    (after, limit) => plane.listReservations({ orgId, after, limit }),
    ({ reservationId }) => reservationId
  ),
  usage: whole(plane.summarizeUsage({ orgId, ...time })),
  auditEvent: listed(
    (after, limit) =>
      plane.listAuditEvents({ orgId, ...time, limit, afterId: after === undefined ? undefined : Number(after) }),
    ({ id }) => String(id)
  )
})

/** What there may be millions of goes from the database into the text without being looked at. */
const makeEvents = ({ persistence }: Plane) => {
  const usage = makeTable(persistence, "_smithers_cp_usage_events", UsageEvent, { key: ["id"] })
  const audit = makeTable(persistence, "_smithers_cp_audit_events", OrgAuditEvent, { key: ["id"] })
  const usageSearch = makeSearch(persistence, usage.name, usage.selectJson, "newest-first")
  const auditSearch = makeSearch(persistence, audit.name, audit.selectJson, "oldest-first")

  /** A cursor that was made up is refused. */
  const idOf = (after: string) => {
    const id = Number(after)
    return Number.isSafeInteger(id) ? Effect.succeed(id) : new InvalidInput({ field: "cursor", bound: cursorBound })
  }
  return (orgId: string, time: Time, throughAuditId: number) => ({
    usageEvent: listed(
      (after = String(Number.MAX_SAFE_INTEGER), limit) =>
        Effect.flatMap(
          idOf(after),
          (from) => usageSearch({ orgId, from, limit, equal: {}, between: betweenOf("observed_at_ms", time) })
        ),
      ({ id }) => String(id)
    ),
    auditEvent: listed(
      (after = "0", limit) =>
        Effect.map(
          Effect.flatMap(idOf(after), (from) =>
            auditSearch({ orgId, from, limit, equal: {}, between: betweenOf("occurred_at_ms", time) })),
          (events) =>
            events.filter(({ id }) => id <= throughAuditId)
        ),
      ({ id }) => String(id)
    )
  })
}

export const make = (base: Plane, plane: Parts): OrgExportMethods => {
  const events = makeEvents(base)
  return {
    exportOrgAudit: Effect.fn("ControlPlane.exportOrgAudit")(function*(input) {
      const { afterId, orgId, ...time } = yield* checkAsked(input)
      const lists = listsOf(plane, orgId, time)
      const org = yield* plane.getOrg(orgId)
      const { page, position } = lists.auditEvent
      const auditEvents = yield* all(
        listed((after, limit) => page(after ?? (afterId === undefined ? undefined : String(afterId)), limit), position)
      )
      return {
        exportedAtMs: yield* Clock.currentTimeMillis,
        org,
        projects: yield* all(lists.project),
        projectTeams: yield* all(lists.projectTeam),
        teams: yield* all(lists.team),
        teamMembers: yield* all(lists.teamMember),
        billing: (yield* all(lists.billingAccount))[0] ?? null,
        identityProviders: yield* all(lists.identityProvider),
        usage: yield* all(lists.usage),
        usageLimits: yield* all(lists.usageLimit),
        secretRefs: yield* all(lists.secretRef),
        auditEvents,
        nextAfterId: auditEvents.length >= maxRows ? auditEvents.at(-1)?.id ?? null : null
      }
    }),

    exportOrgPart: Effect.fn("ControlPlane.exportOrgPart")(function*(input) {
      const { cursor, orgId, ...time } = yield* checkAskedPart(input)
      // Gone in between: there is no more to be had.
      yield* plane.getOrg(orgId)
      const throughAuditId = cursor?.throughAuditId ?? (yield* lastAuditId(base.persistence, orgId))
      const text = new ExportText(cursor ?? beginning)
      if (cursor === undefined) {
        const { sinceMs = null, untilMs = null } = time
        const exportedAtMs = yield* Clock.currentTimeMillis
        text.header({ type: "org-export", format: 1, orgId, exportedAtMs, sinceMs, untilMs, throughAuditId })
      }
      const lists = { ...listsOf(plane, orgId, time), ...events(orgId, time, throughAuditId) }
      let index = cursor === undefined ? 0 : sections.indexOf(cursor.section)
      let after = cursor?.after ?? undefined
      for (;;) {
        const { counts, hash, records } = text
        const section = sections[index]
        if (section === undefined) {
          text.end()
          return { text: text.text(), records, next: null }
        }
        if (records >= partRecords || text.chars >= partChars) {
          const next = cursorText({ section, after: after ?? null, throughAuditId, counts, hash })
          return { text: text.text(), records, next }
        }
        // Each has rows of a kind of its own; they are written as they are.
        const { page, position } = lists[section] as Listed<object, OrgNotFound | ReadError>
        const rows = yield* Effect.catchTag(
          page(after, readRows),
          "InvalidInput",
          () => new InvalidInput({ field: "cursor", bound: cursorBound })
        )
        for (const row of rows) text.record(section, row)
        const last = rows.at(-1)
        if (rows.length < readRows || last === undefined) {
          index++
          after = undefined
        } else {
          after = position(last)
        }
      }
    })
  }
}

const lastAuditId = ({ read }: Plane["persistence"], orgId: string) =>
  Effect.map(
    read("SELECT MAX(id) AS id FROM _smithers_cp_audit_events WHERE org_id = ?", [orgId]),
    ([row]) => Number(row?.["id"] ?? 0)
  )

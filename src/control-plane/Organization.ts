import { Clock, Effect, Schema } from "effect"
import { randomUUID } from "node:crypto"
import { Write } from "../persistence/index.ts"
import {
  type ChangeError,
  Conflict,
  type CreateError,
  OrgNotFound,
  type ReadError,
  type SlugTaken
} from "./ControlPlaneError.ts"
import { Id, page } from "./Fields.ts"
import { type Counts, deleting } from "./internal/Cascade.ts"
import { orgExists, orgNotDeleted } from "./internal/Guards.ts"
import { checked } from "./internal/Input.ts"
import { changedNamed, free, named, newNamed, organizations, update } from "./internal/Named.ts"
import type { Plane } from "./internal/Plane.ts"
import { makeTable } from "./internal/Table.ts"

/** A tenant. */
export const Organization = Schema.Struct({ orgId: Id, ...named })
export type Organization = typeof Organization.Type

const New = Schema.Struct({ orgId: Schema.optional(Id), ...newNamed })
const Change = Schema.Struct({ orgId: Id, ...changedNamed })
const Page = Schema.Struct(page)

const checkNew = checked(New)
const checkChange = checked(Change)
const checkId = checked(Schema.Struct({ orgId: Id }))
const checkPage = checked(Page)

/** What went with an organization, by table. */
export interface DeletedOrganization {
  readonly orgId: string
  readonly deleted: Counts
  /** Of the last row of its audit; empty if there was none. */
  readonly lastAuditHash: string
}

export interface OrganizationMethods {
  /** The id is a random UUID unless given; that of a deleted organization is never given again. */
  readonly createOrg: (input: typeof New.Encoded) => Effect.Effect<Organization, CreateError>
  readonly getOrg: (orgId: string) => Effect.Effect<Organization, OrgNotFound | ReadError>
  /** By id, after the id `after`. */
  readonly listOrgs: (input?: typeof Page.Encoded) => Effect.Effect<ReadonlyArray<Organization>, ReadError>
  /** What is not given stays as it is. */
  readonly updateOrg: (input: typeof Change.Encoded) => Effect.Effect<Organization, ChangeError | SlugTaken>
  /**
   * Deletes it with everything it has, audit rows and usage included, in one commit. Its id is kept, and the service's
   * audit keeps the fact, what it took along and the last hash of the organization's audit. Its grants and its runs are
   * ended by `OrgEnding`. Holds the writer as long as it takes: about
   * a second for each million usage events. `Contended` when others kept writing to the organization.
   */
  readonly deleteOrg: (
    input: { readonly orgId: string }
  ) => Effect.Effect<DeletedOrganization, OrgNotFound | Conflict | ReadError>
}

const tables = {
  teams: "_smithers_cp_teams",
  teamMembers: "_smithers_cp_team_members",
  projects: "_smithers_cp_projects",
  projectTeams: "_smithers_cp_project_teams",
  billingAccounts: "_smithers_cp_billing_accounts",
  identityProviders: "_smithers_cp_identity_providers",
  usageEvents: "_smithers_cp_usage_events",
  usageLimits: "_smithers_cp_usage_limits",
  usageReservations: "_smithers_cp_usage_reservations",
  usageSeries: "_smithers_cp_usage_series",
  secretRefs: "_smithers_cp_secret_refs",
  auditEvents: "_smithers_cp_audit_events"
}

const parts = Object.entries(tables).map(([name, table]) => ({ name, table, where: "org_id = ?" }))

export const make = ({ change, persistence, removal }: Plane): OrganizationMethods => {
  const table = makeTable(persistence, organizations.table, Organization, { key: ["orgId"] })

  const find = Effect.fnUntraced(function*(orgId: string) {
    const [org] = yield* table.select("WHERE org_id = ?", [orgId])
    return org ?? (yield* new OrgNotFound({ orgId }))
  })

  return {
    createOrg: Effect.fn("ControlPlane.createOrg")(function*(input) {
      const { metadata = {}, name, orgId = randomUUID(), slug } = yield* checkNew(input)
      return yield* change({ orgId, action: "org.create", targetType: "org", targetId: orgId }, (nowMs) => {
        const org = { orgId, slug, name, metadata, createdAtMs: nowMs, updatedAtMs: nowMs }
        return Write.all([
          free(organizations, [], orgId, slug),
          orgNotDeleted(orgId, () => new Conflict({ reason: "IdRetired", id: orgId })),
          table.insert(org)
        ]).pipe(Write.map(() => org))
      })
    }),
    getOrg: Effect.fn("ControlPlane.getOrg")(function*(orgId) {
      return yield* find((yield* checkId({ orgId })).orgId)
    }),
    listOrgs: Effect.fn("ControlPlane.listOrgs")(function*(input = {}) {
      const { after = "", limit = 50 } = yield* checkPage(input)
      return yield* table.select("WHERE org_id > ? ORDER BY org_id LIMIT ?", [after, limit])
    }),
    updateOrg: Effect.fn("ControlPlane.updateOrg")(function*(input) {
      const { orgId, ...changes } = yield* checkChange(input)
      const detail = { changed: Object.keys(changes) }
      const [, rows] = yield* change(
        { orgId, action: "org.update", targetType: "org", targetId: orgId, detail },
        (nowMs) => Write.all([orgExists(orgId), update(organizations, [], orgId, changes, table.columns, nowMs)])
      )
      return yield* table.one(rows)
    }),
    deleteOrg: Effect.fn("ControlPlane.deleteOrg")(function*(input) {
      const { orgId } = yield* checkId(input)
      yield* find(orgId)
      const [deleted, lastAuditHash] = yield* deleting(
        persistence,
        parts,
        [orgId],
        (counts, unchanged) =>
          Effect.gen(function*() {
            const [last] = yield* persistence.read(
              "SELECT hash FROM _smithers_cp_audit_events WHERE org_id = ? ORDER BY id DESC LIMIT 1",
              [orgId]
            )
            const hash = String(last?.["hash"] ?? "")
            const nowMs = yield* Clock.currentTimeMillis
            yield* removal(
              {
                orgId,
                action: "org.delete",
                targetType: "org",
                targetId: orgId,
                detail: { ...counts, lastAuditHash: hash }
              },
              Write.all([
                orgExists(orgId),
                unchanged,
                Write.run("DELETE FROM _smithers_cp_orgs WHERE org_id = ?", [orgId]),
                Write.run("INSERT INTO _smithers_cp_deleted_orgs (org_id, deleted_at_ms) VALUES (?, ?)", [orgId, nowMs])
              ])
            )
            return hash
          })
      )
      return { orgId, deleted, lastAuditHash }
    })
  }
}

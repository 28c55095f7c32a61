import { Clock, Effect, Schema } from "effect"
import { PersistenceError } from "../persistence/index.ts"
import type { ChangeError, ReadError } from "./ControlPlaneError.ts"
import { Action, AtMs, Id, Metadata, page, ProjectOf, UserId, Word } from "./Fields.ts"
import { append, hashOf, type Unchained } from "./internal/AuditChain.ts"
import { batched } from "./internal/Batches.ts"
import { checked } from "./internal/Input.ts"
import type { Plane } from "./internal/Plane.ts"
import { betweenOf, makeSearch } from "./internal/Search.ts"
import { makeTable } from "./internal/Table.ts"
import { OrgAuditEvent } from "./OrgAuditEvent.ts"

const TargetId = Schema.String.pipe(
  Schema.pattern(/^[^\p{Cc}]{1,512}$/u),
  Schema.annotations({ description: "must have 1–512 characters, no control characters" })
)

const NewEvent = Schema.Struct({
  orgId: Id,
  projectId: ProjectOf,
  actorId: Schema.optional(Schema.NullOr(UserId)),
  action: Action,
  targetType: Word,
  targetId: Schema.optional(Schema.NullOr(TargetId)),
  occurredAtMs: Schema.optional(AtMs),
  metadata: Schema.optional(Metadata)
})

const checkNewEvent = checked(NewEvent)
const Page = Schema.Struct({
  orgId: Id,
  projectId: Schema.optional(Id),
  actorId: Schema.optional(UserId),
  action: Schema.optional(Action),
  sinceMs: Schema.optional(AtMs),
  untilMs: Schema.optional(AtMs),
  afterId: Schema.optional(Schema.NonNegativeInt.annotations({ description: "must be the id of an event, or 0" })),
  limit: page.limit
})
const checkPage = checked(Page)
const checkOrg = checked(Schema.Struct({ orgId: Id }))

/** What an intact chain answers, or the first row that is not what was written. */
export type OrgAuditVerdict =
  | { readonly intact: true; readonly events: number; readonly lastHash: string }
  | { readonly intact: false; readonly events: number; readonly badId: number }

export interface OrgAuditMethods {
  /** For what the hosted service has to say; changes made here are recorded with the change. Durable when answered. */
  readonly recordAuditEvent: (input: typeof NewEvent.Encoded) => Effect.Effect<OrgAuditEvent, ChangeError>
  /**
   * Oldest first, after the row `afterId`: all, or those to which everything that is given applies; times are inclusive.
   * With a filter every row of the organization may have to be looked at; others get their turn meanwhile.
   */
  readonly listAuditEvents: (
    input: typeof Page.Encoded
  ) => Effect.Effect<ReadonlyArray<OrgAuditEvent>, ReadError>
  /**
   * Computes the chain anew, page by page. Finds a row that was changed, put in, taken out or moved; a tail that was cut
   * off is found only by who remembers the last hash.
   */
  readonly verifyOrgAudit: (input: { readonly orgId: string }) => Effect.Effect<OrgAuditVerdict, ReadError>
}

const pageOfVerification = 1_000

export const make = ({ persistence }: Plane): OrgAuditMethods => {
  const table = makeTable(persistence, "_smithers_cp_audit_events", OrgAuditEvent, { key: ["id"], generated: ["id"] })

  const search = makeSearch(persistence, table.name, table.select, "oldest-first")

  const record = batched(persistence, (events: ReadonlyArray<Unchained>) => append(events, { checkProjects: true }))

  const rowsAfter = (orgId: string, id: number) =>
    Effect.mapError(
      persistence.read(
        `SELECT id, org_id AS "orgId", project_id AS "projectId", actor_id AS "actorId", action,
          target_type AS "targetType", target_id AS "targetId", occurred_at_ms AS "occurredAtMs", metadata_json, hash
        FROM _smithers_cp_audit_events WHERE org_id = ? AND id > ? ORDER BY id LIMIT ${pageOfVerification}`,
        [orgId, id]
      ),
      (cause) => new PersistenceError({ operation: "ControlPlane.verifyOrgAudit", reason: cause.reason, cause })
    )

  return {
    recordAuditEvent: (input) =>
      Effect.flatMap(
        Clock.currentTimeMillis,
        (nowMs) =>
          Effect.flatMap(checkNewEvent(input), ({ metadata = {}, occurredAtMs = nowMs, ...event }) =>
            Effect.flatMap(
              record({
                orgId: event.orgId,
                projectId: event.projectId ?? null,
                actorId: event.actorId ?? null,
                action: event.action,
                targetType: event.targetType,
                targetId: event.targetId ?? null,
                occurredAtMs,
                metadata
              }),
              (row): Effect.Effect<OrgAuditEvent, ChangeError> => "hash" in row ? Effect.succeed(row) : Effect.fail(row)
            ))
      ),
    listAuditEvents: Effect.fn("ControlPlane.listAuditEvents")(function*(input) {
      const { action = null, actorId = null, afterId = 0, limit = 50, orgId, projectId = null, ...span } =
        yield* checkPage(input)
      return yield* search({
        orgId,
        from: afterId,
        limit,
        equal: { project_id: projectId, actor_id: actorId, action },
        between: betweenOf("occurred_at_ms", span)
      })
    }),
    verifyOrgAudit: Effect.fn("ControlPlane.verifyOrgAudit")(function*(input) {
      const { orgId } = yield* checkOrg(input)
      let [events, lastHash, lastId] = [0, "", 0]
      for (;;) {
        const rows = yield* rowsAfter(orgId, lastId)
        for (const row of rows) {
          // The columns are STRICT; what was tampered with is to be found, not to be refused as undecodable.
          const hash = hashOf(lastHash, row as never, String(row["metadata_json"]))
          if (hash !== row["hash"]) return { intact: false as const, events, badId: Number(row["id"]) }
          lastHash = hash
          lastId = Number(row["id"])
          events++
        }
        if (rows.length < pageOfVerification) return { intact: true as const, events, lastHash }
        yield* Effect.yieldNow()
      }
    })
  }
}

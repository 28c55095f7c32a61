import { Clock, Effect, Schema } from "effect"
import { randomUUID } from "node:crypto"
import { Write } from "../persistence/index.ts"
import { type ChangeError, Conflict, type ReadError, RecordNotFound } from "./ControlPlaneError.ts"
import { AtMs, Id, Limit, Metadata, Metric, ProjectOf, Quantity, Unit } from "./Fields.ts"
import { orgExists, projectExists } from "./internal/Guards.ts"
import { checked } from "./internal/Input.ts"
import type { Plane } from "./internal/Plane.ts"
import { makeTable } from "./internal/Table.ts"
import { record, room } from "./internal/UsageRows.ts"
import type { LimitState, Quotas } from "./Quota.ts"
import { type makeRecorder, RunIdText } from "./Usage.ts"
import type { UsageEvent } from "./UsageEvent.ts"
import type { UsageLimit } from "./UsageLimit.ts"

const hourMs = 3_600_000
/** An expired one counts no more; it may be settled for this long. */
const keptMs = 24 * hourMs

const ReservationId = Schema.String.pipe(
  Schema.pattern(/^[^\p{Cc}]{1,200}$/u),
  Schema.annotations({ description: "must have 1–200 characters, no control characters" })
)

/** Usage that is to come: kept free in every limit that applies, until it is settled, released or expires. */
export const Reservation = Schema.Struct({
  orgId: Id,
  reservationId: Schema.String,
  projectId: Schema.NullOr(Id),
  runId: Schema.NullOr(Schema.String),
  metric: Metric,
  unit: Unit,
  quantity: Quantity,
  createdAtMs: AtMs,
  expiresAtMs: AtMs
})
export type Reservation = typeof Reservation.Type

const New = Schema.Struct({
  orgId: Id,
  reservationId: Schema.optional(ReservationId),
  projectId: ProjectOf,
  runId: Schema.optional(Schema.NullOr(RunIdText)),
  metric: Metric,
  unit: Schema.optional(Unit),
  quantity: Quantity,
  ttlMs: Schema.optional(Schema.Int.pipe(
    Schema.between(1_000, 7 * 24 * hourMs),
    Schema.annotations({ description: "must be from 1 second to 7 days, in milliseconds" })
  ))
})
const One = Schema.Struct({ orgId: Id, reservationId: ReservationId })
const Settled = Schema.Struct({
  orgId: Id,
  reservationId: ReservationId,
  quantity: Quantity,
  observedAtMs: Schema.optional(AtMs),
  metadata: Schema.optional(Metadata)
})
const Page = Schema.Struct({ orgId: Id, after: Schema.optional(ReservationId), limit: Schema.optional(Limit) })

const checkNew = checked(New)
const checkOne = checked(One)
const checkSettled = checked(Settled)
const checkPage = checked(Page)

/** A reservation, or the hard limit that has no room for it. Its `toMs` is when a calendar period turns. */
export type ReservationAnswer =
  | { readonly _tag: "Reserved"; readonly reservation: Reservation }
  | { readonly _tag: "Refused"; readonly limit: LimitState }

export interface ReservationMethods {
  /**
   * Reserves usage for `ttlMs` (an hour unless given) if every hard limit of the project and its organization has room
   * for it beside what is used and reserved; decided and committed as one, so that any number of callers at once never
   * reserve more than there is. Without a limit it is always granted. With a `reservationId` it may be repeated while the
   * reservation lives; the same id for something else is a `Conflict` (`KeyReused`).
   */
  readonly reserveUsage: (
    input: typeof New.Encoded
  ) => Effect.Effect<ReservationAnswer, ChangeError | Conflict>
  /**
   * Records what was really used, more or less than reserved, and ends the reservation, as one; also up to a day after
   * it expired. May be repeated: the key of the event is `reservation:<id>`.
   */
  readonly settleUsage: (input: typeof Settled.Encoded) => Effect.Effect<UsageEvent, ChangeError | Conflict>
  /** Gives a reservation back; false when there is none (any more). */
  readonly releaseUsage: (input: typeof One.Encoded) => Effect.Effect<boolean, ReadError>
  /** Those that live, by id, after the id `after`. */
  readonly listReservations: (input: typeof Page.Encoded) => Effect.Effect<ReadonlyArray<Reservation>, ReadError>
}

/** A limit had no room when the unit was executed; or it was there no more. */
class NoRoom {
  readonly _tag = "NoRoom"
  readonly limit: UsageLimit
  constructor(limit: UsageLimit) {
    this.limit = limit
  }
}

class Taken {
  readonly _tag = "Taken"
}

const attempts = 5

export const make = (
  { feed, persistence }: Plane,
  { limitsOf, spanOf, stateOf }: Quotas,
  { known, recorder }: ReturnType<typeof makeRecorder>
): ReservationMethods => {
  const table = makeTable(persistence, "_smithers_cp_usage_reservations", Reservation, {
    key: ["orgId", "reservationId"]
  })
  const insertText = `INSERT INTO ${table.name}
    (org_id, reservation_id, project_id, run_id, metric, unit, quantity, created_at_ms, expires_at_ms)
    VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (org_id, reservation_id) DO NOTHING RETURNING 1`

  const find = (orgId: string, reservationId: string) =>
    Effect.map(
      table.select("WHERE org_id = ? AND reservation_id = ?", [orgId, reservationId]),
      ([reservation]) => reservation
    )

  const repeated = (found: Reservation, asked: Reservation): Effect.Effect<ReservationAnswer, Conflict> =>
    found.projectId === asked.projectId && found.runId === asked.runId && found.metric === asked.metric &&
      found.unit === asked.unit && found.quantity === asked.quantity
      ? Effect.succeed({ _tag: "Reserved", reservation: found })
      : new Conflict({ reason: "KeyReused", id: asked.reservationId })

  const attempt = (asked: Reservation, left: number): Effect.Effect<ReservationAnswer, ChangeError | Conflict> =>
    Effect.gen(function*() {
      const { createdAtMs: nowMs, orgId, projectId, quantity, reservationId } = asked
      const limits = (yield* limitsOf(asked, null)).filter(({ enforcement }) => enforcement === "hard")
      const unit = Write.all([
        orgExists(orgId),
        projectExists(orgId, projectId),
        // What expired long ago goes when there is something to write anyway; under the asked id, at once.
        Write.run(
          `DELETE FROM ${table.name} WHERE (org_id = ? AND reservation_id = ? AND expires_at_ms <= ?) OR rowid IN
            (SELECT rowid FROM ${table.name} WHERE expires_at_ms <= ? ORDER BY expires_at_ms LIMIT 100)`,
          [orgId, reservationId, nowMs, nowMs - keptMs]
        ),
        ...limits.map((limit) =>
          room(limit, limit.period, spanOf(limit, nowMs), nowMs, quantity, () => new NoRoom(limit))
        ),
        Write.guard(insertText, [
          orgId,
          reservationId,
          projectId,
          asked.runId,
          asked.metric,
          asked.unit,
          quantity,
          nowMs,
          asked.expiresAtMs
        ], () => new Taken())
      ])
      return yield* persistence.write(unit).pipe(
        Effect.as<ReservationAnswer>({ _tag: "Reserved", reservation: asked }),
        Effect.catchTags({
          NoRoom: ({ limit }) =>
            Effect.flatMap(stateOf(limit, nowMs, nowMs), (state): Effect.Effect<
              ReservationAnswer,
              ChangeError | Conflict
            > =>
              // Unless the limit was raised, or room was made, between the refusal and this look at it.
              state.remainingQuantity < quantity || left === 0
                ? Effect.succeed({ _tag: "Refused", limit: state })
                : attempt(asked, left - 1)),
          Taken: () =>
            Effect.flatMap(find(orgId, reservationId), (found) =>
              found !== undefined
                ? repeated(found, asked)
                : left === 0
                ? new Conflict({ reason: "Contended", id: reservationId })
                : attempt(asked, left - 1))
        })
      )
    })

  return {
    reserveUsage: Effect.fn("ControlPlane.reserveUsage")(function*(input) {
      const given = yield* checkNew(input)
      const nowMs = yield* Clock.currentTimeMillis
      const asked: Reservation = {
        orgId: given.orgId,
        reservationId: given.reservationId ?? randomUUID(),
        projectId: given.projectId ?? null,
        runId: given.runId ?? null,
        metric: given.metric,
        unit: given.unit ?? "count",
        quantity: given.quantity,
        createdAtMs: nowMs,
        expiresAtMs: nowMs + (given.ttlMs ?? hourMs)
      }
      const found = given.reservationId === undefined ? undefined : yield* find(asked.orgId, asked.reservationId)
      return yield* found !== undefined && found.expiresAtMs > nowMs ? repeated(found, asked) : attempt(asked, attempts)
    }),
    settleUsage: Effect.fn("ControlPlane.settleUsage")(function*(input) {
      const { metadata = {}, orgId, quantity, reservationId, ...given } = yield* checkSettled(input)
      const nowMs = yield* Clock.currentTimeMillis
      const idempotencyKey = `reservation:${reservationId}`
      const reservation = yield* find(orgId, reservationId)
      const earlier = reservation === undefined ? yield* known(orgId, idempotencyKey) : undefined
      if (reservation === undefined) {
        if (earlier === undefined) return yield* new RecordNotFound({ kind: "reservation", orgId, id: reservationId })
        return earlier.quantity === quantity
          ? earlier
          : yield* new Conflict({ reason: "KeyReused", id: idempotencyKey })
      }
      const { metric, projectId, runId, unit } = reservation
      const event = {
        orgId,
        projectId,
        runId,
        metric,
        quantity,
        unit,
        observedAtMs: given.observedAtMs ?? nowMs,
        recordedAtMs: nowMs,
        idempotencyKey,
        metadata
      }
      const settle = Write.all([
        record([event], feed),
        Write.run(
          `DELETE FROM ${table.name} WHERE org_id = ? AND reservation_id = ? AND EXISTS
            (SELECT 1 FROM _smithers_cp_usage_events WHERE org_id = ? AND idempotency_key = ?)`,
          [orgId, reservationId, orgId, idempotencyKey]
        )
      ])
      const stored = yield* recorder(event, Effect.map(persistence.write(settle), ([[id = null]]) => id))
      if (typeof stored === "number") return { id: stored, ...event }
      // Settled by somebody else meanwhile, or under an id that was settled before and then reserved again.
      return stored.quantity === quantity
        ? stored
        : yield* new Conflict({ reason: "KeyReused", id: idempotencyKey })
    }),
    releaseUsage: Effect.fn("ControlPlane.releaseUsage")(function*(input) {
      const { orgId, reservationId } = yield* checkOne(input)
      const gone = yield* persistence.write(
        Write.run(`DELETE FROM ${table.name} WHERE org_id = ? AND reservation_id = ?`, [orgId, reservationId])
      )
      return gone > 0
    }),
    listReservations: Effect.fn("ControlPlane.listReservations")(function*(input) {
      const { after = "", limit = 50, orgId } = yield* checkPage(input)
      return yield* table.select(
        "WHERE org_id = ? AND reservation_id > ? AND expires_at_ms > ? ORDER BY reservation_id LIMIT ?",
        [orgId, after, yield* Clock.currentTimeMillis, limit]
      )
    })
  }
}

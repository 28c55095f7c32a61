import { Args, Command, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import type { ReservationRow, UsageRow } from "../../gateway/contract.ts"
import { CommandFailed } from "../CommandFailed.ts"
import {
  ReleasedDocument,
  ReservationDocument,
  ReservationsDocument,
  UsageDocument,
  UsageEventDocument,
  UsageEventsDocument
} from "../Documents.ts"
import { toMillis } from "../DurationOption.ts"
import { connected, provideConnection } from "../SharedOptions.ts"
import { table, timestamp } from "../Table.ts"
import {
  after,
  desk,
  limit,
  metadata,
  metadataOf,
  metric,
  org,
  project,
  seriesOf,
  since,
  spanOf,
  text,
  unit,
  until
} from "../TenantOptions.ts"
import { toTime } from "../TimeOption.ts"

const quantity = Args.integer({ name: "quantity" }).pipe(Args.withDescription("How much, in whole units."))
const run = text("run", "The run that used it.")
const observed = text("observed", "When it was used (ISO 8601); now unless given.")
const reservation = Args.text({ name: "reservationId" }).pipe(Args.withDescription("Id of the reservation."))

const usageRecord = Command.make("record", {
  org,
  quantity,
  metric,
  unit,
  project,
  run,
  observed,
  key: text("idempotency-key", "Recorded once under this key, however often it is said."),
  metadata,
  ...connected
}, ({ key, metadata, observed, quantity, run, ...series }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    const row = yield* client["usage.record"]({
      ...seriesOf(series),
      runId: Option.getOrUndefined(run),
      quantity,
      observedAtMs: yield* toTime("--observed", observed),
      idempotencyKey: Option.getOrUndefined(key),
      metadata: yield* metadataOf(metadata)
    })
    yield* output.print(UsageEventDocument, row, recordedText)
  })).pipe(Command.withDescription("Record what was used."), provideConnection)

const recordedText = (row: UsageRow): string =>
  `Event ${row.id}: ${row.quantity} ${row.unit} of ${row.metric}, ${timestamp(row.observedAtMs)}.`

const usageList = Command.make("list", {
  org,
  project: text("project", "Only events of this project."),
  run: text("run", "Only those of this run."),
  metric: text("metric", "Only this metric."),
  since,
  until,
  limit,
  before: Options.integer("before").pipe(Options.withDescription("Only events before this id."), Options.optional),
  ...connected
}, ({ before, limit, metric, org, project, run, ...time }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    const events = yield* client["usage.list"]({
      orgId: org,
      projectId: Option.getOrUndefined(project),
      runId: Option.getOrUndefined(run),
      metric: Option.getOrUndefined(metric),
      ...yield* spanOf(time),
      limit,
      beforeId: Option.getOrUndefined(before)
    })
    yield* output.print(UsageEventsDocument, { events }, () =>
      events.length === 0 ? "No usage." : table(
        ["ID", "OBSERVED", "METRIC", "QUANTITY", "UNIT", "PROJECT", "RUN", "KEY"],
        events.map((row) => [
          String(row.id),
          timestamp(row.observedAtMs),
          row.metric,
          String(row.quantity),
          row.unit,
          row.projectId ?? "",
          row.runId ?? "",
          row.idempotencyKey ?? ""
        ])
      ))
  })).pipe(Command.withDescription("What was recorded, newest first."), provideConnection)

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

const reserveText = (answer: typeof ReservationDocument.Type): string =>
  answer._tag === "Reserved"
    ? `Reservation ${answer.reservation.reservationId} lasts until ${timestamp(answer.reservation.expiresAtMs)}.`
    : "Nothing is reserved."

const usageReserve = Command.make("reserve", {
  org,
  quantity,
  metric,
  unit,
  project,
  run,
  id: text("id", "Its id, under which it may be repeated; a random one unless given."),
  ttl: text("ttl", "How long it lasts: 90s, 10m; an hour unless given, 1 second to 7 days."),
  ...connected
}, ({ id, quantity, run, ttl, ...series }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    const answer = yield* client["reservations.make"]({
      ...seriesOf(series),
      reservationId: Option.getOrUndefined(id),
      runId: Option.getOrUndefined(run),
      quantity,
      ttlMs: yield* toMillis("--ttl", ttl)
    })
    yield* output.print(ReservationDocument, answer, reserveText)
    if (answer._tag === "Reserved") return
    const { limit } = answer
    return yield* new CommandFailed({
      outcome: "conflict",
      code: "NO_ROOM",
      message: `The ${limit.period} limit of ${
        limit.projectId ?? limit.orgId
      } has ${limit.remainingQuantity} ${limit.unit} of ${limit.metric} left.`,
      fix: `Its period ends ${timestamp(limit.toMs)}.`
    })
  })).pipe(
    Command.withDescription("Keep room in every limit for what is to come. Ends with 6 if there is none."),
    provideConnection
  )

const usageSettle = Command.make(
  "settle",
  { org, reservation, quantity, observed, ...connected },
  (given) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      const row = yield* client["reservations.settle"]({
        orgId: given.org,
        reservationId: given.reservation,
        quantity: given.quantity,
        observedAtMs: yield* toTime("--observed", given.observed)
      })
      yield* output.print(UsageEventDocument, row, recordedText)
    })
).pipe(Command.withDescription("Record what was used of a reservation, and end it."), provideConnection)

const usageRelease = Command.make(
  "release",
  { org, reservation, ...connected },
  ({ org, reservation }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      const answer = yield* client["reservations.release"]({ orgId: org, reservationId: reservation })
      yield* output.print(
        ReleasedDocument,
        answer,
        ({ released }) =>
          released ? `Reservation ${reservation} is given back.` : "There is no such reservation any more."
      )
    })
).pipe(Command.withDescription("Give a reservation back."), provideConnection)

const reservationCells = (row: ReservationRow) => [
  row.reservationId,
  row.metric,
  String(row.quantity),
  row.unit,
  row.projectId ?? "",
  row.runId ?? "",
  timestamp(row.expiresAtMs)
]

const usageReservations = Command.make(
  "reservations",
  { org, limit, after, ...connected },
  ({ after, limit, org }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      const reservations = yield* client["reservations.list"]({
        orgId: org,
        limit,
        after: Option.getOrUndefined(after)
      })
      yield* output.print(ReservationsDocument, { reservations }, () =>
        reservations.length === 0 ? "No reservations." : table(
          ["RESERVATION", "METRIC", "QUANTITY", "UNIT", "PROJECT", "RUN", "UNTIL"],
          reservations.map(reservationCells)
        ))
    })
).pipe(Command.withDescription("List the reservations that live, by id."), provideConnection)

export const usageCommand = Command.make("usage").pipe(
  Command.withDescription("What organizations use."),
  Command.withSubcommands([
    usageRecord,
    usageList,
    usageSummary,
    usageReserve,
    usageSettle,
    usageRelease,
    usageReservations
  ])
)

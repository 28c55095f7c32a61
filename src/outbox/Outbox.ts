import { Clock, Context, Effect, Layer, Schema } from "effect"
import { createHash } from "node:crypto"
import { Persistence, PersistenceError, Write } from "../persistence/index.ts"
import { migrations } from "./migrations.ts"
import { type Channel, OutboxConfig } from "./OutboxConfig.ts"

/** What is to be told. */
interface Message {
  readonly kind: "audit" | "checkpoint" | "usage"
  /** Null: of the service itself. */
  readonly orgId: string | null
  readonly data: unknown
}

/** Messages of one organization in one channel: delivered in their order. */
interface Lane {
  readonly channel: Channel
  /** Empty: of the service itself. */
  readonly orgId: string
}

const NullableString = Schema.NullOr(Schema.String)

const summary = {
  id: Schema.Int,
  channel: Schema.Literal("audit", "billing"),
  orgId: Schema.String,
  deliveryId: Schema.String,
  messages: Schema.Int,
  state: Schema.Literal("due", "dead"),
  attempts: Schema.Int,
  sinceAtMs: Schema.Int,
  nextAtMs: Schema.Int,
  /** Why the last attempt failed. */
  error: NullableString
}

/** Messages that are delivered together, without their text. */
export const BatchSummary = Schema.Struct(summary)
export type BatchSummary = typeof BatchSummary.Type

const Batch = Schema.Struct({ ...summary, body: Schema.String })
type Batch = typeof Batch.Type

/** What was given up in one channel. */
export interface DeadCount {
  readonly channel: Channel
  readonly batches: number
  readonly messages: number
  /** Since when the oldest has been tried. */
  readonly sinceAtMs: number
}

/**
 * What is to be delivered and has not been. A message is committed together with what it tells of; messages of a lane
 * become batches of at most 200 messages and 256 KiB (or one message), whose text and id never change.
 */
export class Outbox extends Context.Tag("smithers-orchestrator/outbox/Outbox")<Outbox, {
  /** Whether anything of the channel is kept. */
  readonly isOpen: (channel: Channel) => boolean
  /** Extends a unit by messages made of its answer; leaves it as it is when nobody listens to the channel. */
  readonly post: <A>(
    channel: Channel,
    messages: (answer: A) => ReadonlyArray<Message>
  ) => <E>(unit: Write.Write<A, E>) => Write.Write<A, E>
  /** Stirs lanes of the channel when a unit has committed by which their messages were stored otherwise. */
  readonly stir: <A>(
    channel: Channel,
    orgIds: (answer: A) => ReadonlyArray<string>
  ) => <E>(unit: Write.Write<A, E>) => Write.Write<A, E>
  /**
   * Lanes of open channels that got messages since this was asked last, other processes' among them; costs next to
   * nothing when there are none.
   */
  readonly arrived: Effect.Effect<ReadonlyArray<Lane>, PersistenceError>
  /** Lanes of open channels that have something now; for after a start. */
  readonly lanes: Effect.Effect<ReadonlyArray<Lane>, PersistenceError>
  /** Waits until lanes got something, and takes them. */
  readonly stirred: Effect.Effect<ReadonlyArray<Lane>>
  /** The first batch of a lane that is due, made of what waits if there is none; undefined: there is nothing. */
  readonly next: (lane: Lane) => Effect.Effect<Batch | undefined, PersistenceError>
  readonly delivered: (id: number) => Effect.Effect<void, PersistenceError>
  readonly failed: (
    id: number,
    attempt: { readonly attempts: number; readonly nextAtMs: number; readonly error: string; readonly dead: boolean }
  ) => Write.Write<void>
  /** By id, after the id `after`; `state` and `orgId` as given. */
  readonly list: (query: {
    readonly state?: "due" | "dead" | undefined
    readonly channel?: Channel | undefined
    readonly orgId?: string | undefined
    readonly after?: number | undefined
    readonly limit: number
  }) => Effect.Effect<ReadonlyArray<BatchSummary>, PersistenceError>
  /** Channels with dead batches. */
  readonly dead: Effect.Effect<ReadonlyArray<DeadCount>, PersistenceError>
  /** Makes dead batches due again from `nowMs` on, before all that came after them; answers their lanes. */
  readonly revive: (ids: ReadonlyArray<number>, nowMs: number) => Write.Write<number>
  /** Removes dead batches. */
  readonly drop: (ids: ReadonlyArray<number>) => Write.Write<number>
}>() {}

const batchMessages = 200
const batchChars = 262_144
/** A message that is longer says so instead of what it had to say; what it tells of is bounded more tightly. */
const messageChars = 65_536

const columns = `id, channel, org_id AS "orgId", delivery_id AS "deliveryId", messages, state, attempts,
  since_at_ms AS "sinceAtMs", next_at_ms AS "nextAtMs", error`
const insertText = `INSERT INTO _smithers_outbox (channel, org_id, message)
  SELECT ?, value ->> 0, value ->> 1 FROM json_each(?)`
const waitingText = `SELECT id, message FROM _smithers_outbox WHERE channel = ? AND org_id = ?
  ORDER BY id LIMIT ${batchMessages}`
const dueText = `SELECT ${columns}, body FROM _smithers_outbox_batches
  WHERE state = 'due' AND channel = ? AND org_id = ? ORDER BY id LIMIT 1`
const batchText = `INSERT INTO _smithers_outbox_batches
  (channel, org_id, delivery_id, messages, body, state, attempts, since_at_ms, next_at_ms)
  VALUES (?, ?, ?, ?, ?, 'due', 0, ?, ?)`
const takenText = "DELETE FROM _smithers_outbox WHERE channel = ? AND org_id = ? AND id <= ?"
const lanesText = `SELECT DISTINCT channel, org_id AS "orgId" FROM _smithers_outbox
  UNION SELECT DISTINCT channel, org_id FROM _smithers_outbox_batches WHERE state = 'due'`
const lastText = "SELECT COALESCE(MAX(id), 0) AS id FROM _smithers_outbox"
const arrivedText = `SELECT DISTINCT channel, org_id AS "orgId" FROM _smithers_outbox WHERE id > ?`
const failedText = `UPDATE _smithers_outbox_batches SET attempts = ?, next_at_ms = ?, error = ?, state = ? WHERE id = ?`
const reviveText = `UPDATE _smithers_outbox_batches SET state = 'due', attempts = 0, since_at_ms = ?, next_at_ms = ?
  WHERE state = 'dead' AND id IN (SELECT value FROM json_each(?)) RETURNING channel, org_id AS "orgId"`
const dropText = `DELETE FROM _smithers_outbox_batches
  WHERE state = 'dead' AND id IN (SELECT value FROM json_each(?)) RETURNING id`
const listText = `SELECT ${columns} FROM _smithers_outbox_batches WHERE id > ? AND state = COALESCE(?, state)
  AND channel = COALESCE(?, channel) AND org_id = COALESCE(?, org_id) ORDER BY id LIMIT ?`

const deadText = `SELECT channel, COUNT(*) AS batches, SUM(messages) AS messages, MIN(since_at_ms) AS "sinceAtMs"
  FROM _smithers_outbox_batches WHERE state = 'dead' GROUP BY channel ORDER BY channel`

const decodeBatches = Schema.decodeUnknown(Schema.Array(Batch))
const decodeSummaries = Schema.decodeUnknown(Schema.Array(BatchSummary))

const textOf = ({ data, kind, orgId }: Message): string => {
  const text = JSON.stringify({ kind, orgId, data })
  return text.length <= messageChars ? text : JSON.stringify({ kind, orgId, data: null, omittedChars: text.length })
}

const make = Effect.gen(function*() {
  const persistence = yield* Persistence.Persistence
  const { channels } = yield* OutboxConfig
  yield* persistence.migrate(migrations)
  const stirred = new Map<string, Lane>()
  const latch = yield* Effect.makeLatch(false)

  /** The last message that was there when `arrived` looked. */
  let seenId = 0

  const ofOpenChannels = (rows: ReadonlyArray<Write.Row>): ReadonlyArray<Lane> =>
    rows.map(({ channel, orgId }) => ({ channel: channel as Channel, orgId: String(orgId) }))
      .filter(({ channel }) => channels.includes(channel))

  const stir = (channel: Channel, orgId: string): void => {
    if (!channels.includes(channel)) return
    stirred.set(`${channel} ${orgId}`, { channel, orgId })
    latch.unsafeOpen()
  }

  const post =
    <A>(channel: Channel, messages: (answer: A) => ReadonlyArray<Message>) =>
    <E>(unit: Write.Write<A, E>): Write.Write<A, E> =>
      channels.includes(channel)
        ? unit.pipe(
          Write.next(insertText, (answer) => [
            channel,
            JSON.stringify(messages(answer).map((message) => [message.orgId ?? "", textOf(message)]))
          ]),
          Write.tapCommitted((answer) => {
            for (const { orgId } of messages(answer)) stir(channel, orgId ?? "")
          })
        )
        : unit

  const refail = PersistenceError.refail("Outbox.read")

  const due = ({ channel, orgId }: Lane) =>
    Effect.flatMap(
      persistence.read(dueText, [channel, orgId]),
      (rows) => Effect.map(refail(decodeBatches(rows)), ([batch]) => batch)
    )

  /** Makes a batch of what waits; false: nothing does. */
  const gather = Effect.fnUntraced(function*({ channel, orgId }: Lane) {
    const rows = yield* persistence.read(waitingText, [channel, orgId])
    let body = ""
    let messages = 0
    for (const { message } of rows) {
      const line = `${String(message)}\n`
      if (messages > 0 && body.length + line.length > batchChars) break
      body += line
      messages++
    }
    const [first, last] = [rows[0], rows[messages - 1]]
    if (first === undefined || last === undefined) return false
    const nowMs = yield* Clock.currentTimeMillis
    const digest = createHash("sha256").update(body).digest("hex").slice(0, 16)
    // With the text in it: a database that was restored may count the same ids again.
    const id = `${channel}-${Number(first["id"])}-${Number(last["id"])}-${digest}`
    yield* persistence.write(Write.all([
      Write.run(batchText, [channel, orgId, id, messages, body, nowMs, nowMs]),
      Write.run(takenText, [channel, orgId, Number(last["id"])])
    ]))
    return true
  })

  return Outbox.of({
    isOpen: (channel) => channels.includes(channel),
    post,
    stir: (channel, orgIds) =>
      Write.tapCommitted((answer) => {
        for (const orgId of orgIds(answer)) stir(channel, orgId)
      }),
    arrived: Effect.gen(function*() {
      const [last] = yield* persistence.read(lastText, [])
      const lastId = Number(last?.["id"])
      if (lastId <= seenId) return []
      const found = yield* persistence.read(arrivedText, [seenId])
      seenId = lastId
      return ofOpenChannels(found)
    }),
    lanes: Effect.map(persistence.read(lanesText, []), ofOpenChannels),
    stirred: Effect.map(latch.await, () => {
      const lanes = [...stirred.values()]
      stirred.clear()
      latch.unsafeClose()
      return lanes
    }),
    next: Effect.fn("Outbox.next")(function*(lane) {
      const found = yield* due(lane)
      if (found !== undefined) return found
      return (yield* gather(lane)) ? yield* due(lane) : undefined
    }),
    delivered: Effect.fn("Outbox.delivered")((id) =>
      Effect.asVoid(persistence.write(Write.run("DELETE FROM _smithers_outbox_batches WHERE id = ?", [id])))
    ),
    failed: (id, { attempts, dead, error, nextAtMs }) =>
      Write.discard([Write.run(failedText, [attempts, nextAtMs, error, dead ? "dead" : "due", id])]),
    list: Effect.fn("Outbox.list")(({ after = 0, channel = null, limit, orgId = null, state = null }) =>
      Effect.flatMap(
        persistence.read(listText, [after, state, channel, orgId, limit]),
        (rows) => refail(decodeSummaries(rows))
      )
    ),
    dead: Effect.map(persistence.read(deadText, []), (rows) =>
      rows.map((row): DeadCount => ({
        channel: row["channel"] as Channel,
        batches: Number(row["batches"]),
        messages: Number(row["messages"]),
        sinceAtMs: Number(row["sinceAtMs"])
      }))),
    revive: (ids, nowMs) =>
      Write.rows(reviveText, [nowMs, nowMs, JSON.stringify(ids)]).pipe(
        Write.tapCommitted((rows) => {
          for (const { channel, orgId } of rows) stir(channel as Channel, String(orgId))
        }),
        Write.map((rows) => rows.length)
      ),
    drop: (ids) =>
      Write.map((rows: ReadonlyArray<Write.Row>) => rows.length)(Write.rows(dropText, [JSON.stringify(ids)]))
  })
})

/** The outbox in the one database; migrates its tables. */
export const layer = Layer.effect(Outbox, make)

import { SqlSchema } from "@effect/sql"
import { Chunk, Context, Effect, Layer, Option, Schema, type Scope, Stream } from "effect"
import { Bounds, type NodeState, RunEvent, type RunEventType } from "../model/index.ts"
import { Persistence, PersistenceError, Write } from "../persistence/index.ts"
import { migrations } from "./migrations.ts"
import { RunNotFound, StaleEpoch } from "./RunError.ts"

/** An entry to append; the journal numbers it when it commits. */
export interface NewEvent {
  readonly runId: string
  readonly type: RunEventType
  readonly timestampMs: number
  readonly nodeId?: string
  readonly iteration?: number
  readonly attempt?: number
  readonly data?: Readonly<Record<string, unknown>>
}

/** The node state that an event leads to; these events are the transitions that number the frames of a run. */
export const transitions: ReadonlyMap<RunEventType, NodeState> = new Map<RunEventType, NodeState>([
  ["NodePending", "pending"],
  ["NodeStarted", "in-progress"],
  ["NodeFinished", "finished"],
  ["NodeFailed", "failed"],
  ["NodeCancelled", "cancelled"],
  ["NodeRetrying", "in-progress"],
  ["NodeSkipped", "skipped"],
  ["NodeWaitingApproval", "waiting-approval"],
  ["NodeWaitingTimer", "waiting-timer"],
  ["NodeWaitingEvent", "waiting-event"]
])

/**
 * The per-run event log.
 *
 * Within a run `seq` starts at 1 and has no gap and no duplicate; it is given by the commit itself, so an event that
 * anybody sees is durable, and numbering goes on across restarts.
 */
export class Journal extends Context.Tag("smithers-orchestrator/journal/Journal")<
  Journal,
  {
    /** Appends as part of a unit; live readers see the event after the commit, in commit order. */
    readonly append: (event: NewEvent) => Write.Write<RunEvent>
    /** Appends some events of one run, at least one, under its fence: fails `StaleEpoch` unless it is owned under the epoch. */
    readonly appendUnder: (
      epoch: number,
      events: readonly [NewEvent, ...Array<NewEvent>]
    ) => Write.Write<ReadonlyArray<RunEvent>, StaleEpoch>
    /** Stores the node tree as of now, so that a frame near here loads without the whole log. */
    readonly keyframe: (runId: string, atMs: number) => Write.Write<number>
    /** Up to `limit` (at most `Bounds.pageRows`) events with a greater `seq`, ascending. */
    readonly page: (
      runId: string,
      afterSeq: number,
      limit: number
    ) => Effect.Effect<ReadonlyArray<RunEvent>, PersistenceError>
    /** The greatest `seq` of a run, 0 if it has none. */
    readonly lastSeq: (runId: string) => Effect.Effect<number, PersistenceError>
    /**
     * Every event with `seq > afterSeq`, each once and in order: first the stored ones, then live, for ever. A reader
     * that falls more than `Bounds.subscriberEvents` behind costs no more memory: it reads the log again.
     */
    readonly stream: (
      runId: string,
      afterSeq: number
    ) => Stream.Stream<RunEvent, RunNotFound | PersistenceError>
    /** Calls `listener` for every event of every run, in commit order, from now on; it must be quick and not throw. */
    readonly watch: (listener: (event: RunEvent) => void) => Effect.Effect<void, never, Scope.Scope>
  }
>() {}

const Data = Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.Unknown }))
const encodeData = Schema.encodeSync(Data)
const noData = {}
const noDataText = "{}"

const EventRow = Schema.Struct({ ...RunEvent.fields, data: Data })

const lastText = "SELECT seq, frame_no FROM _smithers_events WHERE run_id = ? ORDER BY seq DESC LIMIT 1"

/** No row unless the run is owned under the epoch. */
const fencedLastText = `SELECT last.seq, last.frame_no FROM _smithers_runs AS run
  LEFT JOIN _smithers_events AS last ON last.run_id = run.run_id
    AND last.seq = (SELECT MAX(seq) FROM _smithers_events WHERE run_id = run.run_id)
  WHERE run.run_id = ? AND run.epoch = ?`

const appendTexts: Array<string> = []
/** Plain values: numbering in SQL (a SELECT of the same table, RETURNING) costs two temporary tables an event. */
const appendText = (count: number): string =>
  appendTexts[count] ??= `INSERT INTO _smithers_events
    (run_id, seq, frame_no, type, node_id, iteration, attempt, data_json, timestamp_ms)
  VALUES ${Array.from({ length: count }, () => "(?, ?, ?, ?, ?, ?, ?, ?, ?)").join(", ")}`

const keyframeText = `INSERT INTO _smithers_frames (run_id, frame_no, seq, created_at_ms, tree_json)
  SELECT last.run_id, last.frame_no, last.seq, ?,
    (SELECT json_group_array(json_array(node_id, iteration, kind, label, parent_node_id, state, attempt))
      FROM (SELECT node_id, iteration, kind, label, parent_node_id, state, attempt FROM _smithers_nodes
        WHERE run_id = last.run_id ORDER BY ordinal, node_id))
  FROM (SELECT run_id, frame_no, seq FROM _smithers_events WHERE run_id = ? ORDER BY seq DESC LIMIT 1) AS last
  WHERE true
  ON CONFLICT (run_id, frame_no) DO NOTHING`

/** What one live reader of a run holds: a bounded buffer, and whether it overflowed. */
interface Subscriber {
  buffer: Array<RunEvent>
  lagging: boolean
  readonly arrived: Effect.Latch
}

const make = Effect.gen(function*() {
  const persistence = yield* Persistence.Persistence
  yield* persistence.migrate(migrations)
  const { sql } = persistence
  const subscribers = new Map<string, Set<Subscriber>>()
  const listeners = new Set<(event: RunEvent) => void>()

  const publish = (event: RunEvent) => {
    for (const listener of listeners) listener(event)
    const readers = subscribers.get(event.runId)
    if (readers === undefined) return
    for (const reader of readers) {
      if (reader.buffer.length < Bounds.subscriberEvents) {
        reader.buffer.push(event)
      } else {
        reader.buffer = []
        reader.lagging = true
      }
      reader.arrived.unsafeOpen()
    }
  }

  /** Numbers the events from the last one on, in the transaction that appends them. */
  const after = (row: Write.Row | undefined, events: ReadonlyArray<NewEvent>): ReadonlyArray<RunEvent> => {
    let seq = (row?.["seq"] ?? 0) as number
    let frameNo = (row?.["frame_no"] ?? 0) as number
    return events.map((event): RunEvent => ({
      // A run's id is checked where the run is made.
      runId: event.runId as RunEvent["runId"],
      seq: ++seq,
      frameNo: transitions.has(event.type) ? ++frameNo : frameNo,
      type: event.type,
      nodeId: event.nodeId ?? null,
      iteration: event.iteration ?? null,
      attempt: event.attempt ?? null,
      data: event.data ?? noData,
      timestampMs: event.timestampMs
    }))
  }

  const numbered = <E>(
    last: Write.Write<Write.Row | undefined, E>,
    events: ReadonlyArray<NewEvent>
  ): Write.Write<ReadonlyArray<RunEvent>, E> => {
    // Here, so that data which JSON does not know is the caller's defect and nothing of a transaction.
    const texts = events.map(({ data }) => data === undefined ? noDataText : encodeData(data))
    return last.pipe(
      Write.map((row) => after(row, events)),
      Write.next(appendText(events.length), (appended) => {
        const params: Array<Write.SqlValue> = []
        for (let i = 0; i < appended.length; i++) {
          const { attempt, frameNo, iteration, nodeId, runId, seq, timestampMs, type } = appended[i]!
          params.push(runId, seq, frameNo, type, nodeId, iteration, attempt, texts[i]!, timestampMs)
        }
        return params
      }),
      Write.tapCommitted((appended) => {
        for (const event of appended) publish(event)
      })
    )
  }

  const firstRow = Write.map((rows: ReadonlyArray<Write.Row>) => rows[0])

  const append = (event: NewEvent): Write.Write<RunEvent> =>
    numbered(firstRow(Write.rows(lastText, [event.runId])), [event]).pipe(Write.map(([appended]) => appended!))

  const appendUnder = (epoch: number, events: readonly [NewEvent, ...Array<NewEvent>]) => {
    const { runId } = events[0]
    return numbered(
      Write.guard(fencedLastText, [runId, epoch], () => new StaleEpoch({ runId, epoch })),
      events
    )
  }

  const selectPage = SqlSchema.findAll({
    Request: Schema.Struct({ runId: Schema.String, afterSeq: Schema.Int, limit: Schema.Int }),
    Result: EventRow,
    execute: ({ afterSeq, limit, runId }) =>
      sql`SELECT run_id AS "runId", seq, frame_no AS "frameNo", type, node_id AS "nodeId", iteration, attempt,
          data_json AS data, timestamp_ms AS "timestampMs"
        FROM _smithers_events WHERE run_id = ${runId} AND seq > ${afterSeq} ORDER BY seq LIMIT ${limit}`
  })
  const selectLast = SqlSchema.findOne({
    Request: Schema.String,
    Result: Schema.Struct({ known: Schema.Int, seq: Schema.NullOr(Schema.Int) }),
    execute: (runId) =>
      sql`SELECT EXISTS (SELECT 1 FROM _smithers_runs WHERE run_id = ${runId}) AS known,
          (SELECT MAX(seq) FROM _smithers_events WHERE run_id = ${runId}) AS seq`
  })

  const page = (runId: string, afterSeq: number, limit: number) =>
    selectPage({ runId, afterSeq, limit: Math.min(limit, Bounds.pageRows) }).pipe(
      PersistenceError.refail("Journal.page")
    )
  const last = (runId: string) =>
    Effect.map(
      selectLast(runId),
      Option.getOrElse(() => ({ known: 0, seq: null }))
    ).pipe(PersistenceError.refail("Journal.lastSeq"))

  const subscribe = (runId: string): Effect.Effect<Subscriber, never, Scope.Scope> =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const subscriber: Subscriber = { buffer: [], lagging: true, arrived: Effect.unsafeMakeLatch(false) }
        const readers = subscribers.get(runId) ?? new Set()
        subscribers.set(runId, readers.add(subscriber))
        return subscriber
      }),
      (subscriber) =>
        Effect.sync(() => {
          const readers = subscribers.get(runId)
          readers?.delete(subscriber)
          if (readers?.size === 0) subscribers.delete(runId)
        })
    )

  const stream = (runId: string, afterSeq: number) =>
    Stream.unwrapScoped(Effect.gen(function*() {
      const subscriber = yield* subscribe(runId)
      if ((yield* last(runId)).known === 0) return yield* new RunNotFound({ runId })
      let seen = afterSeq
      const pull: Effect.Effect<Chunk.Chunk<RunEvent>, PersistenceError> = Effect.suspend(() => {
        if (subscriber.lagging) {
          // What is committed while we read goes to the buffer too; `seen` sorts out what both of them have.
          subscriber.lagging = false
          return Effect.flatMap(page(runId, seen, Bounds.pageRows), (events) => {
            if (events.length === Bounds.pageRows) subscriber.lagging = true
            const next = events.at(-1)
            if (next === undefined) return pull
            seen = next.seq
            return Effect.succeed(Chunk.unsafeFromArray(events))
          })
        }
        if (subscriber.buffer.length === 0) {
          subscriber.arrived.unsafeClose()
          return Effect.zipRight(subscriber.arrived.await, pull)
        }
        const events = subscriber.buffer.filter((event) => event.seq > seen)
        subscriber.buffer = []
        const next = events.at(-1)
        if (next === undefined) return pull
        if (events[0]!.seq !== seen + 1) {
          subscriber.lagging = true
          return pull
        }
        seen = next.seq
        return Effect.succeed(Chunk.unsafeFromArray(events))
      })
      return Stream.repeatEffectChunk(pull)
    }))

  return Journal.of({
    append,
    appendUnder,
    keyframe: (runId, atMs) => Write.run(keyframeText, [atMs, runId]),
    page,
    lastSeq: (runId) => Effect.map(last(runId), ({ seq }) => seq ?? 0),
    stream,
    watch: (listener) =>
      Effect.asVoid(Effect.acquireRelease(
        Effect.sync(() => listeners.add(listener)),
        () => Effect.sync(() => listeners.delete(listener))
      ))
  })
})

/** The journal of the one database; migrates its tables. */
export const layer = Layer.effect(Journal, make)

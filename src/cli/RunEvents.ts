import { Chunk, Effect, Option, Schedule, Stream } from "effect"
import type { GatewayClient, GatewayError } from "../gateway/client.ts"
import type { EventRow } from "../gateway/contract.ts"
import { Bounds } from "../model/index.ts"

/** The journal of a run after `afterSeq`, as it is now. */
export const storedEvents = (
  client: GatewayClient,
  runId: string,
  afterSeq: number
): Stream.Stream<EventRow, GatewayError> =>
  Stream.paginateChunkEffect(
    afterSeq,
    (after) =>
      Effect.map(client.listEvents({ runId, afterSeq: after, limit: Bounds.pageRows }), (rows) => [
        Chunk.unsafeFromArray(rows),
        rows.length < Bounds.pageRows ? Option.none() : Option.map(Option.fromNullable(rows.at(-1)), ({ seq }) => seq)
      ])
  )

const reconnect = Schedule.union(Schedule.exponential("250 millis"), Schedule.spaced("10 seconds"))

/**
 * The journal of a run after `afterSeq`, for ever, each event once; outlives restarts of the service. The live stream
 * tells that there is more, the rows are read from the journal, so that they look the same as stored ones.
 */
export const followedEvents = (
  client: GatewayClient,
  runId: string,
  afterSeq: number
): Stream.Stream<EventRow, GatewayError> =>
  Stream.suspend(() => {
    let last = afterSeq
    const unread = Stream.suspend(() => storedEvents(client, runId, last)).pipe(
      Stream.tap((row) => Effect.sync(() => last = row.seq)),
      Stream.retry(Schedule.whileInput(
        reconnect,
        (error: GatewayError) => error._tag === "GatewayUnreachable" && error.reason === "Network"
      ))
    )
    return client.streamRunEvents({ runId, afterSeq }).pipe(
      Stream.flatMap(({ seq }) => seq > last ? unread : Stream.empty)
    )
  })

import { Effect, Stream, SubscriptionRef } from "effect"
import { ListEvents } from "../gateway/contract.ts"
import { Client, type RunEventRow } from "./Client.ts"
import { type ClientError } from "./ClientError.ts"
import { Live, reconnecting } from "./Live.ts"

/** The latest events of a run, oldest first. */
export interface Feed {
  readonly events: ReadonlyArray<RunEventRow>
  /** Why no new ones arrive at the moment. */
  readonly interrupted: ClientError | undefined
}

/** How many events are shown at a time; all others are a page away. */
export const feedPage = 200

/** An event that is not newer than the last one shown means that the journal was replaced: start over. */
const append = (shown: ReadonlyArray<RunEventRow>, events: ReadonlyArray<RunEventRow>) => {
  const last = shown.at(-1)
  const first = events[0]
  const kept = last !== undefined && first !== undefined && first.seq <= last.seq ? [] : shown
  return [...kept, ...events].slice(-feedPage)
}

/**
 * The latest page of the journal, then every later event once: a broken connection goes on after the last one seen.
 * Each event also counts as a change of the run, for some of them the broadcast does not tell.
 */
export const follow = (runId: string): Stream.Stream<Feed, ClientError, Client | Live> =>
  Stream.unwrap(Effect.gen(function*() {
    const client = yield* Client
    const live = yield* Live
    const interrupted = yield* SubscriptionRef.make<ClientError | undefined>(undefined)
    let lastSeq: number | undefined = undefined

    const latestPage = (currentSeq: number) =>
      client.call(ListEvents, { runId, afterSeq: Math.max(0, currentSeq - feedPage), limit: feedPage })

    const events = Stream.suspend(() => client.follow(runId, lastSeq)).pipe(
      Stream.mapEffect((followed): Effect.Effect<ReadonlyArray<RunEventRow>, ClientError> => {
        if (followed._tag === "Happened") return Effect.succeed([followed.event])
        const resumed = SubscriptionRef.set(interrupted, undefined)
        return Effect.zipRight(resumed, lastSeq === undefined ? latestPage(followed.currentSeq) : Effect.succeed([]))
      }),
      Stream.flattenIterables,
      Stream.filter((event) => lastSeq === undefined || event.seq > lastSeq),
      Stream.tap((event) =>
        Effect.sync(() => {
          lastSeq = event.seq
        })
      ),
      Stream.tapError((error) => {
        if (error._tag === "Refused" && error.code === "SeqOutOfRange") lastSeq = undefined
        return SubscriptionRef.set(interrupted, error)
      }),
      Stream.retry(reconnecting)
    )

    return events.pipe(
      Stream.groupedWithin(2_000, "100 millis"),
      Stream.tap(() => live.changed(runId)),
      Stream.scan<ReadonlyArray<RunEventRow>, Iterable<RunEventRow>>([], (shown, group) => append(shown, [...group])),
      Stream.zipLatestWith(interrupted.changes, (events, interrupted): Feed => ({ events, interrupted }))
    )
  }))

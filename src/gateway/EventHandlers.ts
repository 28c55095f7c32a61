import { Effect, Stream } from "effect"
import { Journal, RunStore } from "../journal/index.ts"
import { Authorized } from "./Caller.ts"
import { EventRpcs, failure, ListEvents, StreamRunEvents } from "./contract.ts"
import { toStreamed } from "./internal/liveEvents.ts"
import { toEventRow } from "./internal/rows.ts"
import { failAs } from "./internal/wireErrors.ts"

/** Answers `EventRpcs` from the journal. */
export const layer = EventRpcs.middleware(Authorized).toLayer(Effect.gen(function*() {
  const journal = yield* Journal.Journal
  const runs = yield* RunStore.RunStore
  const listing = failAs(ListEvents.errorSchema)
  const streaming = failAs(StreamRunEvents.successSchema.failure)

  const open = Effect.fnUntraced(function*(runId: string, afterSeq: number | undefined) {
    const run = yield* streaming(runs.get(runId))
    const currentSeq = yield* streaming(journal.lastSeq(runId))
    if (afterSeq !== undefined && afterSeq > currentSeq) {
      return yield* failure("SeqOutOfRange", `afterSeq: must be at most ${currentSeq}, the last event of the run`)
    }
    return { type: "Opened" as const, runId: run.runId, afterSeq: afterSeq ?? null, currentSeq }
  })

  return {
    listEvents: ({ afterSeq, limit, runId }) =>
      Effect.gen(function*() {
        const events = yield* journal.page(runId, afterSeq, limit)
        if (events.length === 0) yield* runs.get(runId)
        return events.map(toEventRow)
      }).pipe(listing),

    streamRunEvents: ({ afterSeq, runId }) =>
      Stream.unwrap(Effect.map(open(runId, afterSeq), (opened) =>
        Stream.concat(
          Stream.make(opened),
          journal.stream(runId, afterSeq ?? opened.currentSeq).pipe(
            Stream.map(toStreamed),
            Stream.catchAll((error) => Stream.fromEffect(streaming(error)))
          )
        )))
  }
}))

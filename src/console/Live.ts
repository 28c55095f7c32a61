import { Context, Duration, Effect, Either, Layer, PubSub, Schedule, Stream, SubscriptionRef } from "effect"
import { Client } from "./Client.ts"
import { type ClientError, endsSession } from "./ClientError.ts"

/** Whether what is shown follows the service, and if not, why. */
export type Connection =
  | { readonly state: "connecting" }
  | { readonly state: "live"; readonly user: string }
  | { readonly state: "reconnecting"; readonly reason: string }

/** Something happened in a run. */
export interface Change {
  readonly runId: string
  /** The live name of the event; absent when this console caused it. */
  readonly event?: string
}

/** The answer to the latest question: a failed one keeps the value of the one before. */
export interface Loaded<A> {
  readonly value: A | undefined
  readonly error: ClientError | undefined
}

/** Keeps what is shown true: one WebSocket says that something changed, and whoever shows it asks again. */
export class Live extends Context.Tag("app/console/Live")<Live, {
  readonly connection: Stream.Stream<Connection>
  /** Tells everybody who shows something of this run to ask again, without waiting for the service to say so. */
  readonly changed: (runId: string) => Effect.Effect<void>
  /** `fetch` now and after every change that concerns it: one at a time, never more often than the service can bear. */
  readonly query: <A>(
    fetch: Effect.Effect<A, ClientError>,
    concerns?: (change: Change) => boolean
  ) => Stream.Stream<Loaded<A>>
}>() {}

/** From a quarter of a second to ten, for as long as it takes; a token that was refused is not tried again. */
export const reconnecting = Schedule.exponential("250 millis", 1.7).pipe(
  Schedule.union(Schedule.spaced("10 seconds")),
  Schedule.jittered,
  Schedule.whileInput((error: ClientError) => !endsSession(error))
)

/** At least 0.3 s between two questions, and four times as long as the answer took. */
const pauseAfter = (took: Duration.Duration) => Duration.max(Duration.times(took, 4), "300 millis")

/** Nobody knows what was missed: everything may have changed. */
const anything = Symbol("anything")

export const layer = Layer.scoped(
  Live,
  Effect.gen(function*() {
    const client = yield* Client
    const connection = yield* SubscriptionRef.make<Connection>({ state: "connecting" })
    const changes = yield* PubSub.unbounded<Change | typeof anything>()

    yield* client.broadcast.pipe(
      Stream.tap((broadcast) => {
        switch (broadcast._tag) {
          case "Hello":
            return Effect.zipRight(
              SubscriptionRef.set(connection, { state: "live", user: broadcast.user }),
              changes.publish(anything)
            )
          case "Changed":
            return changes.publish(broadcast)
          case "Tick":
            return changes.publish(anything)
        }
      }),
      Stream.tapError((error) => SubscriptionRef.set(connection, { state: "reconnecting", reason: error.message })),
      Stream.retry(reconnecting),
      Stream.runDrain,
      Effect.ignore,
      Effect.forkScoped
    )

    const query = <A>(fetch: Effect.Effect<A, ClientError>, concerns: (change: Change) => boolean = () => true) =>
      Stream.fromPubSub(changes).pipe(
        Stream.filter((change) => change === anything || concerns(change)),
        Stream.merge(Stream.succeed(anything)),
        Stream.buffer({ capacity: 1, strategy: "sliding" }),
        Stream.flatMap(() => Effect.timed(Effect.either(fetch))),
        Stream.flatMap(([took, answer]) =>
          Stream.concat(Stream.succeed(answer), Stream.drain(Stream.fromEffect(Effect.sleep(pauseAfter(took)))))
        ),
        Stream.scan<Loaded<A>, Either.Either<A, ClientError>>({ value: undefined, error: undefined }, (before, answer) =>
          Either.isRight(answer)
            ? { value: answer.right, error: undefined }
            : { value: before.value, error: answer.left }),
        Stream.drop(1)
      )

    return Live.of({ connection: connection.changes, changed: (runId) => changes.publish({ runId }), query })
  })
)

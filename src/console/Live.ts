import { Context, Duration, Effect, Either, Layer, PubSub, Schedule, Stream, SubscriptionRef } from "effect"
import { type Broadcast, Client } from "./Client.ts"
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

/** What happened within a tenth of a second. After a reconnect nobody knows what was missed: anything may have changed. */
type Changes = ReadonlyArray<Change> | typeof anything
const anything = Symbol("anything")

/** Each kind of event of each run once, however many there were. */
const summary = (broadcasts: Iterable<Broadcast>): Changes => {
  const changes = new Map<string, Change>()
  for (const broadcast of broadcasts) {
    if (broadcast._tag !== "Changed") return anything
    changes.set(`${broadcast.event} ${broadcast.runId}`, broadcast)
  }
  return [...changes.values()]
}

export const layer = Layer.scoped(
  Live,
  Effect.gen(function*() {
    const client = yield* Client
    const connection = yield* SubscriptionRef.make<Connection>({ state: "connecting" })
    const changes = yield* PubSub.unbounded<Changes>()

    yield* client.broadcast.pipe(
      Stream.tap((broadcast) =>
        broadcast._tag === "Hello"
          ? SubscriptionRef.set(connection, { state: "live", user: broadcast.user })
          : Effect.void
      ),
      Stream.groupedWithin(1_000, "100 millis"),
      Stream.tap((broadcasts) => changes.publish(summary(broadcasts))),
      Stream.tapError((error) => SubscriptionRef.set(connection, { state: "reconnecting", reason: error.message })),
      Stream.retry(reconnecting),
      Stream.runDrain,
      Effect.ignore,
      Effect.forkScoped
    )

    // A status is sometimes committed right after the event that tells of it: when things calm down, all ask once more.
    yield* Stream.fromPubSub(changes).pipe(
      Stream.filter((changes) => changes !== anything),
      Stream.debounce("1 second"),
      Stream.runForEach(() => changes.publish(anything)),
      Effect.forkScoped
    )

    const query = <A>(fetch: Effect.Effect<A, ClientError>, concerns: (change: Change) => boolean = () => true) =>
      Stream.fromPubSub(changes).pipe(
        Stream.filter((changes) => changes === anything || changes.some(concerns)),
        Stream.merge(Stream.succeed(anything)),
        Stream.buffer({ capacity: 1, strategy: "sliding" }),
        Stream.flatMap(() => Effect.timed(Effect.either(fetch))),
        Stream.flatMap(([took, answer]) =>
          Stream.concat(Stream.succeed(answer), Stream.drain(Stream.fromEffect(Effect.sleep(pauseAfter(took)))))
        ),
        Stream.scan<Loaded<A>, Either.Either<A, ClientError>>(
          { value: undefined, error: undefined },
          (before, answer) =>
            Either.isRight(answer)
              ? { value: answer.right, error: undefined }
              : { value: before.value, error: answer.left }
        ),
        Stream.drop(1)
      )

    return Live.of({ connection: connection.changes, changed: (runId) => changes.publish([{ runId }]), query })
  })
)

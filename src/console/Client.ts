import { Context, Effect, Layer, Schema, Stream } from "effect"
import { Hello, ResponseFrame, StreamAnswer, StreamErrorPayload, StreamEventPayload } from "../gateway/contract.ts"
import { boot } from "./Boot.ts"
import { type ClientError, endsSession, NotUnderstood, refusal, Unreachable } from "./ClientError.ts"
import { converse, type Incoming } from "./Socket.ts"

/** A method of the gateway's contract, as far as a caller needs it. */
interface Method<Payload, Success, SuccessEncoded> {
  readonly _tag: string
  readonly payloadSchema: { readonly Encoded: Payload }
  readonly successSchema: Schema.Schema<Success, SuccessEncoded>
}

/** What the broadcast says: the connection stands, a run changed, or only that the service is alive. */
export type Broadcast =
  | { readonly _tag: "Hello"; readonly user: string }
  | { readonly _tag: "Changed"; readonly runId: string; readonly event: string }
  | { readonly _tag: "Tick" }

/** An element of a run's stream: how far the journal reached when it was opened, then event after event. */
type Followed =
  | { readonly _tag: "Opened"; readonly currentSeq: number }
  | { readonly _tag: "Happened"; readonly event: RunEventRow }

export interface RunEventRow {
  readonly seq: number
  readonly event: string
  readonly payload: Readonly<Record<string, unknown>>
  readonly timestampMs: number
}

/** The gateway, as one operator may use it. */
export class Client extends Context.Tag("app/console/Client")<Client, {
  readonly call: <Payload, Success, SuccessEncoded>(
    method: Method<Payload, Success, SuccessEncoded>,
    payload: Payload
  ) => Effect.Effect<Success, ClientError>
  /** What happens in all runs; fails when the connection breaks. */
  readonly broadcast: Stream.Stream<Broadcast, ClientError>
  /** The events of one run after `afterSeq`, each once, or only new ones without it; fails when the connection breaks. */
  readonly follow: (runId: string, afterSeq: number | undefined) => Stream.Stream<Followed, ClientError>
}>() {}

const decodeResponse = Schema.decodeUnknown(Schema.parseJson(ResponseFrame))
const decodeHello = Schema.decodeUnknown(Hello)
const decodeOpened = Schema.decodeUnknown(StreamAnswer)
const decodeEvent = Schema.decodeUnknown(StreamEventPayload)
const decodeStreamError = Schema.decodeUnknown(StreamErrorPayload)
const decodeRunId = Schema.decodeUnknownOption(Schema.Struct({ runId: Schema.String }))

const understanding = (method: string) =>
  Effect.mapError((error: { readonly message: string }) => new NotUnderstood({ method, reason: error.message }))

const broadcastOf = (incoming: Incoming): Effect.Effect<Broadcast, ClientError> => {
  switch (incoming._tag) {
    case "Hello":
      return decodeHello(incoming.payload).pipe(
        Effect.map(({ auth }): Broadcast => ({ _tag: "Hello", user: auth.userId ?? auth.role })),
        understanding("connect")
      )
    case "Answer":
      return Effect.succeed({ _tag: "Tick" })
    case "Event": {
      const named = decodeRunId(incoming.payload)
      return Effect.succeed(
        named._tag === "Some" ? { _tag: "Changed", runId: named.value.runId, event: incoming.event } : { _tag: "Tick" }
      )
    }
  }
}

const followedOf = (incoming: Incoming): Effect.Effect<ReadonlyArray<Followed>, ClientError> => {
  if (incoming._tag === "Answer") {
    return decodeOpened(incoming.payload).pipe(
      Effect.map(({ currentSeq }): ReadonlyArray<Followed> => [{ _tag: "Opened", currentSeq }]),
      understanding("streamRunEvents")
    )
  }
  if (incoming._tag === "Hello") return Effect.succeed([])
  switch (incoming.event) {
    case "run.event":
      return decodeEvent(incoming.payload).pipe(
        Effect.map((event): ReadonlyArray<Followed> => [{ _tag: "Happened", event }]),
        understanding("streamRunEvents")
      )
    case "run.error":
      return decodeStreamError(incoming.payload).pipe(
        understanding("streamRunEvents"),
        Effect.flatMap(({ error }) => Effect.fail(refusal(error)))
      )
    default:
      return Effect.succeed([])
  }
}

const post = (method: string, payload: unknown, token: string): Effect.Effect<string, Unreachable> =>
  Effect.tryPromise({
    try: async (signal) => {
      const response = await fetch(`${boot.rpcPath}/${method}`, {
        method: "POST",
        headers: { "Content-Type": "application/json", "Authorization": `Bearer ${token}` },
        body: JSON.stringify(payload),
        credentials: "omit",
        signal
      })
      return await response.text()
    },
    catch: (cause) => new Unreachable({ reason: cause instanceof Error ? cause.message : String(cause) })
  })

export const make = (token: string) =>
  Client.of({
    call: (method, payload) =>
      Effect.gen(function*() {
        const answer = yield* decodeResponse(yield* post(method._tag, payload, token)).pipe(understanding(method._tag))
        if (!answer.ok) return yield* Effect.fail(refusal(answer.error))
        return yield* Schema.decodeUnknown(method.successSchema)(answer.payload).pipe(understanding(method._tag))
      }),
    broadcast: Stream.mapEffect(converse({ token }), broadcastOf),
    follow: (runId, afterSeq) =>
      converse({
        token,
        subscribe: [runId],
        request: { method: "streamRunEvents", params: afterSeq === undefined ? { runId } : { runId, afterSeq } }
      }).pipe(Stream.mapEffect(followedOf), Stream.flattenIterables)
  })

/** The client of one session; `ended` is told why when the gateway no longer accepts the token. */
export const layer = (token: string, ended: (reason: string) => Effect.Effect<void>) => {
  const client = make(token)
  const watching = (error: ClientError) => endsSession(error) ? ended(error.message) : Effect.void
  return Layer.succeed(Client, {
    call: (method, payload) => Effect.tapError(client.call(method, payload), watching),
    broadcast: Stream.tapError(client.broadcast, watching),
    follow: (runId, afterSeq) => Stream.tapError(client.follow(runId, afterSeq), watching)
  })
}

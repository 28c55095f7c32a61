import { HttpClient, HttpClientRequest, Socket } from "@effect/platform"
import type { Rpc } from "@effect/rpc"
import {
  Effect,
  Either,
  identity,
  Option,
  type ParseResult,
  Redacted,
  Schedule,
  Schema,
  type Scope,
  Stream
} from "effect"
import {
  failure,
  FailureCode,
  GatewayFailure,
  type GatewayRpc,
  GatewayRpcs,
  ResponseFrame,
  ServerFrame,
  StreamAnswer,
  StreamedEvent,
  StreamErrorPayload,
  type WireError
} from "./contract.ts"

/** No answer that could be understood came back. Whether the call was carried out is not known. */
export class GatewayUnreachable extends Schema.TaggedError<GatewayUnreachable>()("GatewayUnreachable", {
  reason: Schema.Literal("Network", "NotAGateway", "Closed", "Backpressure"),
  url: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.url}: ${this.detail}`
  }
}

export type GatewayError = GatewayFailure | GatewayUnreachable

export interface GatewayClientOptions {
  /** `http://host:port`, without a path. */
  readonly baseUrl: string
  /** Unless given, a page of the gateway is who has signed in to its browser session. */
  readonly token?: Redacted.Redacted | undefined
}

type Call = Exclude<GatewayRpc, { readonly _tag: "streamRunEvents" }>

type Calls = {
  readonly [R in Call as R["_tag"]]: (
    payload: Schema.Schema.Encoded<R["payloadSchema"]>
  ) => Effect.Effect<Rpc.Success<R>, GatewayError>
}

/** An artifact of a run, and its content: once, as fast as it is read, while the scope is open. */
export interface Download {
  readonly bytes: number
  /** Of the content as it was put: whoever has read all of it may compare. */
  readonly sha256: string
  readonly content: Stream.Stream<Uint8Array, GatewayUnreachable>
}

/** One Effect for each method of the contract, named as on the wire, and the event stream. */
export interface GatewayClient extends Calls {
  /**
   * Every event after `afterSeq` (or from now on), each once and in order, for ever: a lost connection is made again, with
   * backoff, and resumes after the last event that was handed out. Fails when the gateway refuses the stream itself.
   */
  readonly streamRunEvents: (request: {
    readonly runId: string
    readonly afterSeq?: number | undefined
  }) => Stream.Stream<StreamedEvent, GatewayError>
  /** A content that turns out not to be the one that was put breaks off with `Network`. */
  readonly downloadArtifact: (request: {
    readonly runId: string
    readonly name: string
  }) => Effect.Effect<Download, GatewayError, Scope.Scope>
}

const decodeResponse = Schema.decodeUnknown(Schema.parseJson(ResponseFrame))
const decodeServerFrame = Schema.decodeUnknownEither(Schema.parseJson(ServerFrame))
const decodeAnswer = Schema.decodeUnknownEither(StreamAnswer)
const StreamEvent = Schema.Struct({ ...StreamedEvent.fields, streamId: Schema.String })
const decodeEvent = Schema.decodeUnknownEither(StreamEvent)
const decodeStreamError = Schema.decodeUnknownEither(StreamErrorPayload)
const isFailureCode = Schema.is(FailureCode)
const encodeFrame = Schema.encodeSync(Schema.parseJson(Schema.Unknown))

const toFailure = ({ code, message, version: _, ...details }: WireError): GatewayFailure =>
  new GatewayFailure({ code: isFailureCode(code) ? code : "SERVER_ERROR", message, details })

/** Queue of frames that were received and not yet taken; a consumer that falls further behind reconnects. */
const queuedFrames = 10_000

const reconnect = Schedule.exponential("250 millis").pipe(
  Schedule.union(Schedule.spaced("10 seconds")),
  Schedule.jittered
)

const isTransient = (error: GatewayError): boolean =>
  error._tag === "GatewayUnreachable"
    ? error.reason !== "NotAGateway"
    : ["ConnectionClosed", "BackpressureDisconnect", "Internal", "CONNECTION_LIMIT"].includes(error.code)

/** A method for each of the groups that the type is computed from. */
const isComplete = (calls: Partial<Calls>): calls is Calls =>
  [...GatewayRpcs.requests.keys()].every((tag) => tag === "streamRunEvents" || tag in calls)

export const make = Effect.fnUntraced(function*(options: GatewayClientOptions) {
  const http = yield* HttpClient.HttpClient
  const openSocket = yield* Socket.WebSocketConstructor
  const baseUrl = options.baseUrl.replace(/\/+$/, "")
  const socketUrl = `${baseUrl.replace(/^http/, "ws")}/`
  const token = options.token === undefined ? undefined : Redacted.value(options.token)
  const authorized = token === undefined
    ? identity<HttpClientRequest.HttpClientRequest>
    : HttpClientRequest.bearerToken(token)

  const unreachable = (reason: GatewayUnreachable["reason"], detail: string) =>
    new GatewayUnreachable({ reason, url: baseUrl, detail })
  const notAGateway = (error: ParseResult.ParseError) => unreachable("NotAGateway", error.message)

  const call = (rpc: Call) => {
    // Of which type it is, `Calls` says for each method; here it is one of all.
    const decode = Schema.decodeUnknown(rpc.successSchema as Schema.Schema<unknown, unknown>)
    return (payload: object) =>
      HttpClientRequest.post(`${baseUrl}/v1/rpc/${rpc._tag}`).pipe(
        authorized,
        HttpClientRequest.bodyUnsafeJson({ params: payload, method: rpc._tag }),
        http.execute,
        Effect.flatMap((response) => response.text),
        Effect.scoped,
        Effect.mapError((error) => unreachable("Network", error.message)),
        Effect.flatMap((text) => Effect.mapError(decodeResponse(text), notAGateway)),
        Effect.flatMap((frame): Effect.Effect<unknown, GatewayError> =>
          frame.ok ? Effect.mapError(decode(frame.payload), notAGateway) : toFailure(frame.error)
        )
      )
  }

  /** One connection: `currentSeq` as it opens, then events, until it fails. */
  const session = (runId: string, afterSeq: number | undefined) =>
    Stream.asyncPush<StreamedEvent | number, GatewayError>((emit) => {
      const onFrame = (socket: WebSocket, text: unknown): GatewayError | undefined => {
        const decoded = decodeServerFrame(text)
        if (Either.isLeft(decoded)) return notAGateway(decoded.left)
        const frame = decoded.right
        if (frame.type === "res") {
          if (!frame.ok) return toFailure(frame.error)
          if (frame.id === "connect") {
            socket.send(
              encodeFrame({ type: "req", id: "stream", method: "streamRunEvents", params: { runId, afterSeq } })
            )
            return undefined
          }
          const answer = decodeAnswer(frame.payload)
          if (Either.isLeft(answer)) return notAGateway(answer.left)
          emit.single(answer.right.currentSeq)
        }
        if (frame.type === "event" && frame.event === "run.event") {
          const event = decodeEvent(frame.payload)
          if (Either.isLeft(event)) return notAGateway(event.left)
          const { streamId: _, ...rest } = event.right
          if (!emit.single(rest)) return unreachable("Backpressure", `more than ${queuedFrames} events wait unread`)
        }
        if (frame.type === "event" && frame.event === "run.error") {
          const error = decodeStreamError(frame.payload)
          return Either.isLeft(error) ? notAGateway(error.left) : toFailure(error.right.error)
        }
        return undefined
      }
      return Effect.acquireRelease(
        Effect.sync(() => {
          const socket = openSocket(socketUrl)
          socket.addEventListener("open", () =>
            socket.send(encodeFrame({
              type: "req",
              id: "connect",
              method: "connect",
              params: {
                minProtocol: 1,
                maxProtocol: 1,
                client: { id: "smithers" },
                ...(token === undefined ? {} : { auth: { token } }),
                subscribe: [runId]
              }
            })))
          socket.addEventListener("message", ({ data }) => {
            const error = onFrame(socket, data)
            if (error !== undefined) emit.fail(error)
          })
          socket.addEventListener("error", () => emit.fail(unreachable("Network", "the connection broke")))
          socket.addEventListener(
            "close",
            ({ code, reason }) => emit.fail(unreachable("Closed", `closed with ${code} ${reason}`))
          )
          return socket
        }),
        (socket) => Effect.sync(() => socket.close(1000))
      )
    }, { bufferSize: queuedFrames, strategy: "dropping" })

  const streamRunEvents: GatewayClient["streamRunEvents"] = ({ afterSeq, runId }) =>
    Stream.suspend(() => {
      let last = afterSeq
      return Stream.suspend(() => session(runId, last)).pipe(
        Stream.filterMap((item) => {
          if (typeof item === "number") {
            last ??= item
            return Option.none()
          }
          last = item.seq
          return Option.some(item)
        }),
        Stream.retry(Schedule.whileInput(reconnect, isTransient))
      )
    })

  const downloadArtifact: GatewayClient["downloadArtifact"] = ({ name, runId }) =>
    Effect.gen(function*() {
      // In a URL they would be another path.
      if (name.split("/").some((part) => part === "." || part === "..")) {
        return yield* failure("INVALID_INPUT", "name: no part of it begins with a dot", { field: "name" })
      }
      const path = `${encodeURIComponent(runId)}/artifacts/${name.split("/").map(encodeURIComponent).join("/")}`
      const broken = (error: { readonly message: string }) => unreachable("Network", error.message)
      const response = yield* HttpClientRequest.get(`${baseUrl}/v1/api/runs/${path}`).pipe(
        authorized,
        http.execute,
        Effect.mapError(broken)
      )
      if (response.status !== 200) {
        const text = yield* Effect.mapError(response.text, broken)
        const frame = yield* Effect.mapError(decodeResponse(text), notAGateway)
        return yield* frame.ok ? unreachable("NotAGateway", `status ${response.status}`) : toFailure(frame.error)
      }
      const sha256 = /^"([0-9a-f]{64})"$/.exec(response.headers["etag"] ?? "")?.[1]
      const bytes = Number(response.headers["content-length"] ?? "none")
      if (sha256 === undefined || !Number.isSafeInteger(bytes)) {
        return yield* unreachable("NotAGateway", "the answer does not say what it is")
      }
      return { bytes, sha256, content: Stream.mapError(response.stream, broken) }
    })

  const calls: Partial<Calls> = {}
  for (const rpc of GatewayRpcs.requests.values()) {
    if (rpc._tag !== "streamRunEvents") Object.assign(calls, { [rpc._tag]: call(rpc) })
  }
  if (!isComplete(calls)) return yield* Effect.dieMessage("A method of the contract is missing")
  const client: GatewayClient = { ...calls, streamRunEvents, downloadArtifact }
  return client
})

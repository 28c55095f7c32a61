import { Duration, Effect, Either, Schema, Stream } from "effect"
import { ServerFrame } from "../gateway/contract.ts"
import { boot } from "./Boot.ts"
import { type ClientError, refusal, Unreachable } from "./ClientError.ts"

/** What the gateway says over a WebSocket, once it has accepted the token. */
export type Incoming =
  | { readonly _tag: "Hello"; readonly payload: unknown }
  | { readonly _tag: "Answer"; readonly payload: unknown }
  | { readonly _tag: "Event"; readonly event: string; readonly payload: unknown }

interface Conversation {
  readonly token: string
  /** Only events of these runs; absent means of all. */
  readonly subscribe?: ReadonlyArray<string>
  /** Asked once the token is accepted. */
  readonly request?: { readonly method: string; readonly params: unknown }
}

const decodeFrame = Schema.decodeUnknownEither(Schema.parseJson(ServerFrame))

/** The gateway ticks every 15 s: a connection that stays silent for longer than this is dead. */
const longestSilence = Duration.seconds(45)

const address = () => `${window.location.protocol === "https:" ? "wss:" : "ws:"}//${window.location.host}${boot.wsPath}`

/** One WebSocket from open to close: never ends by itself, fails when the gateway refuses or the connection breaks. */
export const converse = ({ request, subscribe, token }: Conversation): Stream.Stream<Incoming, ClientError> =>
  Stream.asyncPush<Incoming, ClientError>((emit) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const socket = new WebSocket(address())
        const ask = (id: string, method: string, params: unknown) => {
          socket.send(JSON.stringify({ type: "req", id, method, params }))
        }
        socket.onopen = () => {
          ask("connect", "connect", {
            minProtocol: 1,
            maxProtocol: 1,
            client: { id: "smithers-console", version: "1", platform: "browser" },
            auth: { token },
            ...(subscribe === undefined ? {} : { subscribe })
          })
        }
        socket.onmessage = ({ data }) => {
          const decoded = decodeFrame(data)
          if (Either.isLeft(decoded)) return
          const frame = decoded.right
          if (frame.type === "event") emit.single({ _tag: "Event", event: frame.event, payload: frame.payload })
          else if (!frame.ok) emit.fail(refusal(frame.error))
          else if (frame.id === "connect") {
            emit.single({ _tag: "Hello", payload: frame.payload })
            if (request !== undefined) ask("request", request.method, request.params)
          } else emit.single({ _tag: "Answer", payload: frame.payload })
        }
        socket.onclose = ({ code, reason }) => {
          emit.fail(new Unreachable({ reason: reason === "" ? `connection closed (${code})` : reason }))
        }
        return socket
      }),
      (socket) =>
        Effect.sync(() => {
          socket.onclose = null
          socket.close()
        })
    ), { bufferSize: "unbounded" }).pipe(
      Stream.timeoutFail(() => new Unreachable({ reason: "no sign of life" }), longestSilence)
    )

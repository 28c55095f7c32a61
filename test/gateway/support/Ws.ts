import { Effect, type Scope } from "effect"
import WebSocket from "ws"
import { parse, type Wire } from "./Http.ts"
import { address, adminToken } from "./Service.ts"

/** A client that keeps what it receives until it is asked for. */
export interface WsClient {
  readonly socket: WebSocket
  readonly send: (frame: unknown) => Effect.Effect<void>
  /** The next frame. */
  readonly next: Effect.Effect<Wire>
  /** The next frame that fits; others before it are dropped. */
  readonly until: (fits: (frame: Wire) => boolean) => Effect.Effect<Wire>
  /** The answer to this request; what comes before it is dropped. */
  readonly call: (method: string, params?: unknown) => Effect.Effect<Wire>
  readonly closed: Effect.Effect<{ readonly code: number; readonly reason: string }>
}

export const openWs = (
  options: WebSocket.ClientOptions = {},
  path = "/"
): Effect.Effect<WsClient, Error, Scope.Scope | Effect.Effect.Context<typeof address>> =>
  Effect.gen(function*() {
    const { port } = yield* address
    const frames: Array<unknown> = []
    const waiting: Array<(frame: unknown) => void> = []
    let ended: { readonly code: number; readonly reason: string } | undefined
    const onEnd: Array<(end: { readonly code: number; readonly reason: string }) => void> = []
    const socket = yield* Effect.acquireRelease(
      Effect.async<WebSocket, Error>((resume) => {
        const socket = new WebSocket(`ws://127.0.0.1:${port}${path}`, options)
        socket.on("message", (data) => {
          const frame = parse(String(data))
          const taker = waiting.shift()
          if (taker === undefined) frames.push(frame)
          else taker(frame)
        })
        socket.on("close", (code, reason) => {
          ended = { code, reason: String(reason) }
          for (const listener of onEnd) listener(ended)
        })
        socket.on("open", () => resume(Effect.succeed(socket)))
        socket.on("error", (error) => resume(Effect.fail(error)))
      }),
      (socket) => Effect.sync(() => socket.terminate())
    )
    const next = Effect.async<unknown>((resume) => {
      const frame = frames.shift()
      if (frame !== undefined) return resume(Effect.succeed(frame))
      const taker = (frame: unknown) => resume(Effect.succeed(frame))
      waiting.push(taker)
      return Effect.sync(() => waiting.splice(waiting.indexOf(taker), 1))
    })
    const until = (fits: (frame: Wire) => boolean): Effect.Effect<Wire> =>
      Effect.flatMap(next, (frame) => fits(frame) ? Effect.succeed(frame) : until(fits))
    const send = (frame: unknown) =>
      Effect.sync(() =>
        socket.send(
          typeof frame === "string" || Buffer.isBuffer(frame) ? frame : JSON.stringify(frame),
          { binary: false }
        )
      )
    let ids = 0
    return {
      socket,
      send,
      next,
      until,
      call: (method, params) => {
        const id = `${method}-${++ids}`
        return Effect.zipRight(
          send({ type: "req", id, method, params }),
          until((frame) => frame.type === "res" && frame.id === id)
        )
      },
      closed: Effect.async((resume) => {
        if (ended !== undefined) return resume(Effect.succeed(ended))
        onEnd.push((end) => resume(Effect.succeed(end)))
      })
    }
  })

export const connectParams = (token: string | undefined, more: object = {}) => ({
  minProtocol: 1,
  maxProtocol: 1,
  client: { id: "test", version: "0", platform: "node" },
  ...(token === undefined ? {} : { auth: { token } }),
  ...more
})

/** A client that has said hello. */
export const connected = (token = adminToken, more: object = {}) =>
  Effect.gen(function*() {
    const client = yield* openWs()
    const hello = yield* client.call("connect", connectParams(token, more))
    return { ...client, hello }
  })

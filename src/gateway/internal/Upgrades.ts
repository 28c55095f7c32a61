import { Effect } from "effect"
import type { Duplex } from "node:stream"
import { type WebSocket, WebSocketServer } from "ws"
import { type Connection, serveConnection, type Shared } from "./Connection.ts"
import { isAllowedOrigin, isForeign, presentedBy } from "./Credentials.ts"
import { limits } from "./Limits.ts"
import { connectionsActive, connectionsClosed, connectionsTotal } from "./Metrics.ts"
import type { IncomingMessage } from "./NodeHttp.ts"

interface Upgrades {
  /** The listener for the server's `upgrade` event. */
  readonly onUpgrade: (request: IncomingMessage, raw: Duplex, head: Buffer) => void
  /** Takes no more, and asks every connection to close. */
  readonly goodbye: () => void
  /** Ends what has not closed by itself. */
  readonly terminate: () => void
  readonly count: () => number
}

/** Turns upgrade requests on any path into connections; `fork` runs each one. */
export const makeUpgrades = (
  shared: Omit<Shared, "admit">,
  allowedOrigins: ReadonlyArray<string>,
  fork: (connection: Effect.Effect<void>) => void
): Upgrades => {
  const server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    maxPayload: limits.body,
    perMessageDeflate: false,
    // A frame that is not UTF-8 is answered like any other that cannot be read.
    skipUTF8Validation: true
  })
  server.on("headers", (headers) => headers.push("X-Smithers-API-Version: v1"))
  const open = new Map<WebSocket, Connection | undefined>()
  let pending = 0
  let greeted = 0
  let closing = false

  const serve = (socket: WebSocket, raw: Duplex, request: IncomingMessage) => {
    let admitted = false
    open.set(socket, undefined)
    pending += 1
    connectionsTotal.unsafeUpdate(1, [])
    connectionsActive.unsafeUpdate(open.size, [])
    const admit = () => {
      if (admitted) return true
      if (greeted >= limits.sockets) return false
      admitted = true
      pending -= 1
      greeted += 1
      return true
    }
    fork(Effect.ensuring(
      serveConnection({ ...shared, admit }, socket, raw, request, (connection) => {
        open.set(socket, connection)
        if (closing) connection.goodbye()
      }),
      Effect.sync(() => {
        open.delete(socket)
        if (admitted) greeted -= 1
        else pending -= 1
        connectionsClosed.unsafeUpdate(1, [])
        connectionsActive.unsafeUpdate(open.size, [])
      })
    ))
  }

  return {
    onUpgrade: (request, raw, head) => {
      // Without a listener a client that resets its connection now would end the process (traps.md 1).
      raw.on("error", () => raw.destroy())
      if (closing) return refuse(raw, 503, "The service is shutting down")
      if (pending >= limits.pendingSockets || greeted >= limits.sockets) {
        return refuse(raw, 503, "Too many connections")
      }
      if (!isAllowedOrigin(request, allowedOrigins) || presentedBy(request).ambient && isForeign(request)) {
        return refuse(raw, 403, "Origin is not allowed")
      }
      server.handleUpgrade(request, raw, head, (socket) => serve(socket, raw, request))
    },
    goodbye: () => {
      closing = true
      for (const connection of open.values()) connection?.goodbye()
    },
    terminate: () => {
      for (const socket of open.keys()) socket.terminate()
    },
    count: () => open.size
  }
}

const reasons = { 403: "Forbidden", 503: "Service Unavailable" } as const

const refuse = (raw: Duplex, status: keyof typeof reasons, reason: string): void => {
  raw.end(
    `HTTP/1.1 ${status} ${reasons[status]}\r\nConnection: close\r\nContent-Type: text/plain\r\n` +
      `Content-Length: ${Buffer.byteLength(reason)}\r\n\r\n${reason}`
  )
}

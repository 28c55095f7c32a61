// @effect-diagnostics nodeBuiltinImport:off -- the raw server: its upgrade event, its timeouts and the order of its shutdown are ours to handle (traps.md 1, 9)
import { FileSystem } from "@effect/platform"
import { Clock, type Duration, Effect, Fiber, Option, Schedule, type Scope } from "effect"
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http"
import { createServer as createTlsServer } from "node:https"
import type { AddressInfo } from "node:net"
import type { Duplex } from "node:stream"
import type { GatewayConfig } from "../GatewayConfig.ts"
import { GatewayRefused } from "../GatewayError.ts"
import { isLoopback } from "./isLoopback.ts"
import { limits } from "./Limits.ts"

export interface Address {
  readonly host: string
  readonly port: number
  /** `http://host:port`, or `https`. */
  readonly url: string
}

/** What a listener hands its requests to, and how they are ended. */
interface Service {
  readonly onRequest: (request: IncomingMessage, response: ServerResponse) => void
  readonly onUpgrade: (request: IncomingMessage, raw: Duplex, head: Buffer) => void
  /** Requests in flight. */
  readonly requests: () => number
  readonly sockets: () => number
  readonly goodbye: () => void
  readonly terminate: () => void
}

type Config = GatewayConfig["Type"]

const makeServer = (config: Config): Effect.Effect<Server, GatewayRefused, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    const { host, insecureBind, tls } = config
    const timeouts = {
      headersTimeout: limits.headersTimeoutMs,
      requestTimeout: limits.requestTimeoutMs,
      keepAliveTimeout: limits.keepAliveMs
    }
    if (Option.isSome(tls)) {
      const fs = yield* FileSystem.FileSystem
      const read = (file: string) =>
        Effect.mapError(fs.readFileString(file), (cause) =>
          new GatewayRefused({
            reason: "TlsFiles",
            detail: `Cannot read ${file}: ${cause.message}.`,
            fix: "Check SMITHERS_TLS_CERT and SMITHERS_TLS_KEY."
          }))
      const [cert, key] = yield* Effect.all([read(tls.value.cert), read(tls.value.key)])
      return yield* Effect.try({
        try: () => createTlsServer({ cert, key, ...timeouts }),
        catch: (cause) =>
          new GatewayRefused({
            reason: "TlsFiles",
            detail: `The certificate cannot be used: ${String(cause)}.`,
            fix: "Check SMITHERS_TLS_CERT and SMITHERS_TLS_KEY."
          })
      })
    }
    if (!isLoopback(host) && !insecureBind) {
      return yield* new GatewayRefused({
        reason: "InsecureBind",
        detail: `${host} can be reached from other machines, and nothing would be encrypted.`,
        fix: "Set SMITHERS_TLS_CERT and SMITHERS_TLS_KEY, or SMITHERS_INSECURE_BIND=true behind a proxy that encrypts."
      })
    }
    return createServer(timeouts)
  })

/**
 * Listens until the scope closes; then, in this order: no new connection is accepted, streams and sockets are told
 * goodbye, requests in flight may finish, what is left is cut, and the server is closed.
 */
export const listen = (
  config: Config,
  service: Service
): Effect.Effect<Address, GatewayRefused, FileSystem.FileSystem | Scope.Scope> =>
  Effect.gen(function*() {
    const server = yield* makeServer(config)
    server.on("request", service.onRequest)
    server.on("upgrade", service.onUpgrade)
    yield* Effect.acquireRelease(
      Effect.async<void, GatewayRefused>((resume) => {
        const onError = (error: Error) =>
          resume(
            new GatewayRefused({
              reason: "Listen",
              detail: `Cannot listen on ${config.host}:${config.port}: ${error.message}.`,
              fix: "Check SMITHERS_HOST and SMITHERS_PORT; port 0 picks a free one."
            })
          )
        server.once("error", onError)
        server.listen({ host: config.host, port: config.port, backlog: 1_024 }, () => {
          server.off("error", onError)
          resume(Effect.void)
        })
      }),
      () => shutDown(server, service)
    )
    // What has gone wrong with one connection must not end the process.
    server.on("error", () => undefined)
    const { address, port } = server.address() as AddressInfo
    const authority = address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`
    return { host: address, port, url: `${Option.isSome(config.tls) ? "https" : "http"}://${authority}` }
  })

const shutDown = (server: Server, service: Service): Effect.Effect<void> =>
  Effect.gen(function*() {
    const closing = yield* Effect.fork(Effect.async<void>((resume) => {
      server.close(() => resume(Effect.void))
    }))
    service.goodbye()
    server.closeIdleConnections()
    yield* within(limits.requestGrace, () => service.requests() === 0)
    yield* within(limits.closeGrace, () => service.sockets() === 0)
    service.terminate()
    server.closeAllConnections()
    yield* Fiber.join(closing)
    // Real time, whatever clock the service was given: peers live by it.
  }).pipe(Effect.withClock(Clock.make()))

/** Waits until it is so, but not for ever. */
const within = (grace: Duration.Duration, isSo: () => boolean) =>
  Effect.repeat(Effect.sync(isSo), {
    until: (so) => so,
    schedule: Schedule.upTo(Schedule.spaced("5 millis"), grace)
  })

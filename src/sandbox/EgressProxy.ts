// @effect-diagnostics nodeBuiltinImport:off -- a proxy works on raw connections: CONNECT, absolute targets and the address it connects to are not in @effect/platform's reach
import { FileSystem, Path } from "@effect/platform"
import { Context, Duration, Effect, FiberSet, Layer, Option, type Scope } from "effect"
import { createServer, type IncomingMessage, request as httpRequest, type ServerResponse } from "node:http"
import { connect, type Socket } from "node:net"
import type { Duplex } from "node:stream"
import { EgressConfig, type Settings } from "./EgressConfig.ts"
import { EgressResolver } from "./EgressResolver.ts"
import { admit, type Admitted, type Refusal } from "./internal/runtime/Admission.ts"
import { RuntimeFailed } from "./RuntimeError.ts"

/** An open proxy. */
export interface Egress {
  /** Path of the unix socket that it listens on: HTTP proxy requests, absolute (`GET http://…`) and `CONNECT`. */
  readonly socket: string
  /** What was refused so far; the last 100. */
  readonly refusals: Effect.Effect<ReadonlyArray<Refusal>>
}

/**
 * The only way out of a sandbox: an HTTP proxy that knows names only, those it was given; resolves them itself, once per
 * request; refuses every address that is not public; and connects to the very address it judged.
 */
export class EgressProxy extends Context.Tag("smithers-orchestrator/sandbox/EgressProxy")<EgressProxy, {
  /** Listens until the scope closes, which cuts all connections; the socket is for this user of the host only. */
  readonly open: (hosts: ReadonlyArray<string>, userId: number) => Effect.Effect<Egress, RuntimeFailed, Scope.Scope>
}>() {}

const maxRefusals = 100

/** Headers that are about one connection (RFC 9110, 7.6.1) or about this proxy. */
const hopByHop = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
  "host"
])

const endToEnd = (raw: ReadonlyArray<string>): Array<string> =>
  raw.flatMap((name, i) => i % 2 === 0 && !hopByHop.has(name.toLowerCase()) ? [name, raw[i + 1]!] : [])

/** Connects to an address; the connection is destroyed with the scope. */
const dial = ({ address, port }: Admitted, settings: Settings): Effect.Effect<Socket, "Unreachable", Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync(() => connect({ host: address, port, allowHalfOpen: true }).on("error", () => undefined)),
    (socket) => Effect.sync(() => socket.destroy())
  ).pipe(
    Effect.tap((socket) =>
      Effect.async<void, "Unreachable">((resume) => {
        socket.once("connect", () => resume(Effect.void))
        socket.once("close", () => resume(Effect.fail("Unreachable")))
      })
    ),
    Effect.timeoutFail({ duration: settings.connectTimeout, onTimeout: () => "Unreachable" as const }),
    Effect.tap((socket) => socket.setTimeout(Duration.toMillis(settings.idleTimeout), () => socket.destroy()))
  )

/** Hands bytes both ways until both have closed. */
const splice = (inner: Duplex, outer: Socket): Effect.Effect<void> =>
  Effect.async((resume) => {
    // Whoever has gone already says so no more.
    if (inner.destroyed || outer.destroyed) return resume(Effect.void)
    let open = 2
    const closed = (other: Duplex, broken: boolean) => {
      if (broken) other.destroy()
      if (--open === 0) resume(Effect.void)
    }
    inner.once("close", () => closed(outer, !inner.readableEnded))
    outer.once("close", (broken: boolean) => closed(inner, broken || !outer.readableEnded))
    inner.pipe(outer)
    outer.pipe(inner)
  })

const make = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const resolver = yield* EgressResolver
  const settings = yield* EgressConfig

  const open = Effect.fn("EgressProxy.open")(function*(hosts: ReadonlyArray<string>, userId: number) {
    const fork = yield* FiberSet.makeRuntime()
    const refusals: Array<Refusal> = []
    const note = (refusal: Refusal) =>
      Effect.sync(() => {
        refusals.push(refusal)
        if (refusals.length > maxRefusals) refusals.shift()
      }).pipe(Effect.zipRight(Effect.logDebug("A sandbox was not let out.", refusal)))
    const admitted = (target: string) => Effect.tapError(admit(target, hosts, settings, resolver), note)

    const tunnel = (request: IncomingMessage, inner: Duplex, head: Buffer) =>
      Effect.gen(function*() {
        const outer = yield* dial(yield* admitted(request.url ?? ""), settings)
        inner.write("HTTP/1.1 200 Connection Established\r\n\r\n")
        if (head.length > 0) outer.write(head)
        yield* splice(inner, outer)
      }).pipe(
        Effect.scoped,
        Effect.catchAll((refused) =>
          Effect.sync(() =>
            inner.end(
              refused === "Unreachable"
                ? "HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n"
                : `HTTP/1.1 403 Forbidden\r\nX-Refused: ${refused.reason}\r\nContent-Length: 0\r\n\r\n`
            )
          )
        ),
        Effect.onInterrupt(() => Effect.sync(() => inner.destroy()))
      )

    const forward = (request: IncomingMessage, response: ServerResponse) =>
      Effect.gen(function*() {
        const url = yield* Effect.option(Effect.try(() => new URL(request.url ?? "")))
        if (Option.isNone(url) || url.value.protocol !== "http:" || url.value.username !== "") {
          return yield* note({ target: "", reason: "Malformed" }).pipe(
            Effect.zipRight(Effect.fail<Refusal>({ target: "", reason: "Malformed" }))
          )
        }
        const { hostname, pathname, port, search } = url.value
        const target = yield* admitted(`${hostname}:${port === "" ? 80 : port}`)
        const socket = yield* dial(target, settings)
        yield* Effect.async<void, "Unreachable">((resume) => {
          if (response.destroyed || request.socket.destroyed) return resume(Effect.void)
          const upstream = httpRequest({
            createConnection: () => socket,
            method: request.method ?? "GET",
            path: pathname + search,
            setHost: false,
            headers: [...endToEnd(request.rawHeaders), "Host", url.value.host, "Connection", "close"] as never
          })
          upstream.once("response", (answer) => {
            response.writeHead(answer.statusCode ?? 502, endToEnd(answer.rawHeaders))
            answer.pipe(response)
          })
          upstream.once("error", () => resume(Effect.fail("Unreachable")))
          response.once("close", () => resume(Effect.void))
          request.pipe(upstream)
        })
      }).pipe(
        Effect.scoped,
        Effect.catchAll((refused) =>
          Effect.sync(() => {
            if (response.headersSent) return response.destroy()
            if (refused === "Unreachable") return response.writeHead(502).end()
            return response.writeHead(refused.reason === "Malformed" ? 400 : 403, { "X-Refused": refused.reason }).end()
          })
        )
      )

    const sockets = new Set<Duplex>()
    const server = createServer({
      maxHeaderSize: settings.maxHeaderBytes,
      headersTimeout: Duration.toMillis(settings.headerTimeout),
      requestTimeout: 0,
      connectionsCheckingInterval: 1_000
    })
    server.maxConnections = settings.maxConnections
    server.on("connection", (socket) => {
      sockets.add(socket.on("error", () => undefined))
      socket.setTimeout(Duration.toMillis(settings.idleTimeout), () => socket.destroy())
      socket.once("close", () => sockets.delete(socket))
    })
    server.on("connect", (request, socket, head) => fork(tunnel(request, socket, head)))
    server.on("request", (request, response) => fork(forward(request, response)))

    const failed = (cause: unknown) =>
      new RuntimeFailed({ runtime: "egress proxy", reason: "Setup", detail: String(cause) })
    const directory = yield* Effect.mapError(fs.makeTempDirectoryScoped({ prefix: "smithers-egress-" }), failed)
    const socket = path.join(directory, "proxy")
    yield* Effect.acquireRelease(
      Effect.async<void, RuntimeFailed>((resume) => {
        server.once("error", (cause) => resume(Effect.fail(failed(cause))))
        server.listen(socket, () => resume(Effect.void))
      }),
      () =>
        Effect.async<void>((resume) => {
          server.close(() => resume(Effect.void))
          for (const open of sockets) open.destroy()
        })
    )
    const handOver = Effect.gen(function*() {
      yield* fs.chmod(socket, 0o600)
      yield* fs.chown(socket, userId, userId)
      yield* fs.chmod(directory, 0o755)
    })
    yield* Effect.mapError(handOver, failed)
    const egress: Egress = { socket, refusals: Effect.sync(() => [...refusals]) }
    return egress
  })

  return EgressProxy.of({ open })
})

/** Opens proxies under `EgressConfig`, resolving by `EgressResolver`. */
export const layer = Layer.effect(EgressProxy, make)

import { assert, describe, it } from "@effect/vitest"
import { Context, Deferred, Effect, Exit, Fiber, FiberId, Layer, Scope } from "effect"
import http from "node:http"
import net from "node:net"
import WebSocket from "ws"
import { Gateway } from "../../src/gateway/index.ts"
import { parse, request, rpc, type Wire } from "./support/Http.ts"
import { addRun, adminToken, gatewayWith } from "./support/Service.ts"
import { connectParams, openWs } from "./support/Ws.ts"

/** A gateway that the test stops itself. */
const start = (engine: Parameters<typeof gatewayWith>[0] = {}) =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const context = yield* Layer.buildWithScope(gatewayWith(engine), scope)
    const { address } = Context.get(context, Gateway.Gateway)
    return { scope, context, address, stop: Scope.close(scope, Exit.void) }
  })

const isFree = (port: number) =>
  Effect.async<boolean>((resume) => {
    const socket = net.connect(port, "127.0.0.1")
    socket.on("connect", () => {
      socket.destroy()
      resume(Effect.succeed(false))
    })
    socket.on("error", () => resume(Effect.succeed(true)))
  })

interface Told {
  code: number
  readonly errors: Array<string>
}

/** Connects, says hello, and notes how it ends. */
const witness = (port: number, runId?: string) =>
  Effect.async<{ readonly told: Told; readonly closed: Effect.Effect<Told> }>((resume) => {
    const socket = new WebSocket(`ws://127.0.0.1:${port}/`)
    const told: Told = { code: 0, errors: [] }
    const closed = Deferred.unsafeMake<Told>(FiberId.none)
    const ready = () => resume(Effect.succeed({ told, closed: Deferred.await(closed) }))
    socket.on("message", (data) => {
      const frame: Wire = parse(String(data))
      if (frame.event === "run.error") told.errors.push(frame.payload.error.code)
      if (frame.event === "connect.challenge") {
        socket.send(
          JSON.stringify({
            type: "req",
            id: "connect",
            method: "connect",
            params: connectParams(adminToken, { subscribe: ["none"] })
          })
        )
      }
      if (frame.id === "connect") {
        if (runId === undefined) return ready()
        socket.send(JSON.stringify({ type: "req", id: "stream", method: "streamRunEvents", params: { runId } }))
      }
      if (frame.id === "stream") ready()
    })
    socket.on("error", () => undefined)
    socket.on("close", (code) => {
      told.code = code
      Deferred.unsafeDone(closed, Effect.succeed(told))
    })
  })

describe("shutdown", () => {
  it.live("1,000 open sockets are told goodbye before the server is gone", () =>
    Effect.gen(function*() {
      const { address: { port }, stop } = yield* start()
      const witnesses = yield* Effect.forEach(Array.from({ length: 1_000 }), () => witness(port), { concurrency: 32 })
      yield* stop
      const codes = yield* Effect.forEach(witnesses, ({ closed }) => Effect.map(closed, ({ code }) => code))
      assert.deepStrictEqual([...new Set(codes)], [1_001])
      assert.isTrue(yield* isFree(port))
    }), 60_000)

  it.live("streams are told why they end, before their socket closes", () =>
    Effect.gen(function*() {
      const { address: { port }, context, stop } = yield* start()
      yield* Effect.provide(addRun("bye-1"), context)
      const { closed } = yield* witness(port, "bye-1")
      yield* stop
      assert.deepStrictEqual(yield* closed, { code: 1_001, errors: ["ConnectionClosed"] })
    }))

  it.live("sockets that do not answer the goodbye, and idle ones, do not hold it up", () =>
    Effect.gen(function*() {
      const { address: { port }, stop } = yield* start()
      const idle = net.connect(port, "127.0.0.1")
      const half = net.connect(port, "127.0.0.1", () =>
        half.write("POST /v1/rpc/health HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\n"))
      const deaf = new WebSocket(`ws://127.0.0.1:${port}/`)
      for (const socket of [idle, half, deaf]) {
        socket.on("error", () =>
          undefined)
      }
      yield* Effect.async<void>((resume) => {
        deaf.on("open", () =>
          resume(Effect.void))
      })
      deaf.pause()
      yield* stop
      assert.isTrue(yield* isFree(port))
    }))

  it.live("a request in flight is answered", () =>
    Effect.gen(function*() {
      const reached = yield* Deferred.make<void>()
      const release = yield* Deferred.make<void>()
      const { context, stop } = yield* start({
        pause: () => Effect.zipRight(Deferred.succeed(reached, undefined), Deferred.await(release))
      })
      const answer = yield* Effect.fork(Effect.provide(rpc("pauseRun", { runId: "r" }), context))
      yield* Deferred.await(reached)
      const stopping = yield* Effect.fork(stop)
      yield* Effect.yieldNow()
      yield* Deferred.succeed(release, undefined)
      assert.strictEqual((yield* Fiber.join(answer)).status, 200)
      yield* Fiber.join(stopping)
    }))
})

describe("clients that go away", () => {
  it.live("a reset during the upgrade does not end the service (traps.md 1)", () =>
    Effect.scoped(Effect.gen(function*() {
      const { address: { port }, context, stop } = yield* start()
      const reset = Effect.async<void>((resume) => {
        const socket = net.connect(port, "127.0.0.1", () => {
          socket.write(
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
              "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
            () => socket.resetAndDestroy()
          )
        })
        socket.on("error", () => undefined)
        socket.on("close", () => resume(Effect.void))
      })
      const refused = Effect.async<void>((resume) => {
        const socket = net.connect(port, "127.0.0.1", () => {
          // Not a WebSocket upgrade: refused, and reset while it is.
          socket.write(
            "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
            () => socket.resetAndDestroy()
          )
        })
        socket.on("error", () => undefined)
        socket.on("close", () => resume(Effect.void))
      })
      yield* Effect.all([Effect.replicateEffect(reset, 200), Effect.replicateEffect(refused, 200)], { concurrency: 2 })
      yield* Effect.provide(
        Effect.gen(function*() {
          assert.strictEqual((yield* request("/health")).status, 200)
          const client = yield* openWs()
          assert.isTrue((yield* client.call("connect", connectParams(adminToken))).ok)
        }),
        context
      )
      yield* stop
    })))

  it.live("a client that leaves interrupts its request (traps.md 8)", () =>
    Effect.gen(function*() {
      const reached = yield* Deferred.make<void>()
      const interrupted = yield* Deferred.make<void>()
      const { address: { port }, stop } = yield* start({
        pause: () =>
          Deferred.succeed(reached, undefined).pipe(
            Effect.zipRight(Effect.never),
            Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
          )
      })
      const outgoing = http.request({
        port,
        host: "127.0.0.1",
        path: "/v1/rpc/pauseRun",
        method: "POST",
        headers: { Authorization: adminToken }
      })
      outgoing.on("error", () => undefined)
      outgoing.end("{\"runId\":\"r\"}")
      yield* Deferred.await(reached)
      outgoing.destroy()
      yield* Deferred.await(interrupted)
      yield* stop
    }))

  it.live("a socket that closes interrupts what it asked for", () =>
    Effect.gen(function*() {
      const reached = yield* Deferred.make<void>()
      const interrupted = yield* Deferred.make<void>()
      const { context, stop } = yield* start({
        pause: () =>
          Deferred.succeed(reached, undefined).pipe(
            Effect.zipRight(Effect.never),
            Effect.onInterrupt(() => Deferred.succeed(interrupted, undefined))
          )
      })
      yield* Effect.scoped(Effect.provide(
        Effect.gen(function*() {
          const client = yield* openWs()
          yield* client.call("connect", connectParams(adminToken))
          yield* client.send({ type: "req", id: "p", method: "pauseRun", params: { runId: "r" } })
          yield* Deferred.await(reached)
        }),
        context
      ))
      yield* Deferred.await(interrupted)
      yield* stop
    }))
})

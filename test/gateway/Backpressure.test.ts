import { assert, layer } from "@effect/vitest"
import { Duration, Effect, TestClock } from "effect"
import net from "node:net"
import { request, type Wire } from "./support/Http.ts"
import { addEvents, address, addRun, adminToken, gatewayWith } from "./support/Service.ts"
import { connected, connectParams, openWs } from "./support/Ws.ts"

const padding = "x".repeat(16_000)

/** `count` events of 16 KB each. */
const bigEvents = (count: number) =>
  Array.from({ length: count }, () => ({
    type: "NodeOutput" as const,
    nodeId: "a",
    iteration: 0,
    attempt: 1,
    data: { text: padding, stream: "stdout" }
  }))

const disconnects = Effect.map(
  request("/metrics"),
  ({ text }) => Number(/smithers_gateway_backpressure_disconnects_total (\d+)/.exec(text)?.[1] ?? 0)
)

layer(gatewayWith())("a reader that does not read", (it) => {
  it.scoped("loses its stream when it has missed a thousand events; the socket stays, others are not affected", () =>
    Effect.gen(function*() {
      const before = yield* disconnects
      yield* addRun("slow-1")
      const slow = yield* connected()
      const quick = yield* connected()
      const { payload: { streamId } } = yield* slow.call("streamRunEvents", { runId: "slow-1" })
      yield* quick.call("streamRunEvents", { runId: "slow-1" })
      slow.socket.pause()
      // The other reader has what was written before more is: only the one that does not read can be too slow. How much
      // the machine's sockets take before the queue fills is the machine's to say.
      for (let seq = 100; seq <= 20_000 && (yield* disconnects) === before; seq += 100) {
        yield* addEvents("slow-1", bigEvents(100))
        const last = yield* quick.until(({ event, payload }) => event === "run.event" && payload.seq === seq)
        assert.strictEqual(last.payload.event, "task.output")
      }
      slow.socket.resume()
      const { payload } = yield* slow.until(({ event }) => event === "run.error")
      assert.deepInclude(payload, { streamId, runId: "slow-1" })
      assert.strictEqual(payload.error.code, "BackpressureDisconnect")
      assert.isTrue((yield* slow.call("health")).ok)
      assert.isAbove(yield* disconnects, before)
    }))

  it.scoped("loses its stream when it takes nothing for thirty seconds, though nothing new happens", () =>
    Effect.gen(function*() {
      yield* addRun("stall-1")
      for (let i = 0; i < 10; i++) yield* addEvents("stall-1", bigEvents(100))
      const client = yield* connected()
      client.socket.pause()
      yield* client.send({ type: "req", id: "s", method: "streamRunEvents", params: { runId: "stall-1", afterSeq: 0 } })
      yield* Effect.repeat(activeSends, { until: (blocked) => blocked })
      yield* TestClock.adjust(Duration.seconds(31))
      client.socket.resume()
      const { payload } = yield* client.until(({ event }) => event === "run.error")
      assert.strictEqual(payload.error.code, "BackpressureDisconnect")
    }))

  it.scoped("that only lags gets every event in the end", () =>
    Effect.gen(function*() {
      yield* addRun("lag-1")
      for (let i = 0; i < 10; i++) yield* addEvents("lag-1", bigEvents(100))
      const client = yield* connected()
      client.socket.pause()
      yield* client.send({ type: "req", id: "s", method: "streamRunEvents", params: { runId: "lag-1", afterSeq: 0 } })
      yield* Effect.repeat(activeSends, { until: (blocked) => blocked })
      client.socket.resume()
      for (let seq = 1; seq <= 1_000; seq++) {
        const frame = yield* client.until(({ event }) => event === "run.event")
        assert.strictEqual(frame.payload.seq, seq)
      }
    }))

  it.scoped("of plain frames is closed with 1013 when its queue is full, and costs no more memory after that", () =>
    Effect.gen(function*() {
      yield* addRun("plain-1")
      const { port } = yield* address
      const raw = yield* silentReader(port)
      for (let i = 0; i < 200 && !raw.ended(); i++) yield* addEvents("plain-1", bigEvents(100))
      yield* raw.closed
      const client = yield* openWs()
      assert.isTrue((yield* client.call("connect", connectParams(adminToken))).ok)
    }))
})

/** Whether some socket of this process has more to write than its peer takes. */
const activeSends = Effect.sync(() => {
  // process._getActiveHandles is the only list of this process's sockets that node has.
  const handles = (process as unknown as { readonly _getActiveHandles: () => ReadonlyArray<Wire> })._getActiveHandles()
  return handles.some((handle) => handle instanceof net.Socket && handle.writableLength > 1_000_000)
}).pipe(Effect.zipLeft(Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})))

interface SilentReader {
  readonly socket: net.Socket
  readonly ended: () => boolean
  readonly closed: Effect.Effect<void>
}

/** A connection that says connect and never reads again. */
const silentReader = (port: number) =>
  Effect.acquireRelease(
    Effect.async<SilentReader>((resume) => {
      const socket = net.connect(port, "127.0.0.1", () =>
        socket.write(
          "GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n" +
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        ))
      let ended = false
      const onEnd: Array<() => void> = []
      socket.on("error", () => undefined)
      const closed = Effect.async<void>((resume) => {
        if (ended) return resume(Effect.void)
        onEnd.push(() => resume(Effect.void))
      })
      let text = ""
      socket.on("data", (data) => {
        text += String(data)
        if (!text.includes("connect.challenge")) return
        socket.removeAllListeners("data")
        socket.write(
          maskedText(JSON.stringify({ type: "req", id: "c", method: "connect", params: connectParams(adminToken) }))
        )
        socket.once("data", () => {
          socket.pause()
          // A paused socket learns of its end by writing.
          const probe = setInterval(() => socket.write(maskedText("{}")), 20)
          socket.on("close", () => {
            clearInterval(probe)
            ended = true
            for (const listener of onEnd) listener()
          })
          resume(Effect.succeed({ socket, ended: () => ended, closed }))
        })
      })
    }),
    ({ socket }) => Effect.sync(() => socket.destroy())
  )

/** A text frame as a client sends it, masked with zeros. */
const maskedText = (text: string): Buffer => {
  const payload = Buffer.from(text)
  const head = payload.length < 126
    ? Buffer.from([0x81, 0x80 | payload.length])
    : Buffer.from([0x81, 0x80 | 126, payload.length >> 8, payload.length & 0xff])
  return Buffer.concat([head, Buffer.alloc(4), payload])
}

import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { setFlagsFromString } from "node:v8"
import { runInNewContext } from "node:vm"
import { GatewayRpcs } from "../../src/gateway/contract.ts"
import { bearer, parse, request, rpc, type Wire } from "./support/Http.ts"
import { addRun, adminToken, realGateway } from "./support/Service.ts"
import { connected, connectParams, openWs, type WsClient } from "./support/Ws.ts"

const httpBodies = 12_000
const wsFrames = 8_000

/** A generator of numbers below `n`, the same in every run (mulberry32). */
const makeRandom = (seed: number) => {
  let state = seed
  return (n: number): number => {
    state = (state + 0x6d2b79f5) | 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * n)
  }
}

type Random = ReturnType<typeof makeRandom>

const pick = <A>(random: Random, from: ReadonlyArray<A>): A => from[random(from.length)]!

const fields = [
  "runId",
  "nodeId",
  "iteration",
  "filter",
  "options",
  "input",
  "workflow",
  "limit",
  "afterSeq",
  "decision",
  "approved",
  "scopes",
  "tokenId",
  "__proto__",
  "constructor",
  "toString",
  ""
]

/** A value of any shape, of the wrong type more often than not. */
const value = (random: Random, depth = 0): unknown => {
  switch (random(depth > 3 ? 9 : 12)) {
    case 0:
      return null
    case 1:
      return random(2) === 0
    case 2:
      return pick(random, [-1, 0, 1.5, 1e308, -1e-308, Number.MAX_SAFE_INTEGER + 2, 4_294_967_296])
    case 3:
      return "x".repeat(pick(random, [0, 1, 16_384, 16_385, 40_000]))
    case 4:
      return pick(random, ["../../etc/passwd", "' OR 1=1 --", "\u0000", "\ud800", "a b", "💥".repeat(100), "demo"])
    case 5:
      return {}
    case 6:
      return []
    case 7:
      return Array(random(300)).fill(0)
    case 8:
      return "fuzz-1"
    case 9:
      return Array.from({ length: random(5) }, () => value(random, depth + 1))
    default:
      return Object.fromEntries(
        Array.from({ length: random(6) }, () => [pick(random, fields), value(random, depth + 1)])
      )
  }
}

/** Bytes that are no request: broken in one of many ways. */
const malformed = (random: Random): Buffer => {
  const text = JSON.stringify({ params: value(random), method: pick(random, methods), id: value(random) })
  switch (random(8)) {
    case 0:
      return Buffer.from(text.slice(0, random(text.length)))
    case 1: {
      const bytes = Buffer.from(text)
      for (let i = 0; i < 4; i++) bytes[random(bytes.length)] = 0x80 + random(128)
      return bytes
    }
    case 2:
      return Buffer.from("[".repeat(random(50_000)))
    case 3:
      return Buffer.from("{\"a\":".repeat(random(20_000)))
    case 4:
      return Buffer.from(Array.from({ length: random(200) }, () => random(256)))
    case 5:
      return Buffer.from(JSON.stringify(value(random)))
    case 6:
      return Buffer.from(JSON.stringify({ [pick(random, fields)]: value(random) }))
    default:
      return Buffer.from(text)
  }
}

const methods = [
  ...GatewayRpcs.requests.keys(),
  "noSuchMethod",
  "x".repeat(65),
  "Upper",
  "a..b",
  "connect",
  "__proto__"
]

const collectGarbage = (): void => {
  setFlagsFromString("--expose-gc")
  runInNewContext("gc")()
}

const heapUsed = Effect.sync(() => {
  collectGarbage()
  collectGarbage()
  return process.memoryUsage().heapUsed
})

const megabyte = 1_048_576

layer(realGateway, { excludeTestServices: true })("fuzz", (it) => {
  it.effect(
    "of malformed HTTP bodies each is a 4xx or a good answer, none a 500; memory is flat, the service up",
    () =>
      Effect.gen(function*() {
        yield* addRun("fuzz-1")
        const random = makeRandom(20_261_121)
        const statuses = new Map<number, number>()
        const one = Effect.suspend(() => {
          const path = random(5) === 0 ? "/rpc" : `/v1/rpc/${encodeURIComponent(pick(random, methods))}`
          const body = malformed(random)
          // Some come from nobody, and are told so.
          const headers = random(20) === 0 ? {} : bearer(adminToken)
          return Effect.map(request(path, { method: "POST", headers, body }), ({ status, text }) => {
            statuses.set(status, (statuses.get(status) ?? 0) + 1)
            assert.isBelow(status, 500, `${path} ${body.toString("latin1").slice(0, 300)} → ${text}`)
            assert.strictEqual(parse(text).type, "res")
          })
        })
        const round = (count: number) => Effect.forEach(Array(count), () => one, { concurrency: 16, discard: true })
        yield* round(httpBodies / 2)
        const before = yield* heapUsed
        yield* round(httpBodies / 2)
        const after = yield* heapUsed
        assert.isBelow(after - before, 8 * megabyte)
        assert.isAbove(statuses.get(400) ?? 0, httpBodies / 2)
        assert.isAbove(statuses.get(401) ?? 0, 0)
        assert.strictEqual((yield* request("/health")).status, 200)
        assert.strictEqual((yield* rpc("getRun", { runId: "fuzz-1" })).status, 200)
      }),
    120_000
  )

  it.scoped(
    "of malformed WebSocket frames each is answered by a typed frame; memory is flat, the service up",
    () =>
      Effect.gen(function*() {
        const random = makeRandom(7_331)
        const frame = (): Buffer => {
          switch (random(3)) {
            case 0:
              return malformed(random)
            case 1:
              return Buffer.from(
                JSON.stringify({ type: "req", id: value(random), method: pick(random, methods), params: value(random) })
              )
            default:
              return Buffer.from(JSON.stringify({ type: value(random), id: "1", method: value(random) }))
          }
        }
        const answered = ({ ok, type, error }: Wire) => {
          if (type !== "res") return false
          if (!ok) {
            assert.isString(error.code)
            assert.notStrictEqual(error.code, "SERVER_ERROR")
            assert.notStrictEqual(error.code, "Internal")
          }
          return true
        }
        const exchange = (client: WsClient) =>
          Effect.suspend(() => Effect.zipRight(client.send(frame()), client.until(answered)))
        const round = (count: number) =>
          Effect.gen(function*() {
            // A frame may rightly ask for another token and lose the socket: each has its own, and few frames.
            for (let left = count; left > 0; left -= 50) {
              yield* Effect.scoped(Effect.gen(function*() {
                const greeted = random(4) !== 0
                const client = greeted ? yield* connected() : yield* openWs()
                yield* Effect.repeatN(Effect.raceFirst(exchange(client), client.closed), 49)
              }))
            }
          })
        yield* round(wsFrames / 2)
        const before = yield* heapUsed
        yield* round(wsFrames / 2)
        const after = yield* heapUsed
        assert.isBelow(after - before, 8 * megabyte)
        const client = yield* openWs()
        assert.isTrue((yield* client.call("connect", connectParams(adminToken))).ok)
      }),
    120_000
  )
})

import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Either, Fiber, Layer, TestClock } from "effect"
import net from "node:net"
import { Outbound, OutboundConfig } from "../../src/outbound/index.ts"
import { makeReceiver } from "../outbox/support.ts"

const allowing = (...allowed: ReadonlyArray<string>) =>
  Layer.provide(Outbound.layer, Layer.succeed(OutboundConfig.OutboundConfig, { allowed }))
const loopback = allowing("127.0.0.0/8", "::1/128")

const request = (request: Partial<Outbound.Request> & { readonly url: string }) =>
  Effect.flatMap(Outbound.Outbound, (outbound) => outbound.request({ method: "GET", ...request }))
const refusal = (url: string) => Effect.map(Effect.flip(request({ url })), ({ reason }) => reason)

describe("Outbound", () => {
  it.scoped("private addresses are refused however they are written, before anything is sent", () =>
    Effect.gen(function*() {
      const receiver = yield* makeReceiver
      const port = new URL(receiver.url).port
      for (
        const host of [
          "127.0.0.1",
          "localhost",
          "2130706433",
          "0x7f.1",
          "[::1]",
          "[::ffff:127.0.0.1]",
          "10.0.0.1",
          "192.168.1.1",
          "169.254.169.254",
          "[fd00::1]",
          "0.0.0.0"
        ]
      ) {
        assert.strictEqual(yield* refusal(`https://${host}:${port}/`), "PrivateAddress", host)
        assert.strictEqual(yield* refusal(`http://${host}:${port}/`), "PrivateAddress", host)
      }
      assert.strictEqual(yield* receiver.size, 0)
    }).pipe(Effect.provide(Outbound.layer)))

  it.effect("http goes to loopback alone, and nothing but https and http anywhere", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* refusal("http://10.1.2.3/"), "BadUrl")
      assert.strictEqual(yield* refusal("http://192.0.2.1/"), "PrivateAddress")
      for (const url of ["file:///etc/passwd", "ftp://127.0.0.1/", "https://user:word@127.0.0.1/", "nothing"]) {
        assert.strictEqual(yield* refusal(url), "BadUrl", url)
      }
      const error = yield* Effect.flip(request({ url: "https://192.0.2.1/path?token=abc" }))
      assert.notInclude(error.message, "token")
    }).pipe(Effect.provide(allowing("127.0.0.0/8", "10.0.0.0/8"))))

  it.scoped("an answer is handed over as it is; a redirect is one, and is not followed", () =>
    Effect.gen(function*() {
      const receiver = yield* makeReceiver
      const asked = yield* Effect.fork(request({
        method: "POST",
        url: `${receiver.url}/a?b=c`,
        headers: { "x-y": "z" },
        body: "ä"
      }))
      const taken = yield* receiver.take
      assert.deepStrictEqual([taken.path, taken.body, taken.headers["x-y"]], ["/a?b=c", "ä", "z"])
      taken.answer(302, { location: `${receiver.url}/elsewhere` }, "no")
      const answer = yield* Fiber.join(asked)
      assert.deepStrictEqual([answer.status, answer.text, Buffer.from(answer.body).toString()], [302, "no", "no"])
      assert.strictEqual(answer.headers["location"], `${receiver.url}/elsewhere`)
      assert.strictEqual(yield* receiver.size, 0)
    }).pipe(Effect.provide(loopback)))

  it.scoped("an answer that is too long, broken off or late is none", () =>
    Effect.gen(function*() {
      const receiver = yield* makeReceiver
      const large = yield* Effect.fork(Effect.flip(request({ url: receiver.url, maxBytes: 100 })))
      ;(yield* receiver.take).answer(200, {}, "x".repeat(101))
      assert.strictEqual((yield* Fiber.join(large)).reason, "TooLarge")
      const fits = yield* Effect.fork(request({ url: receiver.url, maxBytes: 100 }))
      ;(yield* receiver.take).answer(200, {}, "x".repeat(100))
      assert.strictEqual((yield* Fiber.join(fits)).text.length, 100)
      const broken = yield* Effect.fork(Effect.flip(request({ url: receiver.url })))
      ;(yield* receiver.take).answer(200, { "content-length": "10" }, "short")
      yield* Effect.void
      const late = yield* Effect.fork(Effect.flip(request({ url: receiver.url, timeout: "3 seconds" })))
      yield* receiver.take
      yield* TestClock.adjust("10 seconds")
      assert.strictEqual((yield* Fiber.join(late)).reason, "TimedOut")
      assert.include(["Unreachable", "TimedOut"], (yield* Fiber.join(broken)).reason)
    }).pipe(Effect.provide(loopback)))

  it.scoped("a port where nobody listens is unreachable", () =>
    Effect.gen(function*() {
      const port = yield* Effect.async<number>((resume) => {
        const server = net.createServer().listen(0, "127.0.0.1", () => {
          const { port } = server.address() as net.AddressInfo
          server.close(() => resume(Effect.succeed(port)))
        })
      })
      assert.strictEqual(yield* refusal(`http://127.0.0.1:${port}/`), "Unreachable")
    }).pipe(Effect.provide(loopback)))

  it.effect("the setting takes ranges and nothing else", () =>
    Effect.gen(function*() {
      const read = (text: string) =>
        Effect.either(Effect.provide(
          OutboundConfig.OutboundConfig,
          Layer.provide(
            OutboundConfig.layerConfig,
            Layer.setConfigProvider(
              ConfigProvider.fromMap(new Map([["SMITHERS_OUTBOUND_ALLOW", text]]), { pathDelim: "_" })
            )
          )
        ))
      assert.deepStrictEqual(yield* read("10.0.0.0/8,::1/128"), Either.right({ allowed: ["10.0.0.0/8", "::1/128"] }))
      for (const text of ["10.0.0.0", "10.0.0.0/33", "localhost/8", "10.0.0.0/8/8"]) {
        assert.isTrue(Either.isLeft(yield* read(text)), text)
      }
    }))
})

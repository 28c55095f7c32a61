import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import net from "node:net"
import { rpc } from "./support/Http.ts"
import { address, addRun, adminToken, gatewayWith } from "./support/Service.ts"

const nested = (depth: number): string => `${"[".repeat(depth)}${"]".repeat(depth)}`

layer(
  gatewayWith({ launch: ({ runId = "fresh", workflow }) => Effect.succeed({ runId, workflow, existing: false }) }),
  { excludeTestServices: true }
)("bounds on requests", (it) => {
  const refused = (method: string, params: unknown, code: string, message: RegExp, status = 400) =>
    Effect.gen(function*() {
      const answer = yield* rpc(method, params)
      assert.deepStrictEqual([answer.status, answer.frame.error.code], [status, code], answer.text)
      assert.match(answer.frame.error.message, message)
    })
  const launch = (more: object) => ({ workflow: "demo", ...more })

  it.effect("a body over 1 MiB is PayloadTooLarge, whether its length is announced or not", () =>
    Effect.gen(function*() {
      const body = JSON.stringify({ pad: "x".repeat(1_048_577) })
      yield* refused("listRuns", body, "PayloadTooLarge", /1048576/, 413)
      const { port } = yield* address
      const status = yield* Effect.async<string>((resume) => {
        const socket = net.connect(port, "127.0.0.1", () => {
          socket.write(
            `POST /v1/rpc/listRuns HTTP/1.1\r\nHost: x\r\nAuthorization: ${adminToken}\r\nTransfer-Encoding: chunked\r\n\r\n`
          )
          const chunk = `10000\r\n${"x".repeat(65_536)}\r\n`
          for (let i = 0; i < 17; i++) socket.write(chunk)
        })
        socket.once("data", (data) => {
          resume(Effect.succeed(String(data).split("\r\n")[0]!))
          socket.destroy()
        })
      })
      assert.strictEqual(status, "HTTP/1.1 413 Payload Too Large")
    }))

  it.effect("32 levels pass, 33 do not", () =>
    Effect.gen(function*() {
      // The parameters and the input are two of the levels.
      assert.strictEqual((yield* rpc("launchRun", `{"workflow":"demo","input":{"a":${nested(30)}}}`)).status, 200)
      yield* refused("launchRun", `{"workflow":"demo","input":{"a":${nested(31)}}}`, "INVALID_INPUT", /deeper than 32/)
    }))

  it.effect("nesting of a hundred thousand levels is refused like any other", () =>
    refused("launchRun", `{"workflow":"demo","input":${nested(100_000)}}`, "INVALID_INPUT", /deeper than 32/))

  it.effect("256 elements pass, 257 do not", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* rpc("launchRun", launch({ input: { a: Array(256).fill(1) } }))).status, 200)
      yield* refused(
        "launchRun",
        launch({ input: { a: Array(257).fill(1) } }),
        "INVALID_INPUT",
        /^params\.input\.a: must have at most 256/
      )
    }))

  it.effect("16,384 characters pass, one more does not", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* rpc("launchRun", launch({ input: { a: "x".repeat(16_384) } }))).status, 200)
      yield* refused(
        "launchRun",
        launch({ input: { a: "x".repeat(16_385) } }),
        "INVALID_INPUT",
        /^params\.input\.a: must be at most 16384/
      )
    }))

  it.effect("an id of 129 characters is refused", () =>
    refused("health", { method: "health", id: "x".repeat(129) }, "INVALID_INPUT", /^id: .*128/))

  it.effect("malformed, truncated and non-UTF-8 JSON is INVALID_INPUT", () =>
    Effect.gen(function*() {
      for (const body of ["{", "{\"a\":", "nope", "{}{}", "\u0000"]) {
        yield* refused("health", body, "INVALID_INPUT", /JSON/)
      }
      yield* refused("health", Buffer.from([0x7b, 0x22, 0xff, 0xfe, 0x22, 0x7d]), "INVALID_INPUT", /UTF-8/)
    }))

  it.effect("a body that is an array or a scalar is INVALID_REQUEST", () =>
    Effect.gen(function*() {
      for (const body of ["[]", "1", "\"a\"", "null", "true"]) {
        yield* refused("health", body, "INVALID_REQUEST", /object/)
      }
    }))

  it.effect("a request names the field and the bound that it breaks", () =>
    Effect.gen(function*() {
      yield* refused("getRun", {}, "INVALID_REQUEST", /^runId: is required$/)
      yield* refused("getRun", { runId: 5 }, "INVALID_REQUEST", /^runId: must be a string$/)
      yield* refused("getRun", { runId: "a b" }, "INVALID_REQUEST", /^runId: must be a string matching/)
      yield* refused(
        "listRuns",
        { filter: { limit: 0 } },
        "INVALID_INPUT",
        /^filter\.limit: must be .*between 1 and 1000/
      )
      yield* refused("listRuns", { filter: { limit: 1_001 } }, "INVALID_INPUT", /between 1 and 1000/)
      yield* refused("listRuns", { filter: { offset: -1 } }, "INVALID_REQUEST", /^filter\.offset/)
      yield* refused("launchRun", {}, "INVALID_REQUEST", /^workflow: is required$/)
      yield* refused(
        "launchRun",
        launch({ options: { maxConcurrency: 0 } }),
        "INVALID_REQUEST",
        /^options\.maxConcurrency/
      )
      yield* refused(
        "launchRun",
        launch({ options: { startedBy: { who: "me" } } }),
        "INVALID_REQUEST",
        /^options\.startedBy\.who: is not a known member$/
      )
      yield* refused(
        "launchRun",
        launch({ options: { startedBy: { harness: "x".repeat(65) } } }),
        "INVALID_REQUEST",
        /^options\.startedBy\.harness: .*64/
      )
      yield* refused("getNodeOutput", { nodeId: "a" }, "InvalidRunId", /^runId: is required/)
      yield* refused("getNodeOutput", { runId: "r", nodeId: "a b" }, "InvalidNodeId", /^nodeId/)
      yield* refused("getNodeOutput", { runId: "r", nodeId: "a", iteration: -1 }, "InvalidIteration", /^iteration/)
    }))

  it.effect("a launch prompt longer than 8,192 characters is clipped, not refused", () =>
    Effect.gen(function*() {
      const startedBy = { prompt: "😀".repeat(20_000) }
      assert.strictEqual((yield* rpc("launchRun", launch({ options: { startedBy } }))).status, 200)
    }))

  it.effect("a request that breaks its encoding or stops in the middle hurts nobody else", () =>
    Effect.gen(function*() {
      yield* addRun("bounds-1")
      const { port } = yield* address
      const send = (text: string) =>
        Effect.async<void>((resume) => {
          const socket = net.connect(port, "127.0.0.1", () => socket.end(text))
          socket.on("data", () => undefined)
          socket.on("close", () => resume(Effect.void))
          socket.on("error", () => undefined)
        })
      const head = `POST /v1/rpc/health HTTP/1.1\r\nHost: x\r\nAuthorization: ${adminToken}\r\n`
      yield* send(`${head}Transfer-Encoding: chunked\r\n\r\nzz\r\n`)
      yield* send(`${head}Content-Length: 100\r\n\r\n{"a"`)
      yield* send("\u0000\u0001\u0002\r\n\r\n")
      assert.strictEqual((yield* rpc("getRun", { runId: "bounds-1" })).status, 200)
    }))
})

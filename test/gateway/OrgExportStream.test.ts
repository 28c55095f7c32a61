import { assert, it } from "@effect/vitest"
import { Effect, Exit, FiberSet, TestClock } from "effect"
import http from "node:http"
import type { AddressInfo } from "node:net"
import { failure } from "../../src/gateway/contract.ts"
import type { Dispatcher } from "../../src/gateway/internal/Dispatcher.ts"
import { limits } from "../../src/gateway/internal/Limits.ts"
import { answerOrgExport } from "../../src/gateway/internal/orgExport.ts"

// Nobody here looks at it.
const principal = { role: "admin", scopes: ["*"] } as never

/** A server that answers with an export whose parts the test makes, and how many were asked for. */
const exporting = (part: (n: number) => Effect.Effect<object, ReturnType<typeof failure>>) =>
  Effect.gen(function*() {
    let asked = 0
    // Of a dispatcher only its calls are needed.
    const dispatcher = {
      call: () => Effect.map(Effect.suspend(() => part(asked++)), (answer) => JSON.stringify(answer))
    } as unknown as Dispatcher
    const fork = yield* FiberSet.makeRuntime()
    const ended = yield* Effect.makeLatch()
    const server = yield* Effect.acquireRelease(
      Effect.async<http.Server>((resume) => {
        const server = http.createServer((_, response) => {
          const fiber = fork(
            answerOrgExport(dispatcher, principal, response, "acme", new URLSearchParams(), "r").pipe(
              Effect.catchAll(() => Effect.sync(() => response.writeHead(404).end())),
              Effect.ensuring(ended.open)
            )
          )
          response.on("close", () => {
            if (!response.writableFinished) fiber.unsafeInterruptAsFork(fiber.id())
          })
        })
        server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
      }),
      (server) =>
        Effect.sync(() => {
          server.close()
          server.closeAllConnections()
        })
    )
    return { asked: () => asked, ended: ended.await, port: (server.address() as AddressInfo).port }
  })

const get = (port: number) =>
  Effect.async<http.IncomingMessage, Error>((resume) => {
    http.get({ host: "127.0.0.1", port, agent: false }, (incoming) => resume(Effect.succeed(incoming)))
      .on("error", (error) => resume(Effect.fail(error)))
  })

const read = (incoming: http.IncomingMessage) =>
  Effect.async<string, Error>((resume) => {
    let text = ""
    incoming.on("data", (chunk: Buffer) => text += chunk.toString("latin1"))
    incoming.on("error", (error) => resume(Effect.fail(error)))
    incoming.on("end", () => resume(Effect.succeed(text)))
  })

const line = `${"x".repeat(1_048_575)}\n`

it.scopedLive("an export arrives whole, however many parts it has", () =>
  Effect.gen(function*() {
    const { port } = yield* exporting((n) =>
      Effect.succeed({ text: `${n}\n`, records: 1, next: n < 99 ? String(n) : null })
    )
    const text = yield* Effect.flatMap(get(port), read)
    assert.strictEqual(text, Array.from({ length: 100 }, (_, n) => `${n}\n`).join(""))
  }))

it.scopedLive("a part that fails cuts the connection: nobody takes the document for whole", () =>
  Effect.gen(function*() {
    const { port } = yield* exporting((n) =>
      n < 2
        ? Effect.succeed({ text: `${n}\n`, records: 1, next: "more" })
        : Effect.fail(failure("NOT_FOUND", "gone"))
    )
    const exit = yield* Effect.exit(Effect.flatMap(get(port), read))
    assert.isTrue(Exit.isFailure(exit))
  }))

it.scopedLive("a failure of the first part is an answer of its own", () =>
  Effect.gen(function*() {
    const { port } = yield* exporting(() => Effect.fail(failure("NOT_FOUND", "gone")))
    const { statusCode } = yield* get(port)
    assert.strictEqual(statusCode, 404)
  }))

it.scopedLive("nothing is read for a client that went away", () =>
  Effect.gen(function*() {
    const { ended, port } = yield* exporting(() => Effect.succeed({ text: line, records: 1, next: "more" }))
    const incoming = yield* get(port)
    incoming.on("error", () => undefined)
    incoming.destroy()
    yield* ended
  }))

it.scoped("a client that reads nothing is cut off after a while, and costs a few parts until then", () =>
  Effect.gen(function*() {
    const { asked, ended, port } = yield* exporting(() => Effect.succeed({ text: line, records: 1, next: "more" }))
    const incoming = yield* get(port)
    incoming.on("error", () => undefined)
    incoming.pause()
    const turn = Effect.async<void>((resume) => {
      setImmediate(() => resume(Effect.void))
    })
    // Whenever it stands still, the time passes.
    yield* Effect.raceFirst(
      ended,
      Effect.forever(Effect.zipRight(turn, TestClock.adjust(limits.stall)))
    )
    assert.isBelow(asked(), 200)
  }))

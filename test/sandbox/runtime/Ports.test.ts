import { assert, describe, layer } from "@effect/vitest"
import { Clock, Deferred, Effect, Fiber, Option, Stream } from "effect"
import fs from "node:fs"
import { connect, createServer } from "node:net"
import { networkInterfaces } from "node:os"
import { startChild } from "../../support/Child.ts"
import { bubblewrapWith, processesWith, run } from "./support.ts"

const missing = !fs.existsSync("/usr/bin/bwrap")

/** What a port says to a question; "" when nobody listens. */
const ask = (port: number, question: string, host = "127.0.0.1") =>
  Effect.async<string>((resume) => {
    let text = ""
    const socket = connect({ port, host }, () => socket.end(question))
    socket.setEncoding("utf8").on("data", (data) => {
      text += String(data)
    }).on("error", () => undefined).on("close", () => resume(Effect.succeed(text)))
    return Effect.sync(() => socket.destroy())
  })

/** Listens on a port of loopback that was free. */
const listener = Effect.acquireRelease(
  Effect.async<ReturnType<typeof createServer>>((resume) => {
    const server = createServer((socket) => socket.end("the host"))
    server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
  }),
  (server) => Effect.async<void>((resume) => void server.close(() => resume(Effect.void)))
)

const portOf = (server: ReturnType<typeof createServer>) => (server.address() as { readonly port: number }).port

const freePort = Effect.scoped(Effect.map(listener, portOf))

/** Answers every connection with what it was asked, in capitals, and who it is; node, for it is there. */
const answering = (port: number) => [
  "-e",
  `require("node:net").createServer({ allowHalfOpen: true }, (s) => {
    let text = ""
    s.on("data", (data) => text += data).on("end", () => text === "stop" ? process.exit(0) : s.end(text.toUpperCase() + require("node:os").hostname()))
  }).listen(${port}, "127.0.0.1", () => console.log("listening"))`
]

/** A sandbox that listens on its port 8080, until it is asked to stop. */
const serving = (host: number) =>
  Effect.gen(function*() {
    const ready = yield* Deferred.make<void>()
    const fiber = yield* Effect.fork(run(answering(8_080), {
      ownCode: [],
      policy: { ports: [{ host, sandbox: 8_080 }] },
      onOutput: () => Effect.asVoid(Deferred.succeed(ready, undefined))
    }))
    yield* Effect.raceFirst(Deferred.await(ready), Fiber.join(fiber))
    return fiber
  })

describe.skipIf(missing)("ports of a bubblewrap sandbox", () => { // needs bwrap, which set-up installs
  layer(bubblewrapWith())((it) => {
    it.scoped("loopback reaches what listens in the sandbox, many times at once", () =>
      Effect.gen(function*() {
        const port = yield* freePort
        const fiber = yield* serving(port)
        const questions = Array.from({ length: 40 }, (_, i) => `question ${i} `)
        const answers = yield* Effect.forEach(questions, (question) => ask(port, question), { concurrency: 40 })
        assert.deepStrictEqual(answers, questions.map((question) => `${question.toUpperCase()}sandbox`))
        const large = "x".repeat(4_000_000)
        assert.strictEqual((yield* ask(port, large)).length, large.length + "sandbox".length)
        yield* ask(port, "stop")
        assert.strictEqual((yield* Fiber.join(fiber)).exitCode, 0)
      }))

    it.scoped("no other address of the host does, and nobody does after its end", () =>
      Effect.gen(function*() {
        const port = yield* freePort
        const fiber = yield* serving(port)
        const others = Object.values(networkInterfaces()).flatMap((all) => all ?? []).filter(({ internal }) =>
          !internal
        )
        for (const { address, family } of others) {
          if (family === "IPv4") assert.strictEqual(yield* ask(port, "hello", address), "")
        }
        yield* Fiber.interrupt(fiber)
        assert.strictEqual(yield* ask(port, "hello"), "")
      }))

    it.scoped("while nothing listens in the sandbox, connections end, and the sandbox goes on", () =>
      Effect.gen(function*() {
        const port = yield* freePort
        const ready = yield* Deferred.make<void>()
        const fiber = yield* Effect.fork(run("echo here; sleep 30", {
          policy: { ports: [{ host: port, sandbox: 8_080 }] },
          onOutput: () => Effect.asVoid(Deferred.succeed(ready, undefined))
        }))
        yield* Effect.raceFirst(Deferred.await(ready), Fiber.join(fiber))
        assert.strictEqual(yield* ask(port, "hello"), "")
        yield* Fiber.interrupt(fiber)
      }))

    it.scoped("when the service is killed, nothing keeps the way in open", () =>
      Effect.gen(function*() {
        const port = yield* freePort
        const { child, lines } = yield* startChild("test/sandbox/runtime/programs/runForEver.ts", "ports", String(port))
        assert.deepStrictEqual(yield* Stream.runHead(lines), Option.some("up"))
        assert.isAbove(processesWith(`\0${port}\0`).length, 0)
        yield* child.kill("SIGKILL")
        yield* Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void))).pipe(
          Effect.repeat({ until: () => processesWith(`\0${port}\0`).length === 0 })
        )
        assert.strictEqual(yield* ask(port, "hello"), "")
      }).pipe(Effect.timeout("20 seconds"), Effect.withClock(Clock.make())))

    it.scoped("a port that somebody has already is refused by its field, and nothing runs", () =>
      Effect.gen(function*() {
        const port = portOf(yield* listener)
        const refused = (ports: ReadonlyArray<{ readonly host: number; readonly sandbox: number }>) =>
          Effect.map(Effect.flip(run("true", { policy: { ports } })), (error) => error.message)
        const bound = "must be a port of loopback that is free"
        assert.include(yield* refused([{ host: port, sandbox: 80 }]), `ports.0.host: ${bound}`)
        const free = yield* freePort
        const twice = [{ host: free, sandbox: 80 }, { host: free, sandbox: 81 }]
        assert.include(yield* refused(twice), `ports.1.host: ${bound}`)
      }))

    it.scoped("a sandbox with ports reaches nothing of the host by them", () =>
      Effect.gen(function*() {
        const [port, host] = [yield* freePort, portOf(yield* listener)]
        const { stdout } = yield* run([
          "-e",
          `const s = require("node:net").connect(${host}, "127.0.0.1")
          s.on("data", (d) => console.log(String(d))).on("error", (e) => console.log(e.code))`
        ], { ownCode: [], policy: { ports: [{ host: port, sandbox: 8_080 }] } })
        assert.strictEqual(stdout, "ECONNREFUSED\n")
        const { stdout: seen } = yield* run("ls -A /run /tmp 2>/dev/null", {
          policy: { ports: [{ host: port, sandbox: 8_080 }] }
        })
        assert.strictEqual(seen, "/tmp:\n")
      }))
  })
})

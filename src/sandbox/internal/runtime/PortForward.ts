// @effect-diagnostics nodeBuiltinImport:off -- raw connections between a port of loopback and a unix socket
import { FileSystem, Path } from "@effect/platform"
import { Clock, Effect, type Scope } from "effect"
import { randomUUID } from "node:crypto"
import { connect, createServer, type Socket } from "node:net"
import { ControlNotEnforced, PolicyInvalid, RuntimeFailed } from "../../RuntimeError.ts"
import type { SandboxPolicy } from "../../SandboxPolicy.ts"
import { launch } from "./ChildProcess.ts"
import { awaitText } from "./Handshake.ts"

/** Connections to one port at once; more are cut off. */
const maxConnections = 64
/** Until the way in is proved; real time. */
const patience = "10 seconds"

/**
 * A program for node, run in the network namespace of a sandbox but outside of everything else of it: hands connections
 * to unix sockets `0`, `1`, … of a directory, which the sandbox cannot see, to its loopback ports. Until it is told to go
 * on, it listens on those ports itself and says a word there. Arguments: directory, word, ports.
 */
export const portProgram = `
import { once } from "node:events"
import { connect, createServer, Socket } from "node:net"
const [directory, word, ...ports] = process.argv.slice(2)
const listening = (server, options) => new Promise((resolve, reject) => {
  server.once("error", reject)
  server.listen(options, resolve)
})
const trials = ports.map(() => createServer((socket) => socket.on("error", () => {}).end(word)))
await Promise.all(ports.flatMap((port, i) => {
  const server = createServer({ allowHalfOpen: true }, (outer) => {
    const inner = connect({ host: "127.0.0.1", port: Number(port), allowHalfOpen: true })
    for (const [one, other] of [[outer, inner], [inner, outer]]) {
      one.on("error", () => other.destroy()).once("close", () => one.readableEnded || other.destroy()).pipe(other)
    }
  })
  server.maxConnections = ${maxConnections}
  return [listening(server, { path: directory + "/" + i }), listening(trials[i], { host: "127.0.0.1", port: Number(port) })]
}))
const control = new Socket({ fd: 3 })
// Without the service there is nobody to work for.
control.on("close", () => process.exit())
control.write("r")
await once(control, "data")
await Promise.all(trials.map((trial) => new Promise((resolve) => trial.close(resolve))))
control.write("g")
`

/** Listens on a port of loopback and hands connections to a unix socket, until the scope closes. */
const listen = (port: number, socket: string, field: string): Effect.Effect<void, PolicyInvalid, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.async<() => Effect.Effect<void>, PolicyInvalid>((resume) => {
      const sockets = new Set<Socket>()
      const server = createServer({ allowHalfOpen: true }, (outer) => {
        const inner = connect({ path: socket, allowHalfOpen: true })
        for (const [one, other] of [[outer, inner], [inner, outer]] as const) {
          sockets.add(one)
          one.on("error", () => other.destroy()).once("close", () => {
            sockets.delete(one)
            // Who came to an end has said so; the other one may still have to write.
            if (!one.readableEnded) other.destroy()
          }).pipe(other)
        }
      })
      server.maxConnections = maxConnections
      server.once("error", () => resume(new PolicyInvalid({ field, bound: "must be a port of loopback that is free" })))
      server.listen({ host: "127.0.0.1", port }, () =>
        resume(Effect.succeed(() =>
          Effect.async<void>((closed) => {
            server.close(() => closed(Effect.void))
            for (const open of sockets) open.destroy()
          })
        )))
    }),
    (close) => close()
  )

/** What a port of loopback says when one connects. */
const heardAt = (port: number): Effect.Effect<string> =>
  Effect.async((resume) => {
    let text = ""
    const socket = connect({ host: "127.0.0.1", port })
    socket.setEncoding("latin1").on("data", (data) => {
      text += String(data)
    }).on("error", () => undefined).once("close", () => resume(Effect.succeed(text)))
    return Effect.sync(() => socket.destroy())
  })

/**
 * Lets loopback reach ports of a sandbox that stands and does not run yet, until the scope closes. Each is tried out: what
 * listens in the sandbox is heard outside, or nothing runs.
 */
export const forwardPorts = Effect.fnUntraced(function*(options: {
  readonly runtime: string
  readonly ports: SandboxPolicy["ports"]
  /** What starts a program in the network of the sandbox, as its user. */
  readonly enter: ReadonlyArray<string>
  readonly userId: number
  readonly node: string
  readonly program: string
  readonly covered: ReadonlyArray<number>
}) {
  const { covered, enter, node, ports, program, runtime, userId } = options
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const word = randomUUID()
  const failed = (cause: { readonly message: string }) =>
    new RuntimeFailed({ runtime, reason: "Setup", detail: cause.message })
  const unproved = (detail: string) =>
    new ControlNotEnforced({ runtime, control: "ports", reason: "Unproved", detail: `${detail}.` })
  const directory = yield* Effect.mapError(
    Effect.tap(fs.makeTempDirectoryScoped({ prefix: "smithers-ports-" }), (place) => fs.chown(place, userId, userId)),
    failed
  )
  const [file = "", ...args] = [...enter, node, program, directory, word, ...ports.map(({ sandbox }) => `${sandbox}`)]
  const helper = yield* launch({ runtime, file, args, env: {}, descriptors: ["pipe"], covered })
  const control = helper.pipe(3)
  yield* Effect.gen(function*() {
    yield* awaitText(control, /r/)
    yield* Effect.forEach(ports, ({ host }, i) =>
      Effect.gen(function*() {
        yield* listen(host, path.join(directory, String(i)), `ports.${i}.host`)
        if ((yield* heardAt(host)) !== word) return yield* unproved(`port ${host} does not lead into the sandbox`)
      }), { discard: true })
    control.write("g")
    yield* awaitText(control, /g/)
  }).pipe(
    Effect.catchIf((error) => error === "Ended", () => unproved("the way into the sandbox does not open")),
    Effect.timeoutFail({ duration: patience, onTimeout: () => unproved(`no way in after ${patience}`) }),
    Effect.withClock(Clock.make())
  )
})

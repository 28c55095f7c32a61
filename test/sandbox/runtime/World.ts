import { Effect, type Scope } from "effect"
import { execFileSync, spawn, spawnSync } from "node:child_process"
import { randomBytes } from "node:crypto"
import { createSocket } from "node:dgram"
import fs from "node:fs"
import net from "node:net"
import os from "node:os"
import path from "node:path"

/** What the attacks reach for: it exists, it is up, and whoever is not confined gets at it. */
export interface World {
  /** A word that is nowhere but where the world has put it. */
  readonly canary: string
  /** For the attacks, as their environment. */
  readonly variables: Readonly<Record<string, string>>
  /** In the environment of this very process; a sandbox that inherits anything inherits it. */
  readonly ambient: Readonly<Record<string, string>>
  /** Why there is no network namespace to attack. */
  readonly withoutNamespace: string | undefined
}

const resource = <A>(acquire: () => A, release: (a: A) => unknown): Effect.Effect<A, never, Scope.Scope> =>
  Effect.acquireRelease(Effect.sync(acquire), (a) => Effect.sync(() => release(a)))

const file = (where: string, text: string) =>
  resource(() => {
    fs.writeFileSync(where, text, { mode: 0o600 })
    return where
  }, () => fs.rmSync(where, { force: true }))

/** A server that says the canary to everybody. */
const listener = (canary: string, on: net.ListenOptions) =>
  Effect.acquireRelease(
    Effect.async<net.Server>((resume) => {
      const server = net.createServer((socket) => socket.on("error", () => undefined).end(canary))
      server.listen(on, () => resume(Effect.succeed(server)))
    }),
    (server) => Effect.async<void>((resume) => void server.close(() => resume(Effect.void)))
  )

/** A name server that knows one answer, and any other UDP service. */
const resolver = Effect.acquireRelease(
  Effect.async<number>((resume) => {
    const socket = createSocket("udp4")
    socket.on("message", (query, { address, port }) => {
      const answer = Buffer.from(query)
      answer[2] = 0x81
      socket.send(answer, port, address)
    })
    socket.bind(0, "127.0.0.1", () => {
      resume(Effect.succeed(socket.address().port))
    })
    servers.push(socket)
  }),
  () => Effect.sync(() => servers.splice(0).forEach((socket) => socket.close()))
)
const servers: Array<ReturnType<typeof createSocket>> = []

const portOf = (server: net.Server) => String((server.address() as net.AddressInfo).port)

/** A program in a network namespace of the test's own, with an address that the host reaches over a veth pair. */
const namespace = (name: string, canary: string) =>
  Effect.gen(function*() {
    const ip = (...args: ReadonlyArray<string>) => execFileSync("ip", args, { stdio: ["ignore", "ignore", "pipe"] })
    const [near, far] = ["198.18.251.1", "198.18.251.2"]
    const made = yield* Effect.either(Effect.try({
      try: () => {
        ip("netns", "add", name)
        ip("link", "add", `${name}h`, "type", "veth", "peer", "name", `${name}n`, "netns", name)
        ip("addr", "add", `${near}/30`, "dev", `${name}h`)
        ip("link", "set", `${name}h`, "up")
        ip("-n", name, "addr", "add", `${far}/30`, "dev", `${name}n`)
        ip("-n", name, "link", "set", `${name}n`, "up")
      },
      catch: (cause) => String(cause)
    }))
    yield* Effect.addFinalizer(() =>
      Effect.sync(() => {
        spawnSync("ip", ["link", "del", `${name}h`], { stdio: "ignore" })
        spawnSync("ip", ["netns", "del", name], { stdio: "ignore" })
      })
    )
    if (made._tag === "Left") return { address: "", port: "", reason: made.left }
    const program = `use Socket; socket(S, PF_INET, SOCK_STREAM, 0); setsockopt(S, SOL_SOCKET, SO_REUSEADDR, 1);
      bind(S, pack_sockaddr_in(0, inet_aton("${far}"))) or die $!; listen(S, 9);
      $| = 1; print((unpack_sockaddr_in(getsockname(S)))[0], "\\n"); while (accept(C, S)) { syswrite C, "${canary}"; close C }`
    const port = yield* Effect.acquireRelease(
      Effect.async<{ readonly port: string; readonly kill: () => void }>((resume) => {
        const child = spawn("ip", ["netns", "exec", name, "/usr/bin/perl", "-e", program], {
          stdio: ["ignore", "pipe", "inherit"]
        })
        child.stdout.once("data", (data) =>
          resume(Effect.succeed({ port: String(data).trim(), kill: () => child.kill("SIGKILL") })))
      }),
      ({ kill }) =>
        Effect.sync(kill)
    )
    return { address: far, port: port.port, reason: undefined }
  })

export const makeWorld: Effect.Effect<World, never, Scope.Scope> = Effect.gen(function*() {
  const id = randomBytes(4).toString("hex")
  const canary = `canary-${randomBytes(12).toString("hex")}`
  const directory = yield* resource(
    () => fs.mkdtempSync(path.join(os.tmpdir(), "smithers-world-")),
    (where) => fs.rmSync(where, { recursive: true, force: true })
  )
  const run = yield* resource(() => {
    const where = `/run/smithers-world-${id}`
    fs.mkdirSync(where)
    return where
  }, (where) => fs.rmSync(where, { recursive: true, force: true }))
  const home = yield* file(path.join(os.homedir(), `.smithers-world-${id}`), canary)
  const temporary = yield* file(path.join(directory, "secret"), canary)
  const tcp4 = yield* listener(canary, { port: 0, host: "127.0.0.1" })
  const tcp6 = yield* listener(canary, { port: 0, host: "::1" })
  yield* listener(canary, { path: path.join(directory, "service.sock") })
  yield* listener(canary, { path: path.join(directory, "agent.sock") })
  yield* listener(canary, { path: path.join(run, "docker.sock") })
  const udp = yield* resolver
  // node listens on no abstract name: its path would be cut at the NUL in front.
  const abstract = yield* Effect.acquireRelease(
    Effect.async<() => void>((resume) => {
      const program =
        `use Socket; socket(S, PF_UNIX, SOCK_STREAM, 0); bind(S, pack_sockaddr_un("\\0smithers-${id}")) or die $!;
        listen(S, 9); $| = 1; print "up\\n"; while (accept(C, S)) { syswrite C, "${canary}"; close C }`
      const child = spawn("/usr/bin/perl", ["-e", program], { stdio: ["ignore", "pipe", "inherit"] })
      child.stdout.once("data", () => resume(Effect.succeed(() => child.kill("SIGKILL"))))
    }),
    (kill) => Effect.sync(kill)
  )
  void abstract
  const victim = yield* resource(
    () => spawn("/bin/sleep", ["100000"], { env: { VICTIM: canary }, stdio: "ignore" }),
    (child) => child.kill("SIGKILL")
  )
  const far = yield* namespace(`smw${id}`, canary)
  const ambient = { SMITHERS_WORLD_CANARY: canary, SSH_AUTH_SOCK: path.join(directory, "agent.sock") }
  yield* resource(() => {
    const before = { ...process.env }
    process.env = { ...before, ...ambient }
    return before
  }, (before) => {
    process.env = before
  })
  return {
    canary,
    ambient,
    withoutNamespace: far.reason,
    variables: {
      CANARY: canary,
      ID: id,
      HOME_FILE: home,
      TMP_FILE: temporary,
      TCP4: portOf(tcp4),
      TCP6: portOf(tcp6),
      UDP: String(udp),
      UNIX: path.join(directory, "service.sock"),
      DOCKER: path.join(run, "docker.sock"),
      ABSTRACT: `smithers-${id}`,
      VICTIM_PID: String(victim.pid),
      FAR: far.address,
      FAR_PORT: far.port
    }
  }
})

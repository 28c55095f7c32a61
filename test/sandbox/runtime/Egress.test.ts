import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck, Layer, TestClock } from "effect"
import fs from "node:fs"
import http from "node:http"
import net from "node:net"
import { isPublic } from "../../../src/outbound/index.ts"
import * as EgressConfig from "../../../src/sandbox/EgressConfig.ts"
import * as EgressProxy from "../../../src/sandbox/EgressProxy.ts"
import * as EgressResolver from "../../../src/sandbox/EgressResolver.ts"
import { bubblewrapWith, proxyLayer, run } from "./support.ts"

/** A web server on loopback that echoes what it was asked. */
const origin = Effect.acquireRelease(
  Effect.async<{ readonly port: number; readonly seen: Array<http.IncomingMessage>; readonly close: () => void }>(
    (resume) => {
      const seen: Array<http.IncomingMessage> = []
      const server = http.createServer((request, response) => {
        seen.push(request)
        let body = ""
        request.on("data", (data) => (body += String(data)))
        request.on("end", () => response.end(`${request.method} ${request.url} ${request.headers.host} ${body}`))
      })
      server.listen(0, "127.0.0.1", () => {
        const { port } = server.address() as net.AddressInfo
        resume(Effect.succeed({
          port,
          seen,
          close: () => {
            server.closeAllConnections()
            server.close()
          }
        }))
      })
    }
  ),
  ({ close }) => Effect.sync(close)
)

/** Says something to the proxy, byte by byte as given, and gives all that comes back. */
const say = (socket: string, text: string) =>
  Effect.async<string>((resume) => {
    let answer = ""
    const connection = net.connect(socket, () => connection.write(text))
    connection.on("data", (data) => (answer += data.toString("latin1")))
    connection.on("error", () => undefined)
    connection.on("close", () => resume(Effect.succeed(answer)))
    return Effect.sync(() => connection.destroy())
  })

const uid = process.getuid?.() ?? 0

/** A proxy for these hosts, and a web server that the test's resolver calls mirror.test. */
const setting = (hosts: ReadonlyArray<string>, settings: Partial<EgressConfig.Settings> = {}) =>
  Effect.gen(function*() {
    const web = yield* origin
    const context = yield* Layer.build(
      proxyLayer({ ports: [80, 443, web.port], ranges: ["127.0.0.1/32"], ...settings })
    )
    const egress = yield* Effect.provide(
      Effect.flatMap(EgressProxy.EgressProxy, (proxy) => proxy.open(hosts, uid)),
      context
    )
    return { ...egress, web }
  })

const connectTo = (target: string) => `CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n\r\n`

describe("the egress proxy", () => {
  it.scoped("forwards a request to a host on the list, with the host's own header", () =>
    Effect.gen(function*() {
      const { socket, web } = yield* setting(["mirror.test"])
      const answer = yield* say(
        socket,
        `POST http://mirror.test:${web.port}/a?b HTTP/1.1\r\nHost: elsewhere.test\r\nProxy-Authorization: Basic x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody`
      )
      assert.include(answer, "HTTP/1.1 200 OK")
      assert.include(answer, `POST /a?b mirror.test:${web.port} body`)
      assert.notProperty(web.seen[0]!.headers, "proxy-authorization")
    }))

  it.scoped("tunnels to a host on the list", () =>
    Effect.gen(function*() {
      const { socket, web } = yield* setting(["mirror.test"])
      const answer = yield* say(
        socket,
        `${connectTo(`MIRROR.test.:${web.port}`)}GET /x HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`
      )
      assert.match(answer, /^HTTP\/1\.1 200 Connection Established\r\n\r\nHTTP\/1\.1 200 OK/)
      assert.include(answer, "GET /x h")
    }))

  const refusals: ReadonlyArray<readonly [string, ReadonlyArray<string>, (port: number) => string, string]> = [
    ["a host that is not on the list", ["other.test"], (port) => `mirror.test:${port}`, "HostNotListed"],
    [
      "the domain itself when only what is below it is listed",
      ["*.mirror.test"],
      (port) => `mirror.test:${port}`,
      "HostNotListed"
    ],
    ["a host whose name only ends like one on the list", ["test"], (port) => `mirror.test:${port}`, "HostNotListed"],
    ["a port that is not allowed", ["mirror.test"], () => "mirror.test:22", "PortNotAllowed"],
    ["an IPv4 address", ["*"], (port) => `127.0.0.1:${port}`, "AddressLiteral"],
    ["an IPv4 address as one number", ["*"], (port) => `2130706433:${port}`, "AddressLiteral"],
    ["an IPv4 address in hexadecimal digits", ["*"], (port) => `0x7f.1:${port}`, "AddressLiteral"],
    ["an IPv4 address in octal digits", ["*"], (port) => `0177.0.0.1:${port}`, "AddressLiteral"],
    ["an IPv6 address", ["*"], (port) => `[::1]:${port}`, "AddressLiteral"],
    ["a mapped address", ["*"], (port) => `[::ffff:127.0.0.1]:${port}`, "AddressLiteral"],
    ["a name for a private address", ["*"], () => "private.test:443", "AddressNotPublic"],
    ["a name with a private address among others", ["*"], () => "mixed.test:443", "AddressNotPublic"],
    ["a name that nobody knows", ["*"], () => "nowhere.test:443", "NoAddress"],
    ["a name with a path behind it", ["*"], () => "mirror.test/x:443", "Malformed"],
    ["a name with a user before it", ["*"], () => "mirror.test@evil.test:443", "Malformed"],
    ["a target without a port", ["*"], () => "mirror.test", "Malformed"]
  ]
  for (const [what, hosts, target, reason] of refusals) {
    it.scoped(`refuses ${what}`, () =>
      Effect.gen(function*() {
        const { refusals, socket, web } = yield* setting(hosts)
        const answer = yield* say(socket, connectTo(target(web.port)))
        assert.match(answer, /^HTTP\/1\.1 403/)
        assert.include(answer, `X-Refused: ${reason}`)
        assert.strictEqual((yield* refusals)[0]?.reason, reason)
        assert.deepStrictEqual(web.seen, [])
      }))
  }

  for (
    const [what, request, status] of [
      ["a request that names no host", "GET / HTTP/1.1\r\nHost: mirror.test\r\nConnection: close\r\n\r\n", 400],
      ["another scheme", "GET ftp://mirror.test/ HTTP/1.1\r\nHost: mirror.test\r\nConnection: close\r\n\r\n", 400],
      ["a user in an address", "GET http://a:b@mirror.test/ HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n", 400],
      [
        "a private host over plain HTTP",
        "GET http://private.test/ HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n",
        403
      ],
      [
        "the metadata service",
        "GET http://169.254.169.254/latest HTTP/1.1\r\nHost: m\r\nConnection: close\r\n\r\n",
        403
      ],
      [
        "a header beyond its bound",
        `GET http://mirror.test/ HTTP/1.1\r\nHost: m\r\nX: ${"x".repeat(20_000)}\r\n\r\n`,
        431
      ],
      [
        "two lengths at once",
        "POST http://mirror.test/ HTTP/1.1\r\nHost: m\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        400
      ],
      ["what is no HTTP", "EHLO mail\r\n\r\n", 400]
    ] as const
  ) {
    it.scoped(`answers ${what} with ${status}`, () =>
      Effect.gen(function*() {
        const { socket, web } = yield* setting(["*"])
        assert.include(yield* say(socket, request), `HTTP/1.1 ${status}`)
        assert.deepStrictEqual(web.seen, [])
      }))
  }

  it.scoped("connects to the address that it judged, though the name leads elsewhere the next time", () =>
    Effect.gen(function*() {
      const web = yield* origin
      let asked = 0
      const rebinding = EgressProxy.layer.pipe(
        Layer.provide(Layer.succeed(EgressResolver.EgressResolver, {
          resolve: () => Effect.sync(() => asked++ === 0 ? ["127.0.0.1"] : ["169.254.169.254"])
        })),
        Layer.provide(Layer.succeed(EgressConfig.EgressConfig, {
          ...EgressConfig.defaults,
          ports: [web.port],
          ranges: ["127.0.0.1/32"]
        })),
        Layer.provide(NodeContext.layer)
      )
      const context = yield* Layer.build(rebinding)
      const { socket } = yield* Effect.provide(
        Effect.flatMap(EgressProxy.EgressProxy, (proxy) => proxy.open(["*"], uid)),
        context
      )
      const request = `${connectTo(`rebind.test:${web.port}`)}GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n`
      assert.include(yield* say(socket, request), "200 OK")
      assert.strictEqual(asked, 1)
      assert.include(yield* say(socket, request), "AddressNotPublic")
    }))

  it.scoped("a name server that does not answer is not waited for", () =>
    Effect.gen(function*() {
      const silent = EgressProxy.layer.pipe(
        Layer.provide(Layer.succeed(EgressResolver.EgressResolver, { resolve: () => Effect.never })),
        Layer.provide(NodeContext.layer)
      )
      const context = yield* Layer.build(silent)
      const { refusals, socket } = yield* Effect.provide(
        Effect.flatMap(EgressProxy.EgressProxy, (proxy) => proxy.open(["*"], uid)),
        context
      )
      const asking = yield* Effect.fork(say(socket, connectTo("slow.test:443")))
      yield* TestClock.adjust("5 seconds").pipe(
        Effect.zipRight(Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))),
        Effect.zipRight(refusals),
        Effect.repeat({ until: (all) => all.length > 0 })
      )
      assert.include(yield* asking, "NoAddress")
    }))

  it.scoped("a host that refuses the connection is a bad gateway", () =>
    Effect.gen(function*() {
      const { socket, web } = yield* setting(["mirror.test"])
      web.close()
      assert.match(yield* say(socket, connectTo(`mirror.test:${web.port}`)), /^HTTP\/1\.1 502/)
    }))

  it.scoped("more connections than the bound are not served", () =>
    Effect.gen(function*() {
      const { socket } = yield* setting(["mirror.test"], { maxConnections: 2 })
      const held = Array.from({ length: 2 }, () => net.connect(socket))
      yield* Effect.addFinalizer(() => Effect.sync(() => held.forEach((connection) => connection.destroy())))
      yield* Effect.forEach(held, (connection) =>
        Effect.async<void>((resume) => void connection.once("connect", () => resume(Effect.void))))
      assert.strictEqual(yield* say(socket, connectTo("mirror.test:443")), "")
    }))

  it.effect("cuts all connections and is gone when its scope closes", () =>
    Effect.gen(function*() {
      const path = yield* Effect.scoped(Effect.gen(function*() {
        const { socket } = yield* setting(["mirror.test"])
        const connection = net.connect(socket)
        connection.on("error", () => undefined)
        yield* Effect.async<void>((resume) => void connection.once("connect", () => resume(Effect.void)))
        return socket
      }))
      assert.isFalse(fs.existsSync(path))
    }))
})

describe("addresses", () => {
  const judged: ReadonlyArray<readonly [string, boolean]> = [
    ...["1.1.1.1", "8.8.8.8", "93.184.216.34", "172.15.255.255", "172.32.0.1", "100.63.0.1", "2606:4700::1111"].map((
      a
    ) => [a, true] as const),
    ...["0.0.0.0", "10.0.0.1", "100.64.0.1", "100.127.255.255", "127.0.0.1", "127.255.255.255", "169.254.169.254"],
    ...[
      "172.16.0.1",
      "172.31.255.255",
      "192.0.0.1",
      "192.168.1.1",
      "198.18.0.1",
      "224.0.0.1",
      "239.1.1.1",
      "240.0.0.1"
    ],
    ...["255.255.255.255", "168.63.129.16", "::", "::1", "::ffff:8.8.8.8", "::ffff:127.0.0.1", "64:ff9b::808:808"],
    ...[
      "64:ff9b:1::1",
      "fe80::1",
      "fe80::1%eth0",
      "fc00::1",
      "fd00:ec2::254",
      "ff02::1",
      "2001:db8::1",
      "2002:7f00:1::"
    ],
    ...["2001::1", "100::1", "2606:4700::1111%eth0", "example.com", "", "1.1.1", "1.1.1.1/8"]
  ].map((entry) => typeof entry === "string" ? [entry, false] as const : entry)
  for (const [address, open] of judged) {
    it(`${address === "" ? "nothing" : address} is ${open ? "" : "not "}public`, () => {
      assert.strictEqual(isPublic(address), open)
    })
  }

  it("no address of a private network is public", () => {
    const octet = FastCheck.integer({ min: 0, max: 255 })
    FastCheck.assert(FastCheck.property(octet, octet, octet, (a, b, c) => {
      for (
        const address of [
          `10.${a}.${b}.${c}`,
          `127.${a}.${b}.${c}`,
          `192.168.${a}.${b}`,
          `172.${16 + (a % 16)}.${b}.${c}`
        ]
      ) {
        assert.isFalse(isPublic(address))
        assert.isFalse(isPublic(`::ffff:${address}`))
        assert.isFalse(isPublic(`64:ff9b::${address}`))
      }
    }))
  })
})

const missing = fs.existsSync("/usr/bin/bwrap") ? [] : ["bwrap"]
describe.skipIf(missing.length > 0)("a sandbox with a list of hosts", () => { // needs bwrap, which set-up installs
  it.scoped("reaches a listed host by the proxy, and nothing else", () =>
    Effect.gen(function*() {
      const web = yield* origin
      const program = `
        const http = require("node:http")
        const ask = (host) => new Promise((done) => http.get({ host: "127.0.0.1", port: 3128, path: "http://" + host + "/" },
          (answer) => { answer.resume(); answer.on("end", () => done(answer.statusCode)) }).on("error", (e) => done(e.code)))
        const direct = new Promise((done) => http.get({ host: "127.0.0.1", port: ${web.port} }, () => done("reached")).on("error", (e) => done(e.code)))
        const lookup = new Promise((done) => require("node:dns").lookup("mirror.test", (e) => done(e ? e.code : "resolved")))
        ;(async () => console.log(await ask("mirror.test:${web.port}"), await ask("private.test"), await ask("127.0.0.1:${web.port}"), await direct, await lookup, process.env.HTTPS_PROXY))()
      `
      const { stderr, stdout } = yield* run(["node", "-e", program], {
        policy: { allowNetwork: { hosts: ["mirror.test"] } }
      }).pipe(Effect.provide(bubblewrapWith({ egress: { ports: [web.port], ranges: ["127.0.0.1/32"] } })))
      assert.match(stdout, /^200 403 403 ECONNREFUSED (EAI_AGAIN|ENOTFOUND) http:\/\/127\.0\.0\.1:3128\n$/, stderr)
      assert.strictEqual(web.seen.length, 1)
    }))

  it.effect("its command has no children but its own", () =>
    Effect.gen(function*() {
      const { stdout } = yield* run(["perl", "-e", "print wait"], { policy: { allowNetwork: true } })
      assert.strictEqual(stdout, "-1")
    }).pipe(Effect.provide(bubblewrapWith())))
})

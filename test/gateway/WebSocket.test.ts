import { assert, layer } from "@effect/vitest"
import { Duration, Effect, TestClock } from "effect"
import http from "node:http"
import { Access } from "../../src/access/index.ts"
import { systemActor } from "../../src/model/index.ts"
import { request, rpc, type Wire } from "./support/Http.ts"
import {
  addEvents,
  address,
  addRun,
  adminToken,
  gatewayWith,
  nodeEvents,
  setStatus,
  tokenFor
} from "./support/Service.ts"
import { connected, connectParams, openWs } from "./support/Ws.ts"

/** The refusal of an upgrade: status and plain text. */
const upgradeRefusal = (headers: http.OutgoingHttpHeaders) =>
  Effect.flatMap(address, ({ port }) =>
    Effect.async<{ readonly status: number; readonly text: string }>((resume) => {
      http.get({
        port,
        host: "127.0.0.1",
        headers: {
          Connection: "Upgrade",
          Upgrade: "websocket",
          "Sec-WebSocket-Version": 13,
          "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
          ...headers
        }
      }, (response) => {
        let text = ""
        response.on("data", (chunk) => text += String(chunk))
        response.on("end", () => resume(Effect.succeed({ status: response.statusCode!, text })))
      })
    }))

layer(gatewayWith())("the handshake", (it) => {
  it.scoped("begins with a challenge, on any path, under the API's version header", () =>
    Effect.gen(function*() {
      const { next, socket } = yield* openWs({}, "/any/path?x=1")
      const challenge = yield* next
      assert.deepInclude(challenge, {
        type: "event",
        event: "connect.challenge",
        seq: 1,
        stateVersion: 0,
        apiVersion: "v1"
      })
      assert.isString(challenge.payload.nonce)
      assert.isNumber(challenge.payload.ts)
      assert.isDefined(socket)
    }))

  it.effect("the 101 answer carries the version header", () =>
    Effect.gen(function*() {
      const { port } = yield* address
      const header = yield* Effect.async<unknown>((resume) => {
        const outgoing = http.get({
          port,
          host: "127.0.0.1",
          headers: {
            Connection: "Upgrade",
            Upgrade: "websocket",
            "Sec-WebSocket-Version": 13,
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ=="
          }
        })
        outgoing.on("upgrade", (response, socket) => {
          socket.destroy()
          resume(Effect.succeed(response.headers["x-smithers-api-version"]))
        })
      })
      assert.strictEqual(header, "v1")
    }))

  it.scoped("hello says who the caller is and what is going on", () =>
    Effect.gen(function*() {
      yield* addRun("hello-running")
      yield* addRun("hello-parked")
      yield* setStatus("hello-parked", "waiting-approval")
      const { hello } = yield* connected(adminToken, { subscribe: ["hello-running"] })
      assert.isTrue(hello.ok)
      const { auth, identity, policy, protocol, snapshot } = hello.payload
      assert.strictEqual(protocol, 1)
      assert.strictEqual(identity.pid, process.pid)
      assert.deepStrictEqual(policy, { heartbeatMs: 15_000 })
      assert.deepInclude(auth, { role: "admin", scopes: ["*"] })
      assert.isString(auth.sessionToken)
      assert.sameMembers(snapshot.runs.map(({ runId }: Wire) => runId), ["hello-running", "hello-parked"])
      assert.deepStrictEqual(snapshot.approvals, [])
      assert.isNumber(snapshot.stateVersion)
    }))

  it.scoped("without a token in connect, the credential of the upgrade counts", () =>
    Effect.gen(function*() {
      const client = yield* openWs({ headers: { Authorization: `Bearer ${adminToken}` } })
      const hello = yield* client.call("connect", connectParams(undefined))
      assert.isTrue(hello.ok)
    }))

  it.scoped("any other method first is UNAUTHORIZED, and the socket stays", () =>
    Effect.gen(function*() {
      const client = yield* openWs()
      for (const method of ["health", "streamRunEvents"]) {
        const { error } = yield* client.call(method, {})
        assert.deepInclude(error, { code: "UNAUTHORIZED", message: "Connect first" })
      }
      assert.isTrue((yield* client.call("connect", connectParams(adminToken))).ok)
      assert.isTrue((yield* client.call("health")).ok)
    }))

  it.scoped("parameters that are none, and a protocol that is not spoken, are told, and the socket stays", () =>
    Effect.gen(function*() {
      const client = yield* openWs()
      for (
        const params of [[], 5, {}, { minProtocol: 1, maxProtocol: 1 }, {
          minProtocol: "1",
          maxProtocol: 1,
          client: {}
        }]
      ) {
        assert.strictEqual((yield* client.call("connect", params)).error.code, "INVALID_REQUEST")
      }
      const params = { ...connectParams(adminToken), minProtocol: 2, maxProtocol: 3 }
      assert.strictEqual((yield* client.call("connect", params)).error.code, "PROTOCOL_UNSUPPORTED")
      assert.isTrue((yield* client.call("connect", connectParams(adminToken))).ok)
    }))

  it.scoped("bad credentials are answered, then the socket is closed with 1008", () =>
    Effect.gen(function*() {
      const client = yield* openWs()
      const { error } = yield* client.call("connect", connectParams("wrong-token-wrong-token"))
      assert.deepInclude(error, { code: "UNAUTHORIZED", message: "Invalid token" })
      assert.deepStrictEqual(yield* client.closed, { code: 1008, reason: "authentication failed" })
    }))

  it.scoped("who does not connect within ten seconds is cut off", () =>
    Effect.gen(function*() {
      const client = yield* openWs()
      yield* client.next
      yield* TestClock.adjust(Duration.seconds(10))
      assert.strictEqual((yield* client.closed).code, 1006)
    }))

  it.scoped("who has connected is not", () =>
    Effect.gen(function*() {
      const client = yield* connected()
      yield* TestClock.adjust(Duration.seconds(11))
      assert.isTrue((yield* client.call("health")).ok)
    }))

  it.effect("a cookie does not open a socket for a foreign page", () =>
    Effect.gen(function*() {
      const { port } = yield* address
      const answer = yield* upgradeRefusal({
        Cookie: `smithers_session_${port}=${adminToken}`,
        Origin: "https://evil.example"
      })
      assert.deepStrictEqual(answer, { status: 403, text: "Origin is not allowed" })
    }))

  it.scoped("the pool of sockets that have not connected holds 64", () =>
    Effect.gen(function*() {
      const clients = yield* Effect.forEach(Array.from({ length: 64 }), () => openWs(), { concurrency: 16 })
      assert.deepStrictEqual(yield* upgradeRefusal({}), { status: 503, text: "Too many connections" })
      yield* clients[0]!.call("connect", connectParams(adminToken))
      assert.isObject(yield* (yield* openWs()).next)
    }))
})

layer(gatewayWith({}, { allowedOrigins: ["https://ops.example"] }))("a list of allowed origins", (it) => {
  it.effect("refuses the upgrade of another origin", () =>
    Effect.gen(function*() {
      const { status } = yield* upgradeRefusal({ Origin: "https://evil.example" })
      assert.strictEqual(status, 403)
    }))
})

layer(gatewayWith())("frames", (it) => {
  it.scoped("what cannot be read is answered under the id invalid, and the socket stays", () =>
    Effect.gen(function*() {
      const client = yield* connected()
      const long = { type: "req", id: "x".repeat(129), method: "health" }
      for (
        const frame of ["nope", "[]", "5", "{\"type\":\"req\"}", Buffer.from([0xff, 0xfe]), long, {
          type: "res",
          id: "1"
        }]
      ) {
        yield* client.send(frame)
        const answer = yield* client.until(({ type }) => type === "res")
        assert.deepStrictEqual([answer.id, answer.ok, answer.error.code], ["invalid", false, "INVALID_INPUT"])
      }
      client.socket.send(Buffer.from("{}"), { binary: true })
      assert.strictEqual((yield* client.until(({ type }) => type === "res")).error.code, "INVALID_INPUT")
      assert.isTrue((yield* client.call("health")).ok)
    }))

  it.scoped("parameters beyond the bounds are answered under the request's id", () =>
    Effect.gen(function*() {
      const client = yield* connected()
      const { error } = yield* client.call("listRuns", { filter: { a: Array(257).fill(0) } })
      assert.deepInclude(error, { code: "INVALID_INPUT", message: "params.filter.a: must have at most 256 elements" })
    }))

  it.scoped("a message over 1 MiB closes the socket with 1009", () =>
    Effect.gen(function*() {
      const client = yield* connected()
      yield* client.send("x".repeat(1_048_577))
      assert.strictEqual((yield* client.closed).code, 1009)
    }))

  it.scoped("a call has the same answer as over HTTP", () =>
    Effect.gen(function*() {
      yield* addRun("same-1")
      const client = yield* connected()
      const overHttp = yield* rpc("listNodeStates", { runId: "same-1" })
      const overWs = yield* client.call("listNodeStates", { runId: "same-1" })
      assert.deepStrictEqual({ ...overWs, id: 0 }, { ...overHttp.frame, id: 0 })
      const refused = yield* client.call("getRun", { runId: "nobody" })
      assert.deepStrictEqual(refused.error, (yield* rpc("getRun", { runId: "nobody" })).frame.error)
    }))

  it.scoped("event frames are numbered one by one, responses are not", () =>
    Effect.gen(function*() {
      yield* addRun("seq-1")
      const client = yield* connected()
      const seqs: Array<number> = []
      for (let i = 0; i < 3; i++) {
        yield* addEvents("seq-1", nodeEvents(1, i))
        seqs.push((yield* client.until(({ event }) => event === "node.finished")).seq)
        yield* client.call("health")
      }
      // The challenge was the first.
      assert.deepStrictEqual(seqs, [2, 3, 4])
    }))

  it.scoped("a tick comes at every heartbeat", () =>
    Effect.gen(function*() {
      const client = yield* connected()
      yield* TestClock.adjust(Duration.seconds(15))
      const { payload } = yield* client.until(({ event }) => event === "tick")
      assert.isNumber(payload.ts)
    }))
})

layer(gatewayWith())("broadcast", (it) => {
  const live = (client: { readonly until: (fits: (frame: Wire) => boolean) => Effect.Effect<Wire> }) =>
    client.until(({ event, type }) => type === "event" && event !== "tick" && event !== "connect.challenge")

  it.scoped("speaks the live vocabulary, each event once, with a state version of its own", () =>
    Effect.gen(function*() {
      const runId = "cast-1"
      yield* addRun(runId)
      const client = yield* connected()
      const node = { nodeId: "a", iteration: 0 }
      yield* addEvents(runId, [
        { type: "RunStarted" },
        { type: "NodePending", ...node },
        { type: "NodeStarted", ...node, attempt: 1 },
        { type: "NodeFailed", ...node, attempt: 1, data: { error: { name: "Error", message: "kaput" } } },
        { type: "NodeRetrying", ...node, attempt: 2 },
        { type: "NodeFinished", ...node, attempt: 2 },
        { type: "RunStatusChanged", data: { status: "waiting-approval" } },
        { type: "ApprovalRequested", nodeId: "gate", iteration: 0 },
        { type: "NodeWaitingApproval", nodeId: "gate", iteration: 0 },
        { type: "ApprovalGranted", nodeId: "gate", iteration: 0 },
        { type: "NodeOutput", ...node, attempt: 2, data: { text: "hi", stream: "stderr" } },
        { type: "RunFinished" }
      ])
      const frames: Array<Wire> = []
      while (frames.at(-1)?.event !== "run.completed") frames.push(yield* live(client))
      assert.deepStrictEqual(frames.map(({ event, payload }) => [event, payload]), [
        ["node.pending", { runId, nodeId: "a", state: "pending", iteration: 0 }],
        ["node.started", { runId, nodeId: "a", state: "in-progress" }],
        ["node.failed", { runId, nodeId: "a", state: "failed", error: { name: "Error", message: "kaput" } }],
        ["node.retrying", { runId, nodeId: "a", state: "in-progress", attempt: 2 }],
        ["node.finished", { runId, nodeId: "a", state: "finished" }],
        ["approval.requested", { runId, nodeId: "gate", iteration: 0 }],
        ["node.waiting_approval", { runId, nodeId: "gate", state: "waiting", iteration: 0 }],
        ["approval.decided", { runId, nodeId: "gate", iteration: 0, approved: true }],
        ["task.output", { runId, nodeId: "a", output: "hi", stream: "stderr" }],
        ["run.completed", { runId, status: "finished" }]
      ])
      const versions = frames.map(({ stateVersion }) => stateVersion)
      assert.deepStrictEqual(versions.map((version) => version - versions[0]), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9])
    }))

  it.scoped("goes to who subscribed to the run, to nothing, or to everything", () =>
    Effect.gen(function*() {
      yield* addRun("cast-a")
      yield* addRun("cast-b")
      const everything = yield* connected()
      const empty = yield* connected(adminToken, { subscribe: [] })
      const one = yield* connected(adminToken, { subscribe: ["cast-b"] })
      yield* addEvents("cast-a", nodeEvents(1))
      yield* addEvents("cast-b", nodeEvents(1))
      for (const client of [everything, empty]) {
        assert.strictEqual((yield* live(client)).payload.runId, "cast-a")
        assert.strictEqual((yield* live(client)).payload.runId, "cast-b")
      }
      assert.strictEqual((yield* live(one)).payload.runId, "cast-b")
    }))

  it.scoped("connect again changes what a socket is subscribed to", () =>
    Effect.gen(function*() {
      yield* addRun("again-a")
      yield* addRun("again-b")
      const client = yield* connected(adminToken, { subscribe: ["again-a"] })
      yield* client.call("connect", connectParams(adminToken, { subscribe: ["again-b"] }))
      yield* addEvents("again-a", nodeEvents(1))
      yield* addEvents("again-b", nodeEvents(1))
      assert.strictEqual((yield* live(client)).payload.runId, "again-b")
    }))

  it.scoped("does not reach who may not read runs, nor does the snapshot", () =>
    Effect.gen(function*() {
      yield* addRun("private-1")
      const { token } = yield* tokenFor(["cron:read"])
      const client = yield* connected(token)
      assert.deepStrictEqual(client.hello.payload.snapshot.runs, [])
      yield* addEvents("private-1", nodeEvents(1))
      yield* TestClock.adjust(Duration.seconds(15))
      assert.strictEqual((yield* client.until(({ event }) => event !== "connect.challenge")).event, "tick")
    }))
})

layer(gatewayWith())("the end of a grant", (it) => {
  it.scoped("revocation closes the sockets of the token, and no other", () =>
    Effect.gen(function*() {
      const access = yield* Access.Access
      const revoked = yield* tokenFor(["run:read"])
      const other = yield* connected((yield* tokenFor(["run:read"])).token)
      const client = yield* connected(revoked.token)
      yield* access.revoke(revoked.tokenId, systemActor)
      assert.deepStrictEqual(yield* client.closed, { code: 1008, reason: "token revoked" })
      assert.isTrue((yield* other.call("health")).ok)
    }))

  it.scoped("expiry closes them", () =>
    Effect.gen(function*() {
      const { token } = yield* tokenFor(["run:read"], { ttlMs: 60_000 })
      const client = yield* connected(token)
      yield* TestClock.adjust(Duration.seconds(61))
      assert.deepStrictEqual(yield* client.closed, { code: 1008, reason: "token expired" })
    }))

  it.effect("is counted with the connections", () =>
    Effect.gen(function*() {
      const { text } = yield* request("/metrics")
      assert.match(text, /smithers_gateway_connections_total [1-9]/)
      assert.match(text, /smithers_gateway_connections_closed_total [1-9]/)
      assert.match(text, /smithers_gateway_connections_active \d/)
    }))
})

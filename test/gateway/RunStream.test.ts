import { NodeContext, NodeHttpClient, NodeSocket } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Chunk, Deferred, Duration, Effect, Fiber, Layer, Redacted, Ref, Stream, TestClock } from "effect"
import * as GatewayClient from "../../src/gateway/client.ts"
import { request, rpc, type Wire } from "./support/Http.ts"
import { addEvents, address, addRun, adminToken, gatewayWith, nodeEvents, tokenFor } from "./support/Service.ts"
import { connected, type WsClient } from "./support/Ws.ts"

const take = (client: WsClient, count: number) =>
  Effect.replicateEffect(client.until(({ event }) => event === "run.event"), count)

const seqs = (frames: ReadonlyArray<Wire>) => frames.map(({ payload }) => payload.seq)

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i)

layer(gatewayWith())("streamRunEvents", (it) => {
  it.scoped("answers where it begins and how far the journal reaches", () =>
    Effect.gen(function*() {
      yield* addRun("open-1")
      yield* addEvents("open-1", nodeEvents(12))
      const client = yield* connected()
      const { payload } = yield* client.call("streamRunEvents", { runId: "open-1" })
      assert.match(payload.streamId, /^[0-9a-f-]{36}$/)
      assert.deepStrictEqual({ ...payload, streamId: "" }, {
        streamId: "",
        runId: "open-1",
        afterSeq: null,
        currentSeq: 12
      })
    }))

  it.scoped("replays what was stored after the given seq, then goes on live, with no gap and no duplicate", () =>
    Effect.gen(function*() {
      yield* addRun("replay-1")
      yield* addEvents("replay-1", nodeEvents(1_500))
      const client = yield* connected()
      const { payload } = yield* client.call("streamRunEvents", { runId: "replay-1", afterSeq: 3 })
      assert.deepInclude(payload, { afterSeq: 3, currentSeq: 1_500 })
      // Committed while the replay is under way.
      yield* Effect.forEach(range(1, 20), (i) => addEvents("replay-1", nodeEvents(25, i)), { concurrency: 4 })
      assert.deepStrictEqual(seqs(yield* take(client, 1_997)), range(4, 2_000))
    }))

  it.scoped("without a seq it begins now", () =>
    Effect.gen(function*() {
      yield* addRun("now-1")
      yield* addEvents("now-1", nodeEvents(3))
      const client = yield* connected()
      yield* client.call("streamRunEvents", { runId: "now-1" })
      yield* addEvents("now-1", nodeEvents(2))
      assert.deepStrictEqual(seqs(yield* take(client, 2)), [4, 5])
    }))

  it.scoped("a frame carries stream, run, event, payload and the run's seq", () =>
    Effect.gen(function*() {
      yield* addRun("frame-1")
      const client = yield* connected()
      const { payload: { streamId } } = yield* client.call("streamRunEvents", { runId: "frame-1" })
      yield* addEvents("frame-1", [{ type: "NodeFinished", nodeId: "a", iteration: 0, attempt: 1 }, {
        type: "RunStarted"
      }])
      const [translated, stored] = yield* take(client, 2)
      assert.deepInclude(translated, { type: "event", event: "run.event", apiVersion: "v1" })
      assert.deepStrictEqual({ ...translated.payload, stateVersion: 0 }, {
        type: "RunEvent",
        runId: "frame-1",
        event: "node.finished",
        payload: { runId: "frame-1", nodeId: "a", state: "finished" },
        seq: 1,
        timestampMs: 1_000,
        streamId,
        apiVersion: "v1",
        stateVersion: 0
      })
      // What has no live name comes under its stored one, so that the sequence has no gap.
      assert.deepInclude(stored.payload, { event: "RunStarted", seq: 2 })
    }))

  it.scoped("an event comes in the stream instead of as a plain frame, once for each stream", () =>
    Effect.gen(function*() {
      yield* addRun("once-1")
      yield* addRun("once-2")
      const client = yield* connected()
      const first = yield* client.call("streamRunEvents", { runId: "once-1" })
      const second = yield* client.call("streamRunEvents", { runId: "once-1" })
      yield* addEvents("once-1", nodeEvents(1))
      yield* addEvents("once-2", nodeEvents(1))
      const frames: Array<Wire> = []
      while (frames.length < 3) {
        frames.push(yield* client.until(({ event, type }) => type === "event" && event !== "run.heartbeat"))
      }
      const streamed = frames.filter(({ event }) => event === "run.event").map(({ payload }) => payload.streamId)
      assert.sameMembers(streamed, [first.payload.streamId, second.payload.streamId])
      assert.deepInclude(frames.find(({ event }) => event === "node.finished"), {
        payload: { runId: "once-2", nodeId: "n0", state: "finished" }
      })
    }))

  it.scoped("a heartbeat comes every second for each stream", () =>
    Effect.gen(function*() {
      yield* addRun("beat-1")
      const client = yield* connected()
      const { payload: { streamId } } = yield* client.call("streamRunEvents", { runId: "beat-1" })
      yield* TestClock.adjust(Duration.seconds(1))
      const { payload } = yield* client.until(({ event }) => event === "run.heartbeat")
      assert.deepInclude(payload, { apiVersion: "v1", type: "Heartbeat", streamId, runId: "beat-1" })
      assert.isNumber(payload.ts)
    }))

  it.scoped("a seq out of range, an unknown run and a missing one are told", () =>
    Effect.gen(function*() {
      yield* addRun("range-1")
      const client = yield* connected()
      const code = (params: object) => Effect.map(client.call("streamRunEvents", params), ({ error }) => error.code)
      assert.strictEqual(yield* code({ runId: "range-1", afterSeq: 1 }), "SeqOutOfRange")
      assert.strictEqual(yield* code({ runId: "range-1", afterSeq: -1 }), "SeqOutOfRange")
      assert.strictEqual(yield* code({ runId: "range-1", afterSeq: 0.5 }), "SeqOutOfRange")
      assert.strictEqual(yield* code({}), "InvalidRunId")
      assert.strictEqual(yield* code({ runId: "nobody" }), "RunNotFound")
    }))

  it.scoped("needs run:read", () =>
    Effect.gen(function*() {
      yield* addRun("scope-1")
      const { token } = yield* tokenFor(["cron:read"])
      const client = yield* connected(token)
      const { error } = yield* client.call("streamRunEvents", { runId: "scope-1" })
      assert.deepInclude(error, { code: "FORBIDDEN", requiredScope: "run:read" })
    }))

  it.scoped("one connection may hold 8, one user 32, one run 64; closed ones count no more", () =>
    Effect.gen(function*() {
      yield* Effect.forEach(["cap-1", "cap-2"], (runId) => addRun(runId))
      const tokens = yield* Effect.forEach(["alice", "bob", "carol"], (userId) => tokenFor(["run:read"], { userId }))
      const open = (client: WsClient, runId: string, count: number) =>
        Effect.replicateEffect(client.call("streamRunEvents", { runId }), count)
      const refused = (client: WsClient, runId: string) =>
        Effect.map(client.call("streamRunEvents", { runId }), ({ error }) => [error?.code, error?.scope, error?.limit])
      const alices = yield* Effect.replicateEffect(connected(tokens[0]!.token), 5)
      yield* Effect.forEach(alices.slice(0, 4), (client) => open(client, "cap-1", 8))
      assert.deepStrictEqual(yield* refused(alices[0]!, "cap-1"), ["RateLimited", "connection", 8])
      assert.deepStrictEqual(yield* refused(alices[4]!, "cap-1"), ["RateLimited", "user", 32])
      const bobs = yield* Effect.replicateEffect(connected(tokens[1]!.token), 4)
      yield* Effect.forEach(bobs, (client) => open(client, "cap-1", 8))
      const carol = yield* connected(tokens[2]!.token)
      assert.deepStrictEqual(yield* refused(carol, "cap-1"), ["RateLimited", "run", 64])
      assert.isTrue((yield* carol.call("streamRunEvents", { runId: "cap-2" })).ok)
      bobs[0]!.socket.close()
      yield* bobs[0]!.closed
      const retried = yield* carol.call("streamRunEvents", { runId: "cap-1" }).pipe(
        Effect.repeat({ until: (answer: Wire): boolean => answer.ok, times: 100 })
      )
      assert.isTrue(retried.ok)
    }))
})

const client = (token = adminToken) =>
  Effect.flatMap(address, ({ url }) => GatewayClient.make({ baseUrl: `${url}/`, token: Redacted.make(token) }))

const clientLayer = Layer.mergeAll(NodeHttpClient.layer, NodeSocket.layerWebSocketConstructor)

layer(Layer.provideMerge(gatewayWith(), Layer.merge(clientLayer, NodeContext.layer)), { excludeTestServices: true })(
  "the typed client",
  (it) => {
    it.effect("has one effect per method, decoded by its schema", () =>
      Effect.gen(function*() {
        const gateway = yield* client()
        yield* addRun("client-1")
        const run = yield* gateway.getRun({ runId: "client-1" })
        assert.strictEqual(run.status, "running")
        assert.deepStrictEqual((yield* gateway.listWorkflows({})).map(({ key }) => key), ["demo", "zeta"])
        assert.deepStrictEqual(yield* gateway["attempts.list"]({ runId: "client-1" }), [])
      }))

    it.effect("fails as the gateway says", () =>
      Effect.gen(function*() {
        const gateway = yield* client()
        const missing = yield* Effect.flip(gateway.getRun({ runId: "nobody" }))
        assert.deepInclude(missing, { _tag: "GatewayFailure", code: "NOT_FOUND" })
        const stranger = yield* Effect.flip((yield* client("wrong-token-wrong-token")).health({}))
        assert.deepInclude(stranger, { _tag: "GatewayFailure", code: "UNAUTHORIZED" })
        const reader = yield* client((yield* tokenFor(["run:read"])).token)
        const forbidden = yield* Effect.flip(reader.cancelRun({ runId: "client-1" }))
        assert.deepInclude(forbidden, { code: "FORBIDDEN", details: { requiredScope: "run:write" } })
      }))

    it.effect("fails GatewayUnreachable where nobody listens, and where somebody else does", () =>
      Effect.gen(function*() {
        const nobody = yield* GatewayClient.make({ baseUrl: "http://127.0.0.1:1", token: Redacted.make("t") })
        assert.deepInclude(yield* Effect.flip(nobody.health({})), { _tag: "GatewayUnreachable", reason: "Network" })
        const { url } = yield* address
        const other = yield* GatewayClient.make({ baseUrl: `${url}/nowhere`, token: Redacted.make("t") })
        assert.deepInclude(yield* Effect.flip(other.health({})), { _tag: "GatewayUnreachable", reason: "NotAGateway" })
      }))

    it.effect("a stream that loses its connection goes on after the last event it handed out", () =>
      Effect.gen(function*() {
        const gateway = yield* client((yield* tokenFor(["run:read"])).token)
        yield* addRun("resume-1")
        yield* addEvents("resume-1", nodeEvents(10))
        const seen = yield* Ref.make<ReadonlyArray<number>>([])
        const half = yield* Deferred.make<void>()
        const fiber = yield* gateway.streamRunEvents({ runId: "resume-1", afterSeq: 0 }).pipe(
          Stream.tap(({ seq }) => Ref.update(seen, (all) => [...all, seq])),
          Stream.tap(({ seq }) => seq === 10 ? Deferred.succeed(half, undefined) : Effect.void),
          Stream.take(30),
          Stream.runCollect,
          Effect.fork
        )
        yield* Deferred.await(half)
        yield* dropSockets
        yield* addEvents("resume-1", nodeEvents(20))
        const events = Chunk.toReadonlyArray(yield* Fiber.join(fiber))
        assert.deepStrictEqual(events.map(({ seq }) => seq), range(1, 30))
        assert.deepStrictEqual(yield* Ref.get(seen), range(1, 30))
      }))

    it.effect("a stream that the gateway refuses fails", () =>
      Effect.gen(function*() {
        const gateway = yield* client()
        const error = yield* Effect.flip(Stream.runDrain(gateway.streamRunEvents({ runId: "nobody" })))
        assert.deepInclude(error, { _tag: "GatewayFailure", code: "RunNotFound" })
      }))
  }
)

/** Ends every established connection to the gateway from outside, as a network does. */
const dropSockets = Effect.gen(function*() {
  const { port } = yield* address
  // process._getActiveHandles is the only list of this process's sockets that node has.
  const handles = (process as unknown as { readonly _getActiveHandles: () => ReadonlyArray<Wire> })._getActiveHandles()
  for (const handle of handles) {
    if (handle.remotePort === port && typeof handle.resetAndDestroy === "function") handle.resetAndDestroy()
  }
  assert.strictEqual((yield* request("/health")).status, 200)
  assert.strictEqual((yield* rpc("health")).status, 200)
})

import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { bearer, parse, request, rpc } from "./support/Http.ts"
import { addRun, adminToken, gatewayWith } from "./support/Service.ts"

const uuid = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

layer(gatewayWith(), { excludeTestServices: true })("the envelope of HTTP", (it) => {
  it.effect("a success is a frame with the payload, and carries the headers of the API", () =>
    Effect.gen(function*() {
      yield* addRun("envelope-1")
      const { frame, headers, status } = yield* rpc("getRun", { runId: "envelope-1" })
      assert.strictEqual(status, 200)
      assert.deepStrictEqual(Object.keys(frame), ["type", "id", "ok", "apiVersion", "payload"])
      assert.deepInclude(frame, { type: "res", ok: true, apiVersion: "v1" })
      assert.match(frame.id, uuid)
      assert.strictEqual(frame.payload.runId, "envelope-1")
      assert.deepInclude(headers, {
        "content-type": "application/json",
        "cache-control": "no-store",
        "x-content-type-options": "nosniff",
        "x-smithers-api-version": "v1"
      })
      assert.isTrue(Object.keys(headers).every((name) => !name.startsWith("access-control")))
    }))

  it.effect("a failure is a frame with version, code and message under the status of its code", () =>
    Effect.gen(function*() {
      const { frame, status } = yield* rpc("getRun", { runId: "nobody" })
      assert.strictEqual(status, 404)
      assert.deepStrictEqual(frame.error, { version: "v1", code: "NOT_FOUND", message: "Run not found: nobody" })
      assert.isFalse(frame.ok)
    }))

  it.effect("an envelope's id is echoed, and its method gives way to the one of the path", () =>
    Effect.gen(function*() {
      const { frame, status } = yield* rpc("listRuns", { id: "my-id", method: "launchRun", params: {} })
      assert.strictEqual(status, 200)
      assert.strictEqual(frame.id, "my-id")
      assert.isArray(frame.payload)
    }))

  it.effect("without an id in the body, x-request-id is echoed", () =>
    Effect.gen(function*() {
      const answer = yield* request("/v1/rpc/health", {
        method: "POST",
        headers: { ...bearer(adminToken), "x-request-id": "req-77" }
      })
      assert.strictEqual(parse(answer.text).id, "req-77")
    }))

  it.effect("an empty body counts as no parameters", () =>
    Effect.gen(function*() {
      const { frame, status } = yield* rpc("listWorkflows", Buffer.alloc(0))
      assert.strictEqual(status, 200)
      assert.deepStrictEqual(frame.payload.map(({ key }: { key: string }) => key), ["demo", "zeta"])
    }))

  it.effect("/rpc takes the method from the body", () =>
    Effect.gen(function*() {
      const send = (body: unknown) =>
        request("/rpc", { method: "POST", headers: bearer(adminToken), body: JSON.stringify(body) })
      const answer = yield* send({ id: "1", method: "health", params: {} })
      assert.strictEqual(answer.status, 200)
      assert.deepInclude(parse(answer.text), { id: "1", ok: true })
      assert.strictEqual((yield* send({ params: {} })).status, 400)
    }))

  it.effect("an alias is the method it stands for", () =>
    Effect.gen(function*() {
      const { frame, status } = yield* rpc("workflows.list")
      assert.strictEqual(status, 200)
      assert.lengthOf(frame.payload, 2)
    }))

  it.effect("an unknown method is METHOD_NOT_FOUND, a name that is none INVALID_INPUT", () =>
    Effect.gen(function*() {
      const unknown = yield* rpc("noSuchMethod")
      assert.deepStrictEqual([unknown.status, unknown.frame.error.code], [404, "METHOD_NOT_FOUND"])
      for (const name of ["Upper", "a".repeat(65), "a-b", "%E0%A4%A", "constructor.", "a%2Fb"]) {
        const { frame, status } = yield* rpc(name)
        assert.deepStrictEqual([name, status, frame.error.code], [name, 400, "INVALID_INPUT"])
      }
    }))

  it.effect("streamRunEvents is refused over HTTP", () =>
    Effect.gen(function*() {
      const { frame, status } = yield* rpc("streamRunEvents", { runId: "envelope-1" })
      assert.deepStrictEqual([status, frame.error.code], [400, "INVALID_REQUEST"])
    }))
})

layer(gatewayWith(), { excludeTestServices: true })("the routes of HTTP", (it) => {
  const routeNotFound = { error: { code: "NOT_FOUND", message: "Route not found" } }

  it.effect("unknown routes, other verbs and preflight are the same 404", () =>
    Effect.gen(function*() {
      for (
        const [method, path] of [
          ["GET", "/nowhere"],
          ["GET", "/v1/rpc/getRun"],
          ["OPTIONS", "/v1/rpc/getRun"],
          ["POST", "/health"],
          ["PUT", "/v1/rpc/getRun"],
          ["GET", "/health?x=1"],
          ["GET", "/console/../../package.json"]
        ] as const
      ) {
        const { status, text } = yield* request(path, { method })
        assert.deepStrictEqual([path, status, parse(text)], [path, 404, routeNotFound])
      }
    }))

  it.effect("/health says who this is, to anybody", () =>
    Effect.gen(function*() {
      const { headers, status, text } = yield* request("/health")
      const health = parse(text)
      assert.strictEqual(status, 200)
      assert.strictEqual(headers["x-smithers-api-version"], "v1")
      assert.deepInclude(health, {
        ok: true,
        protocol: 1,
        features: ["streaming", "runs"],
        stateVersion: 0,
        workflowsLoaded: 2,
        workflowsTotal: 2
      })
      assert.deepInclude(health.identity, { pid: process.pid, backend: "sqlite", workspaceRoot: process.cwd() })
      assert.match(health.identity.version, /^\d+\.\d+\.\d+/)
    }))

  it.effect("the RPC health has uptimeMs instead of ok", () =>
    Effect.gen(function*() {
      const { frame } = yield* rpc("health")
      assert.isNumber(frame.payload.uptimeMs)
      assert.notProperty(frame.payload, "ok")
    }))

  it.effect("/workflows lists what can be launched, to anybody", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(parse((yield* request("/workflows")).text), {
        workflows: [
          { key: "demo", hasUi: false, uiPath: null, system: false, readableName: "Demo", description: "A demo" },
          { key: "zeta", hasUi: false, uiPath: null, system: false }
        ]
      })
    }))

  it.effect("/metrics is Prometheus text, each sample with its family's type before it", () =>
    Effect.gen(function*() {
      yield* rpc("health")
      const { headers, text } = yield* request("/metrics")
      assert.strictEqual(headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
      const types = new Map<string, string>()
      for (const line of text.trimEnd().split("\n")) {
        if (line.startsWith("# HELP")) continue
        const type = /^# TYPE (\S+) (counter|gauge|histogram|summary)$/.exec(line)
        if (type !== null) {
          types.set(type[1]!, type[2]!)
          continue
        }
        const sample = /^([a-z_:][a-z0-9_:]*?)(\{(?:[a-z_]+="(?:[^"\\]|\\.)*",?)*\})? (\S+)$/i.exec(line)
        assert.isNotNull(sample, line)
        const family = sample![1]!
        assert.isTrue(types.has(family) || types.has(family.replace(/_(bucket|sum|count)$/, "")), line)
      }
      assert.match(text, /smithers_gateway_rpc_calls_total\{[^}]*method="health"[^}]*\} [1-9]/)
      assert.match(text, /smithers_gateway_rpc_duration_seconds_bucket\{[^}]*le="\+Inf"\} [1-9]/)
    }))

  it.effect("/ leads to the console", () =>
    Effect.gen(function*() {
      const { headers, status } = yield* request("/")
      assert.deepStrictEqual([status, headers.location], [302, "/console"])
    }))
})

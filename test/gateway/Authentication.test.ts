import { assert, layer } from "@effect/vitest"
import { Duration, Effect } from "effect"
import { TestClock } from "effect"
import { Access } from "../../src/access/index.ts"
import { systemActor } from "../../src/model/index.ts"
import { bearer, parse, request, rpc } from "./support/Http.ts"
import { address, adminToken, gatewayWith, tokenFor } from "./support/Service.ts"

const health = (headers: Record<string, string>) =>
  Effect.map(request("/v1/rpc/health", { method: "POST", headers, body: "{}" }), (answer) => ({
    ...answer,
    frame: parse(answer.text)
  }))

layer(gatewayWith())("who presents what", (it) => {
  it.effect("x-smithers-key, Authorization with and without its scheme, and the cookie all authenticate", () =>
    Effect.gen(function*() {
      const { port } = yield* address
      for (
        const headers of [
          { "x-smithers-key": adminToken },
          { Authorization: `Bearer ${adminToken}` },
          { Authorization: `bEaReR   ${adminToken}` },
          { Authorization: adminToken },
          { Cookie: `other=1; smithers_session_${port}=${encodeURIComponent(adminToken)}` }
        ]
      ) {
        assert.strictEqual((yield* health(headers as unknown as Record<string, string>)).status, 200) // a union of shapes
      }
    }))

  it.effect("x-smithers-key is looked at before Authorization", () =>
    Effect.gen(function*() {
      const answer = yield* health({
        "x-smithers-key": "wrong-token-wrong-token",
        Authorization: `Bearer ${adminToken}`
      })
      assert.strictEqual(answer.status, 401)
    }))

  it.effect("nothing, and something wrong, are told apart", () =>
    Effect.gen(function*() {
      const nothing = yield* health({})
      assert.deepStrictEqual([nothing.status, nothing.frame.error], [401, {
        version: "v1",
        code: "UNAUTHORIZED",
        message: "A bearer token is required"
      }])
      const wrong = yield* health(bearer("no-such-token-at-all"))
      assert.deepStrictEqual([wrong.status, wrong.frame.error.message], [401, "Invalid token"])
    }))

  it.effect("a revoked token is refused at the next request, with the way to a new one", () =>
    Effect.gen(function*() {
      const access = yield* Access.Access
      const { token, tokenId } = yield* tokenFor(["run:read"])
      assert.strictEqual((yield* health(bearer(token))).status, 200)
      yield* access.revoke(tokenId, systemActor)
      const { frame, status } = yield* health(bearer(token))
      assert.deepStrictEqual([status, frame.error], [401, {
        version: "v1",
        code: "UNAUTHORIZED",
        message: "Token has been revoked",
        refresh: "smithers token issue"
      }])
    }))

  it.effect("an expired token is refused, with the way to a new one", () =>
    Effect.gen(function*() {
      const { token } = yield* tokenFor(["run:read"], { ttlMs: 60_000 })
      yield* TestClock.adjust(Duration.seconds(61))
      const { frame } = yield* health(bearer(token))
      assert.deepInclude(frame.error, {
        message: "Token expired; issue a refreshed token.",
        refresh: "smithers token issue"
      })
    }))

  it.effect("a request that a foreign page caused is not authenticated by the cookie", () =>
    Effect.gen(function*() {
      const { port } = yield* address
      const Cookie = `smithers_session_${port}=${adminToken}`
      assert.strictEqual((yield* health({ Cookie, Origin: "https://evil.example" })).status, 401)
      assert.strictEqual((yield* health({ Cookie, Origin: "null" })).status, 401)
      assert.strictEqual((yield* health({ Cookie, Origin: `http://localhost:${port}` })).status, 401)
      assert.strictEqual(
        (yield* health({ Cookie, Origin: `http://127.0.0.1:${port}`, Host: `127.0.0.1:${port}` })).status,
        200
      )
    }))

  it.effect("/v1/auth/session turns a token into a cookie and goes on to a path of this origin only", () =>
    Effect.gen(function*() {
      const { port } = yield* address
      const open = (next: string, headers: Record<string, string> = {}) =>
        request(`/v1/auth/session?token=${adminToken}&next=${encodeURIComponent(next)}`, { headers })
      const { headers, status, text } = yield* open("/console?a=1")
      assert.strictEqual(status, 200)
      assert.deepStrictEqual(headers["set-cookie"], [
        `smithers_session_${port}=${adminToken}; HttpOnly; Path=/; SameSite=Lax`
      ])
      assert.include(text, "location.replace(\"/console?a=1\")")
      for (const next of ["//evil.example", "https://evil.example", "/a\\b", "</script>"]) {
        assert.include((yield* open(next)).text, "location.replace(\"/\")")
      }
      assert.include((yield* open("/</script>")).text, "location.replace(\"/\\u003c/script>\")")
      const secure = yield* open("/", { "x-forwarded-proto": "https" })
      assert.match(secure.headers["set-cookie"]![0]!, /; Secure$/)
      const unnamed = yield* open("/", { Host: "example.org" })
      assert.match(unnamed.headers["set-cookie"]![0]!, /^smithers_session=/)
      assert.strictEqual((yield* request("/v1/auth/session?token=nope&next=/")).status, 401)
    }))
})

layer(gatewayWith({}, { allowedOrigins: ["https://ops.example"] }))("a list of allowed origins", (it) => {
  it.effect("lets the listed pass, and requests that no page caused", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* health({ ...bearer(adminToken), Origin: "https://ops.example" })).status, 200)
      assert.strictEqual((yield* health(bearer(adminToken))).status, 200)
      const { frame, status } = yield* health({ ...bearer(adminToken), Origin: "https://evil.example" })
      assert.deepStrictEqual([status, frame.error.message], [401, "Origin is not allowed"])
    }))
})

layer(gatewayWith())("tokens over the wire", (it) => {
  it.effect("an administrator issues, lists, rotates and revokes", () =>
    Effect.gen(function*() {
      const issued = (yield* rpc("tokens.issue", { scopes: ["run:read"], label: "ci" })).frame.payload
      assert.deepInclude(issued.grant, { scopes: ["run:read"], role: "operator", label: "ci", revokedAtMs: null })
      assert.strictEqual((yield* rpc("health", {}, issued.token)).status, 200)
      const rotated = (yield* rpc("tokens.rotate", { tokenId: issued.grant.tokenId })).frame.payload
      assert.strictEqual((yield* rpc("health", {}, issued.token)).status, 401)
      assert.strictEqual((yield* rpc("health", {}, rotated.token)).status, 200)
      const { text } = yield* rpc("tokens.list")
      assert.include(text, rotated.grant.tokenId)
      assert.notInclude(text, rotated.token)
      assert.strictEqual((yield* rpc("tokens.revoke", { tokenId: rotated.grant.tokenId })).status, 200)
      assert.strictEqual((yield* rpc("health", {}, rotated.token)).status, 401)
      const unknown = yield* rpc("tokens.revoke", { tokenId: "0123456789abcdef" })
      assert.deepStrictEqual([unknown.status, unknown.frame.error.code], [404, "NOT_FOUND"])
      const invalid = yield* rpc("tokens.issue", { scopes: ["run:read"], ttlMs: 1 })
      assert.deepStrictEqual([invalid.status, invalid.frame.error.code], [400, "INVALID_INPUT"])
    }))
})

import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Audit } from "../../src/audit/index.ts"
import { bearer, ok, parse, request, rpc, type Wire } from "./support/Http.ts"
import { adminToken, gatewayWith, tokenFor } from "./support/Service.ts"

const latest = (action: string) =>
  Effect.flatMap(Audit.Audit, (audit) => Effect.map(audit.list({ action, limit: 1 }), ([row]) => row))

layer(gatewayWith(), { excludeTestServices: true })("audit methods", (it) => {
  it.effect("each reading of the audit leaves a row that says who read what", () =>
    Effect.gen(function*() {
      const { token, tokenId } = yield* tokenFor(["audit.*"], { userId: "user:auditor" })
      yield* ok("audit.list", { action: "token.issue", limit: 5 }, token)
      const list = yield* latest("audit.list")
      assert.deepStrictEqual([list?.actor, list?.tokenId, list?.detail], [
        "user:auditor",
        tokenId,
        { action: "token.issue" }
      ])
      const found = yield* ok("audit.verify", {}, token)
      assert.isNull(found.problem)
      assert.match(found.publicKey, /BEGIN PUBLIC KEY/)
      assert.strictEqual((yield* latest("audit.verify"))?.outcome, "ok")
      const page = yield* ok("audit.export", { format: "csv" }, token)
      yield* ok("audit.export", { format: "csv", cursor: page.next }, token)
      const exported = yield* latest("audit.export")
      assert.deepStrictEqual(exported?.detail["throughId"], page.next.throughId)
    }))

  it.effect("a grant of audit.* reads the audit and nothing else, and changes none of it", () =>
    Effect.gen(function*() {
      const { token } = yield* tokenFor(["audit.*"])
      for (const method of ["listRuns", "tokens.list", "audit.rotateKey", "audit.prune"]) {
        assert.strictEqual((yield* rpc(method, { olderThanMs: 0 }, token)).status, 403, method)
      }
      for (const scope of ["run:write", "observability:read", "approval:submit"]) {
        const other = yield* tokenFor([scope])
        assert.strictEqual((yield* rpc("audit.list", {}, other.token)).status, 403, scope)
      }
    }))

  it.effect("what a caller was not let do is in the audit, with request and trace", () =>
    Effect.gen(function*() {
      const { token, tokenId } = yield* tokenFor(["cron:read"])
      yield* rpc("cache.purge", {}, token)
      const row = yield* latest("access.refuse")
      assert.deepStrictEqual([row?.tokenId, row?.outcome], [tokenId, "refused"])
      const trace = "0af7651916cd43dd8448eb211c80319c"
      const answer = yield* request("/v1/rpc/tokens.issue", {
        method: "POST",
        headers: {
          ...bearer(adminToken),
          "X-Request-Id": "req-7",
          Traceparent: `00-${trace}-b7ad6b7169203331-01`
        },
        body: JSON.stringify({ scopes: ["run:read"] })
      })
      assert.strictEqual(parse(answer.text).id, "req-7")
      const issued = yield* latest("token.issue")
      assert.deepStrictEqual([issued?.requestId, issued?.traceId], ["req-7", trace])
    }))

  it.effect("what is out of bounds is refused by field, and nothing is pruned or recorded", () =>
    Effect.gen(function*() {
      const refused = yield* rpc("audit.prune", { olderThanMs: 1_000 })
      assert.deepStrictEqual(
        [refused.status, refused.frame.error.code, refused.frame.error.message],
        [400, "INVALID_INPUT", "olderThanMs must be at least 30 days"]
      )
      assert.strictEqual((yield* rpc("audit.list", { limit: 1_001 })).status, 400)
      assert.strictEqual((yield* rpc("audit.export", { format: "xml" })).status, 400)
      assert.isUndefined(yield* latest("audit.prune"))
    }))
})

layer(gatewayWith({ approvals: () => Effect.succeed([]) }), { excludeTestServices: true })("the checklist", (it) => {
  it.effect("GET /v1/api/doctor answers whoever may administer runs, with 503 as long as something fails", () =>
    Effect.gen(function*() {
      const { status, text } = yield* request("/v1/api/doctor", { headers: bearer(adminToken) })
      const found = parse(text)
      assert.deepStrictEqual([status, found.ok], [503, false])
      const backup = found.findings.find(({ check }: Wire) => check === "backup.age")
      assert.deepStrictEqual([backup.status, backup.fix === null], ["failed", false])
      assert.strictEqual((yield* request("/v1/api/doctor")).status, 401)
      const { token } = yield* tokenFor(["run:write"])
      assert.strictEqual((yield* request("/v1/api/doctor", { headers: bearer(token) })).status, 403)
    }))
})

import { assert, describe, layer } from "@effect/vitest"
import { Effect } from "effect"
import { GatewayRpcs, methodScopes, scopeOf } from "../../src/gateway/contract.ts"
import { catalogScopes } from "../../src/model/index.ts"
import { rpc } from "./support/Http.ts"
import { gatewayWith, tokenFor } from "./support/Service.ts"

/** What holding one scope reaches (`wire-protocol.md` §3.5, and `approval:submit` ⊃ `approval:read`). */
const implied: Readonly<Record<string, ReadonlyArray<string>>> = {
  "run:admin": ["run:admin", "run:write", "run:read"],
  "run:write": ["run:write", "run:read"],
  "approval:submit": ["approval:submit", "approval:read"],
  read: ["run:read", "approval:read"],
  execute: ["run:read", "run:write"]
}

const methods = [...GatewayRpcs.requests.values()].map((method) => ({
  name: method._tag,
  scope: scopeOf(method),
  adminOnly: /^(tokens|orgs|projects|usage|quotas)\./.test(method._tag)
}))

/** Parameters that every method refuses, so that a call which is authorised ends at its schema. */
const params = { runId: "", tokenId: "", scopes: [], filter: 1 }

describe("each method × each scope", () => {
  layer(gatewayWith(), { excludeTestServices: true })((it) => {
    for (const granted of [...catalogScopes, "read", "execute"]) {
      it.effect(`${granted} reaches exactly what it implies`, () =>
        Effect.gen(function*() {
          const { token } = yield* tokenFor([granted])
          for (const { adminOnly, name, scope } of methods) {
            const { frame, status } = yield* rpc(name, params, token)
            const allowed = !adminOnly && (implied[granted] ?? [granted]).includes(scope)
            if (allowed) {
              assert.notStrictEqual(status, 403, name)
            } else if (name !== "streamRunEvents") {
              assert.deepStrictEqual([name, status, frame.error.code], [name, 403, "FORBIDDEN"])
              assert.strictEqual(frame.error.requiredScope, adminOnly ? "*" : scope)
            }
          }
        }))
    }

    it.effect("everything reaches everything", () =>
      Effect.gen(function*() {
        const { token } = yield* tokenFor(["*"])
        for (const { name } of methods) assert.notStrictEqual((yield* rpc(name, params, token)).status, 403, name)
      }))

    it.effect("a grant of one method, or of a family of methods, reaches these alone", () =>
      Effect.gen(function*() {
        const one = yield* tokenFor(["listEvents"])
        const family = yield* tokenFor(["attempts.*"])
        assert.strictEqual((yield* rpc("listEvents", { runId: "nobody" }, one.token)).status, 404)
        assert.strictEqual((yield* rpc("getRun", { runId: "nobody" }, one.token)).status, 403)
        assert.strictEqual((yield* rpc("attempts.list", { runId: "nobody" }, family.token)).status, 404)
        assert.strictEqual((yield* rpc("listEvents", { runId: "nobody" }, family.token)).status, 403)
      }))

    it.effect("the message names the scope and the method", () =>
      Effect.gen(function*() {
        const { token } = yield* tokenFor(["run:read"])
        const { frame } = yield* rpc("launchRun", { workflow: "demo" }, token)
        assert.strictEqual(frame.error.message, "Missing required scope run:write for launchRun")
      }))

    it.effect("an unknown method needs run:read to be known as unknown", () =>
      Effect.gen(function*() {
        const reader = yield* tokenFor(["run:read"])
        const other = yield* tokenFor(["cron:read"])
        assert.strictEqual((yield* rpc("noSuchMethod", {}, reader.token)).status, 404)
        assert.strictEqual((yield* rpc("noSuchMethod", {}, other.token)).status, 403)
      }))

    it.effect("run:admin does not open the tokens", () =>
      Effect.gen(function*() {
        const { token } = yield* tokenFor(["run:admin"])
        assert.strictEqual((yield* rpc("tokens.list", {}, token)).status, 403)
        const admin = yield* tokenFor(["run:admin"], { role: "admin" })
        assert.strictEqual((yield* rpc("tokens.list", {}, admin.token)).status, 200)
      }))

    it.effect("every method and alias stands in what access is told", () =>
      Effect.sync(() => {
        for (const { name, scope } of methods) assert.strictEqual(methodScopes.get(name), scope)
        assert.strictEqual(methodScopes.get("approvals.decide"), "approval:submit")
      }))
  })
})

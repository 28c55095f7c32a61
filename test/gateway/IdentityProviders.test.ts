import { assert, layer } from "@effect/vitest"
import { Clock, Effect, Layer } from "effect"
import { type Identity, IdentityRefused, IdentityVerifier } from "../../src/access/index.ts"
import { Audit } from "../../src/audit/index.ts"
import { rpc } from "./support/Http.ts"
import { addRun, gatewayWith } from "./support/Service.ts"
import { connectParams, openWs } from "./support/Ws.ts"

/** Tokens of an identity provider, by what the verifier says of them. */
const identities = new Map<string, Omit<Identity, "expiresAtMs">>([
  ["m.e.mber", { orgId: "acme", userId: "ada", role: "member", provider: "sso" }],
  ["v.i.ewer", { orgId: "acme", userId: "eve", role: "viewer", provider: "sso" }],
  ["o.t.her", { orgId: "other", userId: "ada", role: "org-owner", provider: "sso" }],
  ["e.m.peror", { orgId: "acme", userId: "ada", role: "emperor", provider: "sso" }]
])

const verifier = Layer.succeed(IdentityVerifier, {
  verify: (token: string) => {
    const identity = identities.get(token)
    return identity === undefined
      ? new IdentityRefused({ reason: token === "o.l.d" ? "Expired" : "BadSignature", detail: "It is forged." })
      : Effect.map(Clock.currentTimeMillis, (nowMs) => ({ ...identity, expiresAtMs: nowMs + 300 }))
  }
})

const code = (method: string, params: unknown, token: string) =>
  Effect.map(rpc(method, params, token), ({ frame, status }) => status === 200 ? "ok" : frame.error.code as string)

layer(Layer.provide(gatewayWith(), verifier), { excludeTestServices: true })("bearers of identity providers", (it) => {
  it.effect("act for the organization of their provider with the scopes of their role, and for nothing else", () =>
    Effect.gen(function*() {
      for (const orgId of ["acme", "other"]) yield* rpc("orgs.create", { orgId, slug: orgId, name: orgId })
      yield* addRun("acme-run", "demo", { tenant: { orgId: "acme", projectId: null } })
      yield* addRun("nobodys-run")
      for (const token of ["m.e.mber", "v.i.ewer"]) {
        assert.strictEqual(yield* code("getRun", { runId: "acme-run" }, token), "ok")
        assert.strictEqual(yield* code("getRun", { runId: "nobodys-run" }, token), "NOT_FOUND")
        assert.strictEqual(yield* code("orgs.create", { slug: "mine", name: "Mine" }, token), "FORBIDDEN")
      }
      assert.strictEqual(yield* code("getRun", { runId: "acme-run" }, "o.t.her"), "NOT_FOUND")
      assert.strictEqual(yield* code("cancelRun", { runId: "acme-run" }, "v.i.ewer"), "FORBIDDEN")
    }))

  it.effect("are refused when nobody vouches for them, and the audit says why", () =>
    Effect.gen(function*() {
      for (const token of ["f.o.rged", "o.l.d", "e.m.peror", "no-jwt"]) {
        assert.strictEqual(yield* code("listRuns", {}, token), "UNAUTHORIZED")
      }
      const audit = yield* Audit.Audit
      const rows = yield* audit.list({ action: "token.authenticate", limit: 10 })
      assert.includeMembers(rows.map(({ reason }) => reason), [
        "It is forged.",
        "No organization has the role emperor",
        "Invalid token"
      ])
    }))

  it.effect("lose their socket when their token expires", () =>
    Effect.scoped(Effect.gen(function*() {
      const socket = yield* openWs()
      const { ok } = yield* socket.call("connect", connectParams("v.i.ewer"))
      assert.isTrue(ok)
      assert.deepStrictEqual(yield* socket.closed, { code: 1008, reason: "token expired" })
    })))
})

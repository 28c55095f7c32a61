import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Audit } from "../../src/audit/index.ts"
import { rpc, type Wire } from "./support/Http.ts"
import { gatewayWith, tokenFor } from "./support/Service.ts"

const ok = (method: string, params: unknown) =>
  Effect.map(rpc(method, params), ({ frame, status, text }): Wire => {
    assert.strictEqual(status, 200, text)
    return frame.payload
  })

const refusal = (method: string, params: unknown) =>
  Effect.map(rpc(method, params), ({ frame, status }) => [status, frame.error?.code])

layer(gatewayWith(), { excludeTestServices: true })("control plane methods", (it) => {
  it.effect("an organization is made, read, changed, listed and deleted with what it has", () =>
    Effect.gen(function*() {
      const org = yield* ok("orgs.create", { orgId: "acme", slug: "acme", name: "Acme", metadata: { tier: 1 } })
      assert.deepStrictEqual(yield* ok("orgs.get", { orgId: "acme" }), org)
      assert.strictEqual((yield* ok("orgs.update", { orgId: "acme", name: "Acme Inc" })).name, "Acme Inc")
      yield* ok("projects.create", { orgId: "acme", projectId: "app", slug: "app", name: "App" })
      assert.strictEqual((yield* ok("projects.list", { orgId: "acme" })).length, 1)
      assert.deepStrictEqual((yield* ok("orgs.list", {})).map(({ orgId }: Wire) => orgId), ["acme"])
      const { deleted } = yield* ok("orgs.delete", { orgId: "acme" })
      assert.strictEqual(deleted.projects, 1)
      assert.deepStrictEqual(yield* refusal("orgs.get", { orgId: "acme" }), [404, "NOT_FOUND"])
      const audit = yield* Audit.Audit
      const [entry] = yield* audit.list({ action: "org.delete", limit: 1 })
      assert.strictEqual(entry?.role, "admin")
    }))

  it.effect("usage is recorded once under its key, summed, and held against the limits", () =>
    Effect.gen(function*() {
      yield* ok("orgs.create", { orgId: "metered", slug: "metered", name: "Metered" })
      yield* ok("projects.create", { orgId: "metered", projectId: "app", slug: "app", name: "App" })
      const usage = { orgId: "metered", projectId: "app", metric: "tokens", quantity: 7, idempotencyKey: "k" }
      const event = yield* ok("usage.record", usage)
      assert.deepStrictEqual(yield* ok("usage.record", usage), event)
      assert.deepStrictEqual(yield* refusal("usage.record", { ...usage, quantity: 8 }), [409, "CONFLICT"])
      assert.deepStrictEqual(yield* ok("usage.summary", { orgId: "metered" }), [
        { orgId: "metered", projectId: null, metric: "tokens", unit: "count", quantity: 7, events: 1 }
      ])
      const series = { orgId: "metered", projectId: "app", metric: "tokens" }
      assert.isNull(yield* ok("quotas.check", series))
      const limit = yield* ok("quotas.set", { ...series, limitQuantity: 10, timeZone: "Europe/Berlin" })
      assert.deepStrictEqual(yield* ok("quotas.list", { orgId: "metered" }), [limit])
      const check = yield* ok("quotas.check", series)
      assert.deepInclude(check, { usedQuantity: 7, remainingQuantity: 3, exceeded: false, timeZone: "Europe/Berlin" })
      yield* ok("quotas.remove", series)
      assert.deepStrictEqual(yield* refusal("quotas.remove", series), [404, "NOT_FOUND"])
      const { deleted } = yield* ok("projects.delete", { orgId: "metered", projectId: "app" })
      assert.deepStrictEqual(deleted, { projectTeams: 0, usageLimits: 0, secretRefs: 0 })
    }))

  it.effect("what is out of bounds, taken or not there is said by its code", () =>
    Effect.gen(function*() {
      yield* ok("orgs.create", { orgId: "codes", slug: "codes", name: "Codes" })
      assert.deepStrictEqual(yield* refusal("orgs.create", { slug: "Codes", name: "x" }), [400, "INVALID_INPUT"])
      assert.deepStrictEqual(yield* refusal("orgs.create", { slug: "codes", name: "x" }), [409, "CONFLICT"])
      assert.deepStrictEqual(yield* refusal("orgs.create", { slug: "s" }), [400, "INVALID_REQUEST"])
      assert.deepStrictEqual(
        yield* refusal("projects.create", { orgId: "nobody", slug: "s", name: "x" }),
        [404, "NOT_FOUND"]
      )
      assert.deepStrictEqual(
        yield* refusal("usage.record", { orgId: "codes", metric: "m", quantity: 0.5 }),
        [400, "INVALID_INPUT"]
      )
      const { frame } = yield* rpc("orgs.create", { slug: "-", name: "x" })
      assert.match(frame.error.message, /^slug must have /)
    }))

  it.effect("only an administrator reaches them", () =>
    Effect.gen(function*() {
      const { token } = yield* tokenFor(["run:admin"])
      const { frame, status } = yield* rpc("orgs.list", {}, token)
      assert.deepStrictEqual([status, frame.error.code], [403, "FORBIDDEN"])
    }))
})

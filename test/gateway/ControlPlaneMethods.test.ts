import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Audit } from "../../src/audit/index.ts"
import { ControlPlane } from "../../src/control-plane/index.ts"
import { ControlPlaneRpcs, OrgRecordRpcs, TeamRpcs } from "../../src/gateway/contract.ts"
import { bearer, ok, parse, request, rpc, type Wire } from "./support/Http.ts"
import { adminToken, gatewayWith, tokenFor } from "./support/Service.ts"

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

  it.effect("teams have members, and projects grant them roles", () =>
    Effect.gen(function*() {
      const of = { orgId: "teamed" }
      yield* ok("orgs.create", { ...of, slug: "teamed", name: "Teamed" })
      yield* ok("projects.create", { ...of, projectId: "app", slug: "app", name: "App" })
      const one = { ...of, teamId: "ops" }
      yield* ok("teams.create", { ...one, slug: "ops", name: "Ops" })
      const team = yield* ok("teams.update", { ...one, name: "Operators", metadata: { floor: 3 } })
      assert.deepInclude(team, { slug: "ops", name: "Operators", metadata: { floor: 3 } })
      assert.deepStrictEqual(yield* ok("teams.get", one), team)
      assert.deepStrictEqual(yield* ok("teams.list", of), [team])
      assert.deepStrictEqual(
        yield* refusal("teams.create", { ...of, slug: "ops", name: "x" }),
        [409, "CONFLICT"]
      )
      const ada = { ...one, userId: "ada@acme.example" }
      const member = yield* ok("teamMembers.set", { ...ada, role: "admin" })
      assert.deepStrictEqual(yield* ok("teamMembers.list", { ...of, userId: ada.userId }), [member])
      const grant = yield* ok("projectTeams.set", { ...one, projectId: "app", role: "viewer" })
      assert.deepStrictEqual(yield* ok("projectTeams.list", { ...of, projectId: "app" }), [grant])
      const project = yield* ok("projects.update", { ...of, projectId: "app", slug: "application" })
      assert.deepStrictEqual(yield* ok("projects.get", { ...of, projectId: "app" }), project)
      assert.deepStrictEqual(yield* ok("projectTeams.remove", { ...one, projectId: "app" }), { removed: true })
      assert.deepStrictEqual(yield* refusal("projectTeams.remove", { ...one, projectId: "app" }), [404, "NOT_FOUND"])
      const { deleted } = yield* ok("teams.delete", one)
      assert.deepStrictEqual(deleted, { teamMembers: 1, projectTeams: 0 })
      assert.deepStrictEqual(yield* refusal("teamMembers.remove", ada), [404, "NOT_FOUND"])
    }))

  it.effect("billing, identity providers and references of secrets are set, read, listed and removed", () =>
    Effect.gen(function*() {
      const of = { orgId: "recorded" }
      yield* ok("orgs.create", { ...of, slug: "recorded", name: "Recorded" })
      const billing = yield* ok("billing.set", { ...of, plan: "business", billingCustomerId: "cus_1" })
      assert.deepStrictEqual(yield* ok("billing.get", of), billing)
      assert.deepStrictEqual(yield* ok("billing.list", {}), [billing])
      yield* ok("billing.remove", of)
      assert.deepStrictEqual(yield* refusal("billing.get", of), [404, "NOT_FOUND"])

      const saml = { ...of, providerId: "okta", type: "saml", issuer: "https://acme.okta.com" }
      const provider = yield* ok("identityProviders.set", {
        ...saml,
        ssoUrl: "https://acme.okta.com/sso",
        certificateRef: "vault://okta"
      })
      assert.deepInclude(provider, { status: "active", clientId: null, metadata: {} })
      assert.deepStrictEqual(yield* ok("identityProviders.get", { ...of, providerId: "okta" }), provider)
      assert.deepStrictEqual(yield* ok("identityProviders.list", { ...of, status: "disabled" }), [])
      assert.deepStrictEqual(
        yield* refusal("identityProviders.set", { ...saml, type: "kerberos" }),
        [400, "INVALID_REQUEST"]
      )
      yield* ok("identityProviders.remove", { ...of, providerId: "okta" })

      const ref = { ...of, name: "deploy", provider: "vault", ref: "vault://a" }
      const first = yield* ok("secretRefs.set", ref)
      assert.deepStrictEqual(yield* ok("secretRefs.get", { ...of, name: "deploy" }), first)
      assert.deepStrictEqual(yield* ok("secretRefs.list", of), [first])
      const refused = yield* rpc("secretRefs.set", { ...ref, ref: `ghp_${"a1B2".repeat(9)}` })
      assert.deepStrictEqual([refused.status, refused.frame.error.code], [400, "INVALID_INPUT"])
      assert.notInclude(refused.text, "ghp_")
      yield* ok("secretRefs.remove", { ...of, name: "deploy" })
      assert.deepStrictEqual(yield* refusal("secretRefs.get", { ...of, name: "deploy" }), [404, "NOT_FOUND"])
    }))

  it.effect("usage is listed, and kept free beforehand", () =>
    Effect.gen(function*() {
      const of = { orgId: "used" }
      yield* ok("orgs.create", { ...of, slug: "used", name: "Used" })
      const events = yield* Effect.forEach(
        [1, 2, 3],
        (quantity) => ok("usage.record", { ...of, metric: quantity === 2 ? "other" : "m", quantity })
      )
      assert.deepStrictEqual(yield* ok("usage.list", { ...of, limit: 2 }), [events[2], events[1]])
      assert.deepStrictEqual(yield* ok("usage.list", { ...of, beforeId: events[1].id }), [events[0]])
      assert.deepStrictEqual(yield* ok("usage.list", { ...of, metric: "other" }), [events[1]])
      yield* ok("quotas.set", { ...of, metric: "m", limitQuantity: 10 })
      const asked = { ...of, reservationId: "r1", metric: "m", quantity: 6 }
      const { _tag, reservation } = yield* ok("reservations.make", asked)
      assert.strictEqual(_tag, "Reserved")
      assert.deepStrictEqual(yield* ok("reservations.list", of), [reservation])
      const full = yield* ok("reservations.make", { ...asked, reservationId: "r2" })
      assert.deepInclude(full.limit, { usedQuantity: 4, reservedQuantity: 6, remainingQuantity: 0 })
      assert.deepStrictEqual(yield* refusal("reservations.make", { ...asked, quantity: 1 }), [409, "CONFLICT"])
      const settled = yield* ok("reservations.settle", { ...of, reservationId: "r1", quantity: 5 })
      assert.strictEqual(settled.quantity, 5)
      assert.deepStrictEqual(yield* ok("reservations.release", { ...of, reservationId: "r1" }), { released: false })
      assert.deepStrictEqual(
        yield* refusal("reservations.make", { ...asked, ttlMs: 1 }),
        [400, "INVALID_INPUT"]
      )
    }))

  it.effect("an organization's own audit is added to, searched and verified", () =>
    Effect.gen(function*() {
      const of = { orgId: "audited" }
      yield* ok("orgs.create", { ...of, slug: "audited", name: "Audited" })
      const event = yield* ok("orgAudit.record", {
        ...of,
        actorId: "ada@acme.example",
        action: "invoice.sent",
        targetType: "invoice",
        occurredAtMs: 7,
        metadata: { amount: 12 }
      })
      const all = yield* ok("orgAudit.list", of)
      assert.deepStrictEqual(all.map(({ action }: Wire) => action), ["org.create", "invoice.sent"])
      assert.deepStrictEqual(all[1], event)
      for (const filter of [{ action: "invoice.sent" }, { actorId: "ada@acme.example" }, { untilMs: 7 }]) {
        assert.deepStrictEqual(yield* ok("orgAudit.list", { ...of, ...filter }), [event])
      }
      assert.deepStrictEqual(yield* ok("orgAudit.list", { ...of, afterId: event.id }), [])
      assert.deepStrictEqual(yield* ok("orgAudit.verify", of), { intact: true, events: 2, lastHash: event.hash })
      assert.deepStrictEqual(yield* refusal("orgAudit.list", { ...of, limit: 1_001 }), [400, "INVALID_INPUT"])
    }))

  it.effect("an export is the same in parts and as one document, and each part is in the audit with who asked", () =>
    Effect.gen(function*() {
      const of = { orgId: "exported" }
      yield* ok("orgs.create", { ...of, slug: "exported", name: "Exported" })
      const plane = yield* ControlPlane.ControlPlane
      yield* Effect.forEach(
        Array.from({ length: 2_500 }),
        () => plane.recordAuditEvent({ ...of, action: "a", targetType: "t" }),
        { concurrency: "unbounded", discard: true }
      )
      const texts: Array<string> = []
      let cursor: string | undefined
      do {
        const part = yield* ok("orgs.export", { ...of, cursor })
        texts.push(part.text)
        cursor = part.next ?? undefined
      } while (cursor !== undefined)
      assert.isAbove(texts.length, 2)
      const answer = yield* request("/v1/api/orgs/exported/export", { headers: bearer(adminToken) })
      assert.deepStrictEqual(
        [answer.status, answer.headers["content-type"], answer.headers["transfer-encoding"]],
        [200, "application/x-ndjson", "chunked"]
      )
      const records = (text: string) => text.trimEnd().split("\n").slice(1, -1)
      assert.deepStrictEqual(records(answer.text), records(texts.join("")))
      assert.strictEqual(parse(answer.text.trimEnd().split("\n").at(-1)!).counts.auditEvent, 2_501)
      const audit = yield* Audit.Audit
      const rows = yield* audit.list({ action: "org.export", limit: 100 })
      assert.lengthOf(rows, 2 * texts.length)
      assert.deepInclude(rows[0], { orgId: "exported", target: "exported", role: "admin" })
    }))

  it.effect("what is no export is refused with its code, and no document begun", () =>
    Effect.gen(function*() {
      const get = (path: string, token = adminToken) =>
        Effect.map(
          request(path, { headers: bearer(token) }),
          ({ status, text }) => [status, parse(text).error.code]
        )
      assert.deepStrictEqual(yield* get("/v1/api/orgs/nobody/export"), [404, "NOT_FOUND"])
      assert.deepStrictEqual(yield* get("/v1/api/orgs/%5F%5Forg__/export"), [400, "INVALID_INPUT"])
      assert.deepStrictEqual(yield* get("/v1/api/orgs/nobody/export?sinceMs=x"), [400, "INVALID_REQUEST"])
      assert.deepStrictEqual(yield* get("/v1/api/orgs/nobody/export", "wrong"), [401, "UNAUTHORIZED"])
      const { token } = yield* tokenFor(["run:admin"])
      assert.deepStrictEqual(yield* get("/v1/api/orgs/nobody/export", token), [403, "FORBIDDEN"])
      assert.deepStrictEqual(yield* get("/v1/api/orgs/nobody/export/x"), [404, "NOT_FOUND"])
    }))

  it.effect("only an administrator reaches them", () =>
    Effect.gen(function*() {
      const { token } = yield* tokenFor(["run:admin"])
      const methods = [ControlPlaneRpcs, TeamRpcs, OrgRecordRpcs].flatMap(({ requests }) => [...requests.keys()])
      for (const method of methods) {
        const { frame, status } = yield* rpc(method, {}, token)
        assert.deepStrictEqual([status, frame.error.code], [403, "FORBIDDEN"], method)
      }
    }))
})

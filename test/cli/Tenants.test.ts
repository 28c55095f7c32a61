import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  DeletedOrgDocument,
  IdentityProviderDocument,
  OrgDocument,
  OrgExportDocument,
  OrgsDocument,
  QuotaStateDocument,
  UsageDocument,
  UsageEventDocument
} from "../../src/cli/Documents.ts"
import { document, makeHome, service, smithers } from "./Smithers.ts"

it.scopedLive("org, project, usage and quota: a tenant from beginning to end", () =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const { env } = yield* service(yield* makeHome)
    const call = (...args: ReadonlyArray<string>) => smithers(args, env)
    const made = yield* document(
      OrgDocument,
      yield* call("org", "create", "--id", "acme", "--slug", "acme", "--name", "Acme", "--json")
    )
    assert.deepInclude(made, { orgId: "acme", slug: "acme", name: "Acme" })
    assert.include((yield* call("org", "show", "acme")).stdout, "Acme")
    const project = yield* call("project", "create", "--id", "app", "--slug", "app", "--name", "App", "acme")
    assert.deepStrictEqual(project, { code: 0, stdout: "Project app of acme is made.\n", stderr: "" })
    assert.include((yield* call("project", "list", "acme")).stdout, "app")

    const set = yield* call("quota", "set", "--metric", "steps", "--period", "daily", "acme", "100")
    assert.strictEqual(set.stdout, "100 count of steps, daily (calendar, UTC, hard).\n")
    const { check } = yield* document(
      QuotaStateDocument,
      yield* call("quota", "check", "--metric", "steps", "--project", "app", "--json", "acme")
    )
    assert.deepInclude(check, { limitQuantity: 100, usedQuantity: 0, remainingQuantity: 100, exceeded: false })
    assert.include((yield* call("quota", "list", "acme")).stdout, "steps")
    const removed = yield* call("quota", "remove", "--metric", "steps", "--period", "daily", "acme")
    assert.strictEqual(removed.stdout, "The limit is removed.\n")
    const again = yield* call("quota", "remove", "--metric", "steps", "--period", "daily", "acme")
    assert.strictEqual(again.code, 5)
    assert.strictEqual((yield* call("quota", "check", "--metric", "steps", "acme")).stdout, "There is no limit.\n")
    const { usage } = yield* document(UsageDocument, yield* call("usage", "summary", "--json", "acme"))
    assert.deepStrictEqual(usage, [])

    yield* call("quota", "set", "--metric", "calls", "acme", "3")
    const record = ["usage", "record", "--metric", "calls", "--idempotency-key", "k1", "--json", "acme"]
    const event = yield* document(UsageEventDocument, yield* call(...record, "2"))
    assert.deepStrictEqual(yield* document(UsageEventDocument, yield* call(...record, "2")), event)
    assert.strictEqual((yield* call(...record, "3")).code, 6)
    assert.include((yield* call("usage", "list", "acme")).stdout, "k1")
    const reserve = yield* call("usage", "reserve", "--metric", "calls", "acme", "2")
    assert.deepStrictEqual([reserve.code, reserve.stdout], [6, "Nothing is reserved.\n"])
    assert.include(reserve.stderr, "The monthly limit of acme has 1 count of calls left.")

    yield* call("team", "create", "--id", "ops", "--slug", "ops", "--name", "Ops", "acme")
    yield* call("team", "add", "--role", "admin", "acme", "ops", "ada@acme.example")
    assert.include((yield* call("team", "members", "acme")).stdout, "ada@acme.example")
    const grant = yield* call("project", "grant", "--role", "viewer", "acme", "app", "ops")
    assert.strictEqual(grant.stdout, "Team ops is viewer in project app.\n")
    const idp = ["idp", "set", "--type", "oidc", "--issuer", "https://id.example", "--metadata"]
    const provider = yield* document(
      IdentityProviderDocument,
      yield* call(...idp, `{"roles":{"ops":"admin"}}`, "--json", "acme", "id")
    )
    assert.deepStrictEqual(provider.metadata, { roles: { ops: "admin" } })
    assert.strictEqual((yield* call(...idp, "[]", "acme", "id")).code, 2)
    assert.include((yield* call("billing", "set", "--plan", "business", "acme")).stdout, "business")
    const ref = ["secret-ref", "set", "--provider", "vault", "acme", "deploy"]
    assert.include((yield* call(...ref, "--ref", "vault://deploy")).stdout, "vault://deploy")

    const home = env.SMITHERS_HOME
    const file = `${home}/acme.ndjson`
    const exporting = ["org", "export", "--output", file, "--json", "acme"]
    const written = yield* document(OrgExportDocument, yield* call(...exporting))
    const lines = (yield* fs.readFileString(file)).trimEnd().split("\n")
    assert.deepStrictEqual(written, { file, records: lines.length - 2 })
    assert.include(lines.at(-1), `"type":"end"`)
    assert.strictEqual((yield* call(...exporting)).code, 6)
    assert.isFalse(yield* fs.exists(`${file}.unfinished`))
    // Cut off before its first part: it goes on from the beginning.
    yield* fs.rename(file, `${file}.unfinished`)
    assert.strictEqual((yield* call(...exporting)).code, 6)
    assert.strictEqual((yield* call(...exporting, "--resume")).code, 0)
    assert.lengthOf((yield* fs.readFileString(file)).trimEnd().split("\n"), lines.length)
    const audited = yield* call("org", "audit", "--action", "team.create", "acme")
    assert.include(audited.stdout, "ops")
    assert.include((yield* call("org", "verify", "acme")).stdout, "events are in order")
    assert.strictEqual((yield* call("team", "delete", "acme", "ops")).code, 0)

    const taken = yield* call("org", "create", "--slug", "acme", "--name", "Other")
    assert.strictEqual(taken.code, 6)
    assert.include(taken.stderr, "Another organization has the slug acme")
    assert.strictEqual((yield* call("project", "delete", "acme", "app")).code, 0)
    const { deleted } = yield* document(DeletedOrgDocument, yield* call("org", "delete", "--json", "acme"))
    assert.deepInclude(deleted, { projects: 0, usageEvents: 1, identityProviders: 1, secretRefs: 1 })
    const { orgs } = yield* document(OrgsDocument, yield* call("org", "list", "--json"))
    assert.deepStrictEqual(orgs, [])
  }).pipe(Effect.provide(NodeContext.layer)), 120_000)

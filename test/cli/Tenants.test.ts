import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect } from "effect"
import {
  DeletedOrgDocument,
  IssuedDocument,
  OrgDocument,
  OrgExportDocument,
  OrgsDocument,
  QuotaStateDocument,
  UsageDocument
} from "../../src/cli/Documents.ts"
import { document, makeHome, service, smithers } from "./Smithers.ts"

it.scopedLive("org, project, usage and quota: a tenant from beginning to end", () =>
  Effect.gen(function*() {
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

    const issued = yield* document(
      IssuedDocument,
      yield* call("token", "issue", "--org", "acme", "--project", "app", "--role", "member", "--json")
    )
    assert.deepInclude(issued.grant, { orgId: "acme", projectIds: ["app"], role: "member" })
    const mine = yield* call("run", "--token", issued.token, "--project", "app", "no-such-workflow")
    assert.deepStrictEqual([mine.code, mine.stderr.includes("Unknown workflow: no-such-workflow")], [5, true])
    const notMine = yield* call("run", "--token", issued.token, "--project", "web", "no-such-workflow")
    assert.include(notMine.stderr, "Organization acme has no project web")
    assert.strictEqual((yield* call("ps", "--org", "acme", "--project", "app")).stdout, "No runs.\n")
    const whose = yield* call("ps", "--project", "app")
    assert.deepStrictEqual([whose.code, whose.stderr.includes("orgId: is required with a projectId")], [2, true])

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

    const file = `${env.SMITHERS_HOME}/acme.ndjson`
    const written = yield* document(
      OrgExportDocument,
      yield* call("org", "export", "--output", file, "--json", "acme")
    )
    const fs = yield* FileSystem.FileSystem
    const lines = (yield* fs.readFileString(file)).trimEnd().split("\n")
    assert.deepStrictEqual(written, { file, records: lines.length - 2 })

    const taken = yield* call("org", "create", "--slug", "acme", "--name", "Other")
    assert.strictEqual(taken.code, 6)
    assert.include(taken.stderr, "Another organization has the slug acme")
    assert.strictEqual((yield* call("project", "delete", "acme", "app")).code, 0)
    const { deleted } = yield* document(DeletedOrgDocument, yield* call("org", "delete", "--json", "acme"))
    assert.deepInclude(deleted, { projects: 0, usageEvents: 0 })
    const { orgs } = yield* document(OrgsDocument, yield* call("org", "list", "--json"))
    assert.deepStrictEqual(orgs, [])
  }).pipe(Effect.provide(NodeContext.layer)), 120_000)

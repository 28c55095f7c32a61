import { FileSystem } from "@effect/platform"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import {
  BillingAccountsDocument,
  DeletedTeamDocument,
  IdentityProviderDocument,
  IdentityProvidersDocument,
  MembersDocument,
  OrgAuditDocument,
  OrgDocument,
  OrgExportDocument,
  OrgVerdictDocument,
  ProjectTeamsDocument,
  ReservationDocument,
  SecretRefsDocument,
  TeamDocument,
  TeamsDocument,
  UsageEventDocument,
  UsageEventsDocument
} from "../../src/cli/Documents.ts"
import { ControlPlane } from "../../src/control-plane/index.ts"
import { gatewayWith } from "../gateway/support/Service.ts"
import { commandLine as call } from "./InProcess.ts"
import { document, failure } from "./Smithers.ts"

/** An organization with a project, and the words of a command about it. */
const tenant = (orgId: string) =>
  Effect.gen(function*() {
    const plane = yield* ControlPlane.ControlPlane
    yield* plane.createOrg({ orgId, slug: orgId, name: orgId })
    yield* plane.createProject({ orgId, projectId: "app", slug: "app", name: "App" })
    return plane
  })

layer(gatewayWith(), { excludeTestServices: true })("tenant commands", (it) => {
  it.effect("team: made, changed, listed, filled, granted a role, and deleted with what it has", () =>
    Effect.gen(function*() {
      yield* tenant("teamed")
      const made = yield* call("team", "create", "--id", "ops", "--slug", "ops", "--name", "Ops", "teamed")
      assert.deepStrictEqual(made, { code: 0, stdout: "Team ops of teamed is made.\n", stderr: "" })
      const changed = yield* call(
        "team",
        "update",
        "--name",
        "Operators",
        "--metadata",
        `{"a":1}`,
        "--json",
        "teamed",
        "ops"
      )
      const team = yield* document(TeamDocument, changed)
      assert.deepInclude(team, { name: "Operators", metadata: { a: 1 } })
      assert.include((yield* call("team", "show", "teamed", "ops")).stdout, "Operators")
      const { teams } = yield* document(TeamsDocument, yield* call("team", "list", "--json", "teamed"))
      assert.deepStrictEqual(teams, [team])
      const added = yield* call("team", "add", "--role", "admin", "teamed", "ops", "ada@acme.example")
      assert.strictEqual(added.stdout, "ada@acme.example is admin in team ops.\n")
      const { members } = yield* document(MembersDocument, yield* call("team", "members", "--json", "teamed"))
      assert.deepStrictEqual(members.map(({ role, userId }) => [userId, role]), [["ada@acme.example", "admin"]])
      const granted = yield* call("project", "grant", "--role", "viewer", "teamed", "app", "ops")
      assert.strictEqual(granted.stdout, "Team ops is viewer in project app.\n")
      const { grants } = yield* document(ProjectTeamsDocument, yield* call("project", "grants", "--json", "teamed"))
      assert.deepStrictEqual(grants.map(({ projectId, teamId }) => [projectId, teamId]), [["app", "ops"]])
      assert.strictEqual((yield* call("project", "ungrant", "teamed", "app", "ops")).code, 0)
      assert.strictEqual((yield* call("project", "ungrant", "teamed", "app", "ops")).code, 5)
      assert.strictEqual((yield* call("team", "remove", "teamed", "ops", "ada@acme.example")).code, 0)
      const { deleted } = yield* document(
        DeletedTeamDocument,
        yield* call("team", "delete", "--json", "teamed", "ops")
      )
      assert.deepStrictEqual(deleted, { teamMembers: 0, projectTeams: 0 })
      assert.strictEqual((yield* call("team", "show", "teamed", "ops")).code, 5)
    }))

  it.effect("org and project: what is given is changed, and nothing else; what is refused is said by its field", () =>
    Effect.gen(function*() {
      yield* tenant("changing")
      const org = yield* document(OrgDocument, yield* call("org", "update", "--name", "New", "--json", "changing"))
      assert.deepInclude(org, { name: "New", slug: "changing" })
      const project = yield* call("project", "update", "--slug", "web", "changing", "app")
      assert.match(project.stdout, /Slug +web\n/)
      assert.match((yield* call("project", "show", "changing", "app")).stdout, /Name +App\n/)
      const refused = yield* call("org", "update", "--slug", "No", "--json", "changing")
      assert.strictEqual(refused.code, 2)
      assert.match((yield* failure(refused)).message, /^slug must have /)
      const noJson = yield* call("org", "update", "--metadata", "[]", "--json", "changing")
      assert.deepInclude(yield* failure(noJson), { field: "--metadata", exitCode: 2 })
    }))

  it.effect("usage: recorded once under its key, listed, reserved, settled and released", () =>
    Effect.gen(function*() {
      const plane = yield* tenant("metered")
      const record = ["usage", "record", "--metric", "calls", "--idempotency-key", "k", "--json", "metered"] as const
      const event = yield* document(UsageEventDocument, yield* call(...record, "2"))
      assert.deepStrictEqual(yield* document(UsageEventDocument, yield* call(...record, "2")), event)
      const reused = yield* failure(yield* call(...record, "3"))
      assert.deepInclude(reused, { code: "CONFLICT", exitCode: 6, message: "The key k was used for something else" })
      const listed = yield* call("usage", "list", "--metric", "calls", "--since", "2026-01-01", "--json", "metered")
      assert.deepStrictEqual((yield* document(UsageEventsDocument, listed)).events, [event])
      assert.strictEqual((yield* call("usage", "list", "--until", "2001-01-01", "metered")).stdout, "No usage.\n")
      assert.strictEqual((yield* call("usage", "list", "--since", "soon", "metered")).code, 2)

      yield* plane.setUsageLimit({ orgId: "metered", metric: "calls", limitQuantity: 5 })
      const reserve = ["usage", "reserve", "--metric", "calls", "--ttl", "10m"] as const
      const reserved = yield* call(...reserve, "--id", "r1", "--json", "metered", "2")
      assert.strictEqual((yield* document(ReservationDocument, reserved))._tag, "Reserved")
      const refused = yield* call(...reserve, "metered", "2")
      assert.deepStrictEqual([refused.code, refused.stdout], [6, "Nothing is reserved.\n"])
      assert.include(refused.stderr, "The monthly limit of metered has 1 count of calls left. Its period ends ")
      assert.include((yield* call("usage", "reservations", "metered")).stdout, "r1")
      assert.include((yield* call("usage", "settle", "metered", "r1", "1")).stdout, "1 count of calls")
      const released = yield* call("usage", "release", "metered", "r1")
      assert.strictEqual(released.stdout, "There is no such reservation any more.\n")
    }))

  it.effect("billing, idp and secret-ref: set, shown, listed and removed", () =>
    Effect.gen(function*() {
      yield* tenant("recorded")
      const billed = yield* call("billing", "set", "--plan", "business", "--customer", "cus_1", "recorded")
      assert.match(billed.stdout, /Customer +cus_1\n/)
      assert.match((yield* call("billing", "show", "recorded")).stdout, /Plan +business\n/)
      const { accounts } = yield* document(BillingAccountsDocument, yield* call("billing", "list", "--json"))
      assert.deepStrictEqual(accounts.map(({ orgId }) => orgId), ["recorded"])
      assert.strictEqual((yield* call("billing", "remove", "recorded")).code, 0)
      assert.strictEqual((yield* call("billing", "show", "recorded")).code, 5)

      const set = ["idp", "set", "--issuer", "https://id.example"] as const
      const oidc = yield* call(
        ...set,
        "--type",
        "oidc",
        "--client-id",
        "smithers",
        "--metadata",
        `{"roles":{"ops":"admin"}}`,
        "--json",
        "recorded",
        "id"
      )
      const provider = yield* document(IdentityProviderDocument, oidc)
      assert.deepInclude(provider, { clientId: "smithers", status: "active", metadata: { roles: { ops: "admin" } } })
      const saml = yield* call(...set, "--type", "saml", "--sso-url", "https://id.example/sso", "recorded", "old")
      assert.include(saml.stdout, "https://id.example/sso")
      assert.strictEqual((yield* call(...set, "--type", "saml", "--disabled", "recorded", "old")).code, 0)
      const active = yield* call("idp", "list", "--status", "active", "--json", "recorded")
      assert.deepStrictEqual((yield* document(IdentityProvidersDocument, active)).providers, [provider])
      assert.strictEqual((yield* call("idp", "remove", "recorded", "id")).code, 0)
      assert.strictEqual((yield* call("idp", "show", "recorded", "id")).code, 5)

      const ref = ["secret-ref", "set", "--provider", "vault", "--project", "app", "recorded", "deploy"] as const
      assert.include((yield* call(...ref, "--ref", "vault://deploy")).stdout, "vault://deploy")
      const value = `ghp_${"a1B2".repeat(9)}`
      const refused = yield* call(...ref, "--ref", value)
      assert.strictEqual(refused.code, 2)
      assert.notInclude(refused.stderr, value)
      const { refs } = yield* document(SecretRefsDocument, yield* call("secret-ref", "list", "--json", "recorded"))
      assert.deepStrictEqual(refs.map(({ projectId, ref }) => [projectId, ref]), [["app", "vault://deploy"]])
      assert.strictEqual((yield* call("secret-ref", "show", "recorded", "deploy")).code, 5)
      assert.strictEqual((yield* call("secret-ref", "remove", "--project", "app", "recorded", "deploy")).code, 0)
    }))

  it.scoped("org export: goes on where it was cut off, has its name when it is whole, and writes over nothing", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const plane = yield* tenant("exported")
      yield* Effect.forEach(
        Array.from({ length: 2_500 }),
        () => plane.recordAuditEvent({ orgId: "exported", action: "a", targetType: "t" }),
        { concurrency: "unbounded", discard: true }
      )
      const home = yield* fs.makeTempDirectoryScoped()
      const file = `${home}/out.ndjson`
      const exporting = ["org", "export", "--output", file, "--json", "exported"] as const
      const written = yield* document(OrgExportDocument, yield* call(...exporting))
      assert.deepStrictEqual(written, { file, records: 2_504 })
      assert.deepStrictEqual(yield* fs.readDirectory(home), ["out.ndjson"])
      const whole = yield* fs.readFileString(file)
      const lines = whole.trimEnd().split("\n")
      assert.strictEqual((yield* call(...exporting)).code, 6)
      assert.strictEqual(yield* fs.readFileString(file), whole)

      // Cut off: one part is whole, and of the next there is a piece.
      const { next, records, text } = yield* plane.exportOrgPart({ orgId: "exported" })
      yield* fs.remove(file)
      const state = { request: { orgId: "exported" }, bytes: Buffer.byteLength(text), rows: records, cursor: next }
      yield* fs.writeFileString(`${file}.unfinished`, `${text}{"type":"auditEv`)
      yield* fs.writeFileString(`${file}.unfinished.json`, JSON.stringify(state))
      assert.include((yield* call(...exporting)).stderr, "--resume")
      assert.strictEqual((yield* call(...exporting, "--resume", "--since", "2026-01-01")).code, 2)
      const resumed = yield* document(OrgExportDocument, yield* call(...exporting, "--resume"))
      assert.deepStrictEqual(resumed, written)
      assert.deepStrictEqual(yield* fs.readDirectory(home), ["out.ndjson"])
      const again = (yield* fs.readFileString(file)).trimEnd().split("\n")
      assert.deepStrictEqual(again.slice(1, -1), lines.slice(1, -1))

      const printed = yield* call("org", "export", "exported")
      assert.deepStrictEqual(printed.stdout.trimEnd().split("\n").slice(1, -1), lines.slice(1, -1))
      assert.strictEqual((yield* call("org", "export", "nobody")).code, 5)
    }))

  it.effect("org audit and verify: what was done, and that it is what was written", () =>
    Effect.gen(function*() {
      yield* tenant("audited")
      const { events } = yield* document(
        OrgAuditDocument,
        yield* call("org", "audit", "--action", "project.create", "--json", "audited")
      )
      assert.deepStrictEqual(events.map(({ targetId }) => targetId), ["app"])
      assert.include((yield* call("org", "audit", "audited")).stdout, "org.create")
      const verdict = yield* document(OrgVerdictDocument, yield* call("org", "verify", "--json", "audited"))
      assert.deepInclude(verdict, { intact: true, events: 2 })
    }))
})

import { assert, it } from "@effect/vitest"
import { Effect, Either, Layer, TestClock } from "effect"
import { Audit } from "../../src/audit/index.ts"
import { ControlPlane, type CreateError, CurrentActor, InvalidInput } from "../../src/control-plane/index.ts"
import { Persistence } from "../../src/persistence/index.ts"
import { foreignConnection, makeHome, persistenceAt } from "../support/Home.ts"
import { acme, everything, Live, plane, rows } from "./support.ts"

const tagOf = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.either(effect), (result) => Either.isLeft(result) ? result.left._tag : "ok")

it.effect("an organization is made, read, listed, changed in part and deleted", () =>
  Effect.gen(function*() {
    const cp = yield* plane
    yield* TestClock.setTime(1_000)
    const org = yield* cp.createOrg({ orgId: "o1", slug: "one", name: "One", metadata: { tier: 2, tags: ["a"] } })
    assert.deepStrictEqual(org, {
      orgId: "o1",
      slug: "one",
      name: "One",
      metadata: { tier: 2, tags: ["a"] },
      createdAtMs: 1_000,
      updatedAtMs: 1_000
    })
    assert.deepStrictEqual(yield* cp.getOrg("o1"), org)
    yield* TestClock.setTime(2_000)
    const renamed = yield* cp.updateOrg({ orgId: "o1", name: "Uno" })
    assert.deepStrictEqual(renamed, { ...org, name: "Uno", updatedAtMs: 2_000 })
    assert.deepStrictEqual(yield* cp.listOrgs(), [renamed])
    yield* cp.deleteOrg({ orgId: "o1" })
    assert.strictEqual(yield* tagOf(cp.getOrg("o1")), "OrgNotFound")
    assert.strictEqual(yield* tagOf(cp.deleteOrg({ orgId: "o1" })), "OrgNotFound")
    assert.strictEqual(yield* tagOf(cp.updateOrg({ orgId: "o1", name: "x" })), "OrgNotFound")
    // Its id stands for it for ever; its slug does not.
    const again = yield* Effect.flip(cp.createOrg({ orgId: "o1", slug: "other", name: "Other" }))
    assert.deepInclude(again, { _tag: "Conflict", reason: "IdRetired", id: "o1" })
    yield* cp.createOrg({ orgId: "o2", slug: org.slug, name: "Two" })
  }).pipe(Effect.provide(Live)))

it.scoped("ids of organizations that were deleted before ids were kept are taken from the audit", () =>
  Effect.gen(function*() {
    const home = yield* makeHome
    const service = ControlPlane.layer.pipe(
      Layer.provide(Audit.layer),
      Layer.provideMerge(persistenceAt(home))
    )
    const { file } = yield* Effect.provide(
      Effect.gen(function*() {
        const cp = yield* plane
        for (const orgId of ["gone", "there"]) yield* cp.createOrg({ orgId, slug: orgId, name: orgId })
        yield* cp.deleteOrg({ orgId: "gone" })
        return yield* Persistence.Persistence
      }),
      service
    )
    const database = yield* foreignConnection(file)
    database.exec(`DROP TABLE _smithers_cp_deleted_orgs; DELETE FROM _smithers_cp_migrations WHERE migration_id > 1`)
    yield* Effect.provide(
      Effect.gen(function*() {
        const cp = yield* plane
        const again = yield* Effect.flip(cp.createOrg({ orgId: "gone", slug: "gone", name: "Gone" }))
        assert.deepInclude(again, { reason: "IdRetired" })
        yield* cp.deleteOrg({ orgId: "there" })
        assert.deepStrictEqual(
          (yield* rows("SELECT org_id FROM _smithers_cp_deleted_orgs ORDER BY org_id")).map((row) => row["org_id"]),
          ["gone", "there"]
        )
      }),
      service
    )
  }))

it.effect("ids are made where none is given, and none is given twice", () =>
  Effect.gen(function*() {
    const cp = yield* plane
    const one = yield* cp.createOrg({ slug: "one", name: "One" })
    const two = yield* cp.createOrg({ slug: "two", name: "Two" })
    assert.notStrictEqual(one.orgId, two.orgId)
    assert.strictEqual(yield* tagOf(cp.createOrg({ orgId: one.orgId, slug: "three", name: "Three" })), "Conflict")
  }).pipe(Effect.provide(Live)))

it.effect("slugs are unique among organizations, and among the teams and the projects of each", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    yield* cp.createOrg({ orgId: "other", slug: "other", name: "Other" })
    yield* cp.createProject({ orgId: "other", projectId: "app", slug: "app", name: "The same slug elsewhere" })
    yield* cp.createTeam({ orgId: "acme", teamId: "t1", slug: "app", name: "The same slug of a team" })
    yield* cp.createTeam({ orgId: "acme", teamId: "t2", slug: "two", name: "Two" })
    const before = yield* everything
    assert.strictEqual(yield* tagOf(cp.createOrg({ slug: "acme", name: "x" })), "SlugTaken")
    assert.strictEqual(yield* tagOf(cp.createTeam({ orgId: "acme", slug: "app", name: "x" })), "SlugTaken")
    assert.strictEqual(yield* tagOf(cp.createProject({ orgId: "acme", slug: "app", name: "x" })), "SlugTaken")
    assert.strictEqual(yield* tagOf(cp.updateOrg({ orgId: "acme", slug: "other" })), "SlugTaken")
    assert.strictEqual(yield* tagOf(cp.updateTeam({ orgId: "acme", teamId: "t2", slug: "app" })), "SlugTaken")
    assert.strictEqual(yield* tagOf(cp.updateProject({ orgId: "acme", projectId: "app", slug: "web" })), "SlugTaken")
    assert.deepStrictEqual(yield* everything, before)
    assert.strictEqual(yield* tagOf(cp.updateOrg({ orgId: "acme", slug: "acme" })), "ok")
  }).pipe(Effect.provide(Live)))

it.effect("teams have members with roles, and projects grant roles to teams", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    const team = yield* cp.createTeam({ orgId: "acme", teamId: "ops", slug: "ops", name: "Ops" })
    assert.deepStrictEqual(yield* cp.getTeam({ orgId: "acme", teamId: "ops" }), team)
    const ada = yield* cp.addTeamMember({ orgId: "acme", teamId: "ops", userId: "user:ada", role: "member" })
    yield* TestClock.adjust("1 second")
    const promoted = yield* cp.addTeamMember({ orgId: "acme", teamId: "ops", userId: "user:ada", role: "admin" })
    assert.deepStrictEqual(promoted, { ...ada, role: "admin", updatedAtMs: ada.updatedAtMs + 1_000 })
    assert.deepStrictEqual(yield* cp.listTeamMembers({ orgId: "acme", userId: "user:ada" }), [promoted])
    const grant = yield* cp.addProjectTeam({ orgId: "acme", projectId: "app", teamId: "ops", role: "viewer" })
    assert.deepStrictEqual(yield* cp.listProjectTeams({ orgId: "acme", teamId: "ops" }), [grant])
    const { deleted } = yield* cp.deleteTeam({ orgId: "acme", teamId: "ops" })
    assert.deepStrictEqual(deleted, { teamMembers: 1, projectTeams: 1 })
    assert.deepStrictEqual(yield* cp.listTeamMembers({ orgId: "acme" }), [])
    assert.deepStrictEqual(yield* cp.listProjectTeams({ orgId: "acme" }), [])
    assert.deepStrictEqual(yield* cp.listTeams({ orgId: "acme" }), [])
  }).pipe(Effect.provide(Live)))

it.effect("what somebody is removed from knows them no more, and removing twice is a refusal", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    yield* cp.createTeam({ orgId: "acme", teamId: "ops", slug: "ops", name: "Ops" })
    const member = { orgId: "acme", teamId: "ops", userId: "user:ada" }
    const grant = { orgId: "acme", projectId: "app", teamId: "ops" }
    yield* cp.addTeamMember({ ...member, role: "member" })
    yield* cp.addProjectTeam({ ...grant, role: "viewer" })
    yield* cp.removeTeamMember(member)
    yield* cp.removeProjectTeam(grant)
    assert.strictEqual(yield* tagOf(cp.removeTeamMember(member)), "RecordNotFound")
    assert.strictEqual(yield* tagOf(cp.removeProjectTeam(grant)), "RecordNotFound")
  }).pipe(Effect.provide(Live)))

it.effect("billing accounts, identity providers and secret references are written, written anew, read and deleted", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    yield* TestClock.setTime(10)
    yield* cp.upsertBillingAccount({ orgId: "acme", plan: "trial" })
    const billing = yield* cp.upsertBillingAccount({ orgId: "acme", plan: "business", billingCustomerId: "cus_1" })
    assert.deepStrictEqual(yield* cp.getBillingAccount({ orgId: "acme" }), billing)
    assert.deepStrictEqual(yield* cp.listBillingAccounts(), [billing])
    yield* cp.deleteBillingAccount({ orgId: "acme" })
    assert.strictEqual(yield* tagOf(cp.getBillingAccount({ orgId: "acme" })), "RecordNotFound")

    const oidc = { orgId: "acme", providerId: "idp", type: "oidc", issuer: "https://id.example" } as const
    const first = yield* cp.upsertIdentityProvider({
      ...oidc,
      clientId: "smithers",
      jwksUrl: "https://id.example/keys"
    })
    yield* TestClock.setTime(20)
    const disabled = yield* cp.upsertIdentityProvider({ ...oidc, status: "disabled" })
    assert.deepStrictEqual(disabled, {
      ...first,
      clientId: null,
      jwksUrl: null,
      status: "disabled",
      updatedAtMs: 20
    })
    assert.deepStrictEqual(yield* cp.getIdentityProvider({ orgId: "acme", providerId: "idp" }), disabled)
    assert.deepStrictEqual(yield* cp.listIdentityProviders({ orgId: "acme", status: "active" }), [])
    yield* cp.deleteIdentityProvider({ orgId: "acme", providerId: "idp" })
    assert.deepStrictEqual(yield* cp.listIdentityProviders({ orgId: "acme" }), [])

    const ref = { orgId: "acme", name: "deploy", provider: "vault", ref: "vault://a" }
    const ofOrg = yield* cp.putSecretRef({ ...ref, createdBy: "ada@acme.example" })
    const ofApp = yield* cp.putSecretRef({ ...ref, projectId: "app" })
    yield* TestClock.setTime(30)
    const rotated = yield* cp.putSecretRef({ ...ref, ref: "vault://b" })
    assert.deepStrictEqual(rotated, { ...ofOrg, ref: "vault://b", rotatedAtMs: 30 })
    assert.deepStrictEqual(yield* cp.listSecretRefs({ orgId: "acme" }), [rotated, ofApp])
    assert.deepStrictEqual(yield* cp.listSecretRefs({ orgId: "acme", projectId: null }), [rotated])
    assert.deepStrictEqual(yield* cp.listSecretRefs({ orgId: "acme", projectId: "app" }), [ofApp])
    assert.deepStrictEqual(yield* cp.getSecretRef({ orgId: "acme", projectId: "app", name: "deploy" }), ofApp)
    yield* cp.deleteSecretRef({ orgId: "acme", name: "deploy" })
    assert.deepStrictEqual(yield* cp.listSecretRefs({ orgId: "acme" }), [ofApp])
  }).pipe(Effect.provide(Live)))

it.effect("every list goes page by page without gap or overlap", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    const ids = Array.from({ length: 7 }, (_, i) => `x${i}`)
    for (const id of ids) {
      yield* cp.createOrg({ orgId: id, slug: id, name: id })
      yield* cp.createTeam({ orgId: "acme", teamId: id, slug: id, name: id })
      yield* cp.createProject({ orgId: "acme", projectId: id, slug: id, name: id })
      yield* cp.addTeamMember({ orgId: "acme", teamId: id, userId: "u", role: "member" })
      yield* cp.addProjectTeam({ orgId: "acme", projectId: id, teamId: id, role: "member" })
      yield* cp.upsertIdentityProvider({ orgId: "acme", providerId: id, type: "saml", issuer: "urn:x" })
      yield* cp.upsertBillingAccount({ orgId: id, plan: "free" })
      yield* cp.putSecretRef({ orgId: "acme", projectId: id, name: "s", provider: "vault", ref: "vault://s" })
      yield* cp.setUsageLimit({ orgId: "acme", projectId: id, metric: "a/b", limitQuantity: 1 })
      yield* cp.reserveUsage({ orgId: "acme", reservationId: id, metric: "runs", quantity: 1 })
    }
    const all = <A, E>(
      page: (after: string | undefined) => Effect.Effect<ReadonlyArray<A>, E>,
      position: (row: A) => string
    ) =>
      Effect.gen(function*() {
        const seen: Array<string> = []
        for (;;) {
          const rows = yield* page(seen.at(-1))
          if (rows.length === 0) return seen
          assert.isAtMost(rows.length, 3)
          seen.push(...rows.map(position))
        }
      })
    const of = { orgId: "acme", limit: 3 }
    const expected = (position: (id: string) => string = (id) => id) => ids.map(position)
    assert.deepStrictEqual(
      yield* all((after) => cp.listOrgs({ limit: 3, after }), ({ orgId }) => orgId),
      ["acme", ...ids]
    )
    assert.deepStrictEqual(yield* all((after) => cp.listTeams({ ...of, after }), ({ teamId }) => teamId), expected())
    assert.deepStrictEqual(
      yield* all((after) => cp.listProjects({ ...of, after }), ({ projectId }) => projectId),
      ["app", "web", ...ids]
    )
    assert.deepStrictEqual(
      yield* all((after) => cp.listTeamMembers({ ...of, after }), ({ teamId, userId }) => `${teamId}/${userId}`),
      expected((id) => `${id}/u`)
    )
    assert.deepStrictEqual(
      yield* all((after) => cp.listProjectTeams({ ...of, after }), ({ projectId, teamId }) => `${projectId}/${teamId}`),
      expected((id) => `${id}/${id}`)
    )
    assert.deepStrictEqual(
      yield* all((after) => cp.listIdentityProviders({ ...of, after }), ({ providerId }) => providerId),
      expected()
    )
    assert.deepStrictEqual(
      yield* all((after) => cp.listBillingAccounts({ limit: 3, after }), ({ orgId }) => orgId),
      expected()
    )
    assert.deepStrictEqual(
      yield* all((after) => cp.listSecretRefs({ ...of, after }), ({ name, projectId }) => `${projectId}/${name}`),
      expected((id) => `${id}/s`)
    )
    assert.deepStrictEqual(
      yield* all(
        (after) => cp.listUsageLimits({ ...of, after }),
        ({ metric, period, projectId, unit }) => `${projectId}/${metric}/${unit}/${period}`
      ),
      expected((id) => `${id}/a/b/count/monthly`)
    )
    assert.deepStrictEqual(
      yield* all((after) => cp.listReservations({ ...of, after }), ({ reservationId }) => reservationId),
      expected()
    )
  }).pipe(Effect.provide(Live)))

const text = (length: number) => "x".repeat(length)

const token = `ghp_${"a1B2".repeat(9)}`

const refused: ReadonlyArray<
  readonly [string, string, (cp: typeof plane["Service"]) => Effect.Effect<unknown, CreateError>]
> = [
  ["an id that is too long", "orgId", (cp) => cp.createOrg({ orgId: text(129), slug: "s", name: "n" })],
  [
    "the id that stands for the organization",
    "projectId",
    (cp) => cp.createProject({ orgId: "acme", projectId: "__org__", slug: "s", name: "n" })
  ],
  ["an upper-case slug", "slug", (cp) => cp.createOrg({ slug: "S", name: "n" })],
  ["a slug that ends with a dash", "slug", (cp) => cp.createOrg({ slug: "s-", name: "n" })],
  ["an empty name", "name", (cp) => cp.createOrg({ slug: "s", name: "" })],
  ["a blank name", "name", (cp) => cp.createOrg({ slug: "s", name: "  " })],
  ["a name with a line feed", "name", (cp) => cp.createOrg({ slug: "s", name: "a\nb" })],
  ["a missing name", "name", (cp) => cp.createOrg({ slug: "s" } as never)],
  ["a member that is not known", "nam", (cp) => cp.createOrg({ slug: "s", name: "n", nam: "n" } as never)],
  [
    "metadata that is too large",
    "metadata",
    (cp) => cp.createOrg({ slug: "s", name: "n", metadata: { a: text(16_384) } })
  ],
  ["metadata that is no JSON", "metadata", (cp) => cp.createOrg({ slug: "s", name: "n", metadata: { a: 1n } })],
  ["metadata with a credential", "metadata", (cp) => cp.createOrg({ slug: "s", name: "n", metadata: { token } })],
  ["metadata that is a list", "metadata", (cp) => cp.createOrg({ slug: "s", name: "n", metadata: [] as never })],
  [
    "a credential in place of a reference",
    "ref",
    (cp) => cp.putSecretRef({ orgId: "acme", name: "t", provider: "vault", ref: token })
  ],
  ["a private key in place of a reference", "certificateRef", (cp) =>
    cp.upsertIdentityProvider({
      orgId: "acme",
      providerId: "p",
      type: "saml",
      issuer: "urn:x",
      certificateRef: "-----BEGIN PRIVATE KEY-----"
    })],
  [
    "an address that is none",
    "ssoUrl",
    (cp) =>
      cp.upsertIdentityProvider({
        orgId: "acme",
        providerId: "p",
        type: "saml",
        issuer: "urn:x",
        ssoUrl: "javascript:1"
      })
  ],
  [
    "an unknown type",
    "type",
    (cp) => cp.upsertIdentityProvider({ orgId: "acme", providerId: "p", type: "ldap" as never, issuer: "urn:x" })
  ],
  ["a fraction", "quantity", (cp) => cp.recordUsage({ orgId: "acme", metric: "m", quantity: 0.5 })],
  ["a negative quantity", "quantity", (cp) => cp.recordUsage({ orgId: "acme", metric: "m", quantity: -1 })],
  ["no number", "quantity", (cp) => cp.recordUsage({ orgId: "acme", metric: "m", quantity: Number.NaN })],
  [
    "an unknown period",
    "period",
    (cp) => cp.setUsageLimit({ orgId: "acme", metric: "m", period: "yearly" as never, limitQuantity: 1 })
  ],
  [
    "an unknown time zone",
    "timeZone",
    (cp) => cp.setUsageLimit({ orgId: "acme", metric: "m", timeZone: "Mars/Olympus", limitQuantity: 1 })
  ],
  ["a page that is too long", "limit", (cp) => cp.listTeams({ orgId: "acme", limit: 1_001 })],
  [
    "a reservation that never ends",
    "ttlMs",
    (cp) => cp.reserveUsage({ orgId: "acme", metric: "m", quantity: 1, ttlMs: 1e12 })
  ],
  [
    "a time before the epoch",
    "occurredAtMs",
    (cp) => cp.recordAuditEvent({ orgId: "acme", action: "a", targetType: "t", occurredAtMs: -1 })
  ]
]

for (const [what, field, attempt] of refused) {
  it.effect(`${what} is refused with the field's name and bound, unquoted, and nothing is written`, () =>
    Effect.gen(function*() {
      const cp = yield* acme
      const before = yield* everything
      const error = yield* Effect.flip(Effect.asVoid(attempt(cp)))
      assert.instanceOf(error, InvalidInput)
      assert.strictEqual(error.field, field)
      assert.match(error.bound, /^(must |is )/)
      assert.notInclude(JSON.stringify(error), token)
      assert.deepStrictEqual(yield* everything, before)
    }).pipe(Effect.provide(Live)))
}

it.effect("what names an organization, a project or a team that is not there is refused, and nothing is written", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    const before = yield* everything
    const limit = { metric: "m", limitQuantity: 1 }
    assert.strictEqual(yield* tagOf(cp.createTeam({ orgId: "no", slug: "s", name: "n" })), "OrgNotFound")
    assert.strictEqual(yield* tagOf(cp.createProject({ orgId: "no", slug: "s", name: "n" })), "OrgNotFound")
    assert.strictEqual(yield* tagOf(cp.upsertBillingAccount({ orgId: "no", plan: "p" })), "OrgNotFound")
    assert.strictEqual(yield* tagOf(cp.recordUsage({ orgId: "no", metric: "m", quantity: 1 })), "OrgNotFound")
    assert.strictEqual(yield* tagOf(cp.setUsageLimit({ orgId: "no", ...limit })), "OrgNotFound")
    assert.strictEqual(yield* tagOf(cp.reserveUsage({ orgId: "no", metric: "m", quantity: 1 })), "OrgNotFound")
    assert.strictEqual(yield* tagOf(cp.exportOrgAudit({ orgId: "no" })), "OrgNotFound")
    assert.strictEqual(
      yield* tagOf(cp.recordAuditEvent({ orgId: "no", action: "a", targetType: "t" })),
      "OrgNotFound"
    )
    const of = { orgId: "acme", projectId: "no" }
    assert.strictEqual(yield* tagOf(cp.recordUsage({ ...of, metric: "m", quantity: 1 })), "RecordNotFound")
    assert.strictEqual(yield* tagOf(cp.setUsageLimit({ ...of, ...limit })), "RecordNotFound")
    assert.strictEqual(yield* tagOf(cp.reserveUsage({ ...of, metric: "m", quantity: 1 })), "RecordNotFound")
    assert.strictEqual(
      yield* tagOf(cp.putSecretRef({ ...of, name: "n", provider: "p", ref: "r" })),
      "RecordNotFound"
    )
    assert.strictEqual(yield* tagOf(cp.addProjectTeam({ ...of, teamId: "no", role: "viewer" })), "RecordNotFound")
    assert.strictEqual(
      yield* tagOf(cp.addTeamMember({ orgId: "acme", teamId: "no", userId: "u", role: "viewer" })),
      "RecordNotFound"
    )
    assert.deepStrictEqual(yield* everything, before)
  }).pipe(Effect.provide(Live)))

it.effect("a change is in the organization's audit and in the service's, with who made it, or in neither", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    const audit = yield* Audit.Audit
    const ada = { userId: "user:ada", tokenId: "t1", role: "operator", scopes: ["*"] }
    yield* TestClock.setTime(7)
    yield* cp.setUsageLimit({ orgId: "acme", projectId: "app", metric: "runs", limitQuantity: 3 }).pipe(
      Effect.provideService(CurrentActor, ada)
    )
    yield* Effect.ignore(cp.createOrg({ slug: "acme", name: "x" }))
    const [ours] = yield* audit.list({ limit: 1 })
    const detail = {
      metric: "runs",
      unit: "count",
      period: "monthly",
      window: "calendar",
      timeZone: "UTC",
      enforcement: "hard",
      limitQuantity: 3
    }
    assert.deepInclude(ours, {
      atMs: 7,
      actor: "user:ada",
      tokenId: "t1",
      action: "usage_limit.upsert",
      target: "app",
      outcome: "ok",
      detail: { orgId: "acme", projectId: "app", targetType: "usage_limit", ...detail }
    })
    const theirs = (yield* cp.listAuditEvents({ orgId: "acme" })).at(-1)
    assert.deepInclude(theirs, {
      orgId: "acme",
      projectId: "app",
      actorId: "user:ada",
      action: "usage_limit.upsert",
      targetType: "usage_limit",
      targetId: "app",
      occurredAtMs: 7,
      metadata: detail
    })
  }).pipe(Effect.provide(Live)))

it.effect("the project's usage, and what was done in it, outlive it; what else it had goes with it", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    const of = { orgId: "acme", projectId: "app" }
    yield* cp.recordUsage({ ...of, metric: "runs", quantity: 3 })
    yield* cp.setUsageLimit({ orgId: "acme", metric: "runs", limitQuantity: 3 })
    yield* cp.setUsageLimit({ ...of, metric: "runs", limitQuantity: 3 })
    yield* cp.putSecretRef({ ...of, name: "n", provider: "p", ref: "r" })
    const events = (yield* cp.listAuditEvents({ orgId: "acme" })).length
    const { deleted } = yield* cp.deleteProject(of)
    assert.deepStrictEqual(deleted, { projectTeams: 0, usageLimits: 1, secretRefs: 1 })
    assert.deepInclude(yield* cp.checkUsageLimit({ orgId: "acme", metric: "runs" }), { usedQuantity: 3 })
    assert.strictEqual((yield* cp.listAuditEvents({ orgId: "acme" })).length, events + 1)
    assert.strictEqual(yield* tagOf(cp.recordUsage({ ...of, metric: "runs", quantity: 1 })), "RecordNotFound")
    yield* cp.createProject({ ...of, slug: "app", name: "Again" })
    assert.strictEqual(yield* tagOf(cp.recordUsage({ ...of, metric: "runs", quantity: 1 })), "ok")
  }).pipe(Effect.provide(Live)))

it.effect("a deleted organization takes its rows and no others; what went is counted and kept in the service's audit", () =>
  Effect.gen(function*() {
    const cp = yield* plane
    for (const orgId of ["goes", "stays"]) {
      yield* cp.createOrg({ orgId, slug: orgId, name: orgId })
      yield* cp.createTeam({ orgId, teamId: "t", slug: "t", name: "T" })
      yield* cp.addTeamMember({ orgId, teamId: "t", userId: "u", role: "admin" })
      yield* cp.upsertBillingAccount({ orgId, plan: "free" })
      yield* cp.upsertIdentityProvider({ orgId, providerId: "i", type: "saml", issuer: "urn:x" })
      for (const projectId of ["p", "q"]) {
        yield* cp.createProject({ orgId, projectId, slug: projectId, name: "P" })
        yield* cp.addProjectTeam({ orgId, projectId, teamId: "t", role: "viewer" })
        yield* cp.putSecretRef({ orgId, projectId, name: "s", provider: "vault", ref: "r" })
        yield* cp.setUsageLimit({ orgId, projectId, metric: "m", limitQuantity: 10 })
        yield* cp.recordUsage({ orgId, projectId, metric: "m", quantity: 1, idempotencyKey: projectId })
        yield* cp.reserveUsage({ orgId, projectId, metric: "m", quantity: 1 })
      }
    }
    const before = yield* everything
    const seriesOf = (orgId: string) =>
      Effect.map(
        rows("SELECT series_id FROM _smithers_cp_usage_series WHERE org_id = ?", orgId),
        (found) => new Set(found.map((row) => row["series_id"]))
      )
    const going = yield* seriesOf("goes")
    const last = (yield* cp.listAuditEvents({ orgId: "goes", limit: 1_000 })).at(-1)
    const { deleted, lastAuditHash } = yield* cp.deleteOrg({ orgId: "goes" })
    const model = Object.fromEntries(
      Object.entries(before).map((
        [table, found]
      ) => [table, found.filter((row) => row["org_id"] !== "goes" && !going.has(row["series_id"]!))])
    )
    // The rollups of the other organization have series of their own.
    const { _smithers_cp_deleted_orgs: kept, ...left } = yield* everything
    const { _smithers_cp_deleted_orgs: none, ...expected } = model
    assert.deepStrictEqual(left, expected)
    assert.deepStrictEqual(none, [])
    assert.deepStrictEqual<unknown>(kept, [{ org_id: "goes", deleted_at_ms: 0, ended_at_ms: null }])
    const counts = {
      teams: 1,
      teamMembers: 1,
      projects: 2,
      projectTeams: 2,
      billingAccounts: 1,
      identityProviders: 1,
      usageEvents: 2,
      usageLimits: 2,
      usageReservations: 2,
      usageSeries: 3,
      secretRefs: 2,
      auditEvents: 13
    }
    assert.deepStrictEqual(deleted, counts)
    assert.strictEqual(lastAuditHash, last?.hash)
    const audit = yield* Audit.Audit
    const [entry] = yield* audit.list({ limit: 1 })
    assert.deepInclude(entry, {
      action: "org.delete",
      target: "goes",
      detail: { orgId: "goes", targetType: "org", ...counts, lastAuditHash }
    })
  }).pipe(Effect.provide(Live)))

it.effect("an organization that others write to while it is deleted reports what really went", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    const results = yield* Effect.all([
      cp.deleteOrg({ orgId: "acme" }),
      ...Array.from({ length: 50 }, () => Effect.either(cp.recordUsage({ orgId: "acme", metric: "m", quantity: 1 })))
    ], { concurrency: "unbounded" })
    const [{ deleted }, ...others] = results
    assert.strictEqual(deleted["usageEvents"], others.filter(Either.isRight).length)
    const { _smithers_cp_deleted_orgs: kept, ...left } = yield* everything
    assert.lengthOf(kept ?? [], 1)
    for (const found of Object.values(left)) assert.deepStrictEqual(found, [])
  }).pipe(Effect.provide(Live)))

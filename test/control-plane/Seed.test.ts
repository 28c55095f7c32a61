import { assert, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import { ControlPlaneStore } from "smithers-orchestrator/control-plane"

it("the code of the seed runs as written, and every answer has what was given", () => {
  const sqlite = new Sqlite(":memory:")
  const startedMs = Date.now()

  const store = new ControlPlaneStore(sqlite)

  const org = store.createOrg({
    orgId: "org_acme",
    slug: "acme",
    name: "Acme"
  })

  const project = store.createProject({
    orgId: org.orgId,
    projectId: "project_app",
    slug: "app",
    name: "App"
  })

  const usage = store.recordUsage({
    orgId: org.orgId,
    projectId: project.projectId,
    runId: "run_123",
    metric: "agent_runtime_ms",
    quantity: 42_000,
    unit: "ms"
  })

  const limit = store.setUsageLimit({
    orgId: org.orgId,
    projectId: project.projectId,
    metric: "agent_runtime_ms",
    unit: "ms",
    period: "monthly",
    limitQuantity: 10_000_000
  })

  const provider = store.upsertIdentityProvider({
    orgId: org.orgId,
    providerId: "idp_okta",
    type: "saml",
    issuer: "https://acme.okta.com",
    ssoUrl: "https://acme.okta.com/app/smithers/sso/saml",
    certificateRef: "vault://identity/acme-okta-cert"
  })

  const secretRef = store.putSecretRef({
    orgId: org.orgId,
    projectId: project.projectId,
    name: "deploy-token",
    provider: "aws-secrets-manager",
    ref: "arn:aws:secretsmanager:us-east-1:123:secret:deploy"
  })

  const quota = store.checkUsageLimit({
    orgId: org.orgId,
    projectId: project.projectId,
    metric: "agent_runtime_ms",
    unit: "ms",
    period: "monthly"
  })

  const audit = store.exportOrgAudit({ orgId: org.orgId })

  const { createdAtMs, updatedAtMs, ...named } = org
  assert.deepStrictEqual(named, { orgId: "org_acme", slug: "acme", name: "Acme", metadata: {} })
  assert.isAtLeast(createdAtMs, startedMs)
  assert.strictEqual(updatedAtMs, createdAtMs)

  assert.deepStrictEqual(project, {
    orgId: "org_acme",
    projectId: "project_app",
    slug: "app",
    name: "App",
    metadata: {},
    createdAtMs: project.createdAtMs,
    updatedAtMs: project.createdAtMs
  })
  assert.deepStrictEqual(usage, {
    id: 1,
    orgId: "org_acme",
    projectId: "project_app",
    runId: "run_123",
    metric: "agent_runtime_ms",
    quantity: 42_000,
    unit: "ms",
    observedAtMs: usage.recordedAtMs,
    recordedAtMs: usage.recordedAtMs,
    idempotencyKey: null,
    metadata: {}
  })
  assert.deepStrictEqual(limit, {
    orgId: "org_acme",
    projectId: "project_app",
    metric: "agent_runtime_ms",
    unit: "ms",
    period: "monthly",
    window: "calendar",
    timeZone: "UTC",
    enforcement: "hard",
    limitQuantity: 10_000_000,
    updatedAtMs: limit.updatedAtMs
  })
  assert.deepStrictEqual(provider, {
    orgId: "org_acme",
    providerId: "idp_okta",
    type: "saml",
    issuer: "https://acme.okta.com",
    ssoUrl: "https://acme.okta.com/app/smithers/sso/saml",
    certificateRef: "vault://identity/acme-okta-cert",
    clientId: null,
    jwksUrl: null,
    status: "active",
    metadata: {},
    createdAtMs: provider.createdAtMs,
    updatedAtMs: provider.createdAtMs
  })
  assert.deepStrictEqual(secretRef, {
    orgId: "org_acme",
    projectId: "project_app",
    name: "deploy-token",
    provider: "aws-secrets-manager",
    ref: "arn:aws:secretsmanager:us-east-1:123:secret:deploy",
    createdBy: null,
    createdAtMs: secretRef.createdAtMs,
    rotatedAtMs: null
  })

  const month = new Date(startedMs)
  const state = {
    ...limit,
    fromMs: Date.UTC(month.getUTCFullYear(), month.getUTCMonth(), 1),
    toMs: Date.UTC(month.getUTCFullYear(), month.getUTCMonth() + 1, 1),
    usedQuantity: 42_000,
    reservedQuantity: 0,
    remainingQuantity: 9_958_000,
    exceeded: false
  }
  assert.deepStrictEqual(quota, { ...state, limits: [state] })

  const { auditEvents, exportedAtMs, ...exported } = audit
  assert.isAtLeast(exportedAtMs, startedMs)
  assert.deepStrictEqual(exported, {
    org,
    projects: [project],
    projectTeams: [],
    teams: [],
    teamMembers: [],
    billing: null,
    identityProviders: [provider],
    usage: [{
      orgId: "org_acme",
      projectId: null,
      metric: "agent_runtime_ms",
      unit: "ms",
      quantity: 42_000,
      events: 1
    }],
    usageLimits: [limit],
    secretRefs: [secretRef],
    nextAfterId: null
  })
  assert.deepStrictEqual(auditEvents.map(({ action, targetId }) => [action, targetId]), [
    ["org.create", "org_acme"],
    ["project.create", "project_app"],
    ["usage_limit.upsert", "project_app"],
    ["identity_provider.upsert", "idp_okta"],
    ["secret_ref.upsert", "deploy-token"]
  ])
  assert.isTrue(store.verifyOrgAudit({ orgId: org.orgId }).intact)
  sqlite.close()
})

it("deleting an organization takes along its projects, providers, usage, limits, references and audit", () => {
  const sqlite = new Sqlite(":memory:")
  const store = new ControlPlaneStore(sqlite)
  for (const name of ["one", "two"]) {
    store.createOrg({ orgId: name, slug: name, name })
    store.createProject({ orgId: name, projectId: "p", slug: "p", name: "P" })
    store.upsertIdentityProvider({ orgId: name, providerId: "idp", type: "oidc", issuer: "https://id.example" })
    store.recordUsage({ orgId: name, projectId: "p", metric: "runs", quantity: 1 })
    store.setUsageLimit({ orgId: name, projectId: "p", metric: "runs", limitQuantity: 5 })
    store.putSecretRef({ orgId: name, name: "s", provider: "vault", ref: "vault://s" })
  }
  assert.strictEqual(sqlite.pragma("foreign_keys", { simple: true }), 1)
  sqlite.prepare("DELETE FROM _smithers_cp_orgs WHERE org_id = 'one'").run()
  for (
    const table of ["projects", "identity_providers", "usage_events", "usage_limits", "secret_refs", "audit_events"]
  ) {
    const owners = sqlite.prepare(`SELECT DISTINCT org_id FROM _smithers_cp_${table}`).pluck().all()
    assert.deepStrictEqual(owners, ["two"], table)
  }
  sqlite.close()
})

it("a store on the same file again has what was written", () => {
  const sqlite = new Sqlite(":memory:")
  const org = new ControlPlaneStore(sqlite).createOrg({ slug: "acme", name: "Acme" })
  assert.deepStrictEqual(new ControlPlaneStore(sqlite).getOrg(org.orgId), org)
  sqlite.close()
})

it("a refusal is thrown as the typed error it is, and nothing was written", () => {
  const sqlite = new Sqlite(":memory:")
  const store = new ControlPlaneStore(sqlite)
  store.createOrg({ orgId: "a", slug: "acme", name: "Acme" })
  const thrown = (f: () => unknown) => {
    try {
      return f()
    } catch (error) {
      return error
    }
  }
  assert.deepInclude(thrown(() => store.createOrg({ orgId: "b", slug: "acme", name: "Acme" })), {
    _tag: "SlugTaken",
    slug: "acme"
  })
  assert.deepInclude(thrown(() => store.createProject({ orgId: "b", slug: "p", name: "P" })), {
    _tag: "OrgNotFound",
    orgId: "b"
  })
  assert.deepInclude(thrown(() => store.createOrg({ orgId: "b", slug: "No", name: "Acme" })), {
    _tag: "InvalidInput",
    field: "slug"
  })
  assert.strictEqual(sqlite.prepare("SELECT COUNT(*) FROM _smithers_cp_orgs").pluck().get(), 1)
  assert.strictEqual(sqlite.prepare("SELECT COUNT(*) FROM _smithers_cp_audit_events").pluck().get(), 1)
  sqlite.close()
})

it("a method is part of the transaction that its caller has begun", () => {
  const sqlite = new Sqlite(":memory:")
  const store = new ControlPlaneStore(sqlite)
  const both = sqlite.transaction(() => {
    store.createOrg({ orgId: "a", slug: "a", name: "A" })
    store.createOrg({ orgId: "b", slug: "a", name: "B" })
  })
  assert.throws(both, "Another organization has the slug a")
  assert.deepStrictEqual(store.listOrgs(), [])
  sqlite.close()
})

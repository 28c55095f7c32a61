import { assert, it, layer } from "@effect/vitest"
import { Effect, Layer, Redacted, Schema } from "effect"
import { Access } from "../../src/access/index.ts"
import { ControlPlane, RunBudget } from "../../src/control-plane/index.ts"
import { ApprovalStore, Engine, EngineConfig, Runner, TimerStore } from "../../src/engine/index.ts"
import { GatewayRpcs, tenantUseOf } from "../../src/gateway/contract.ts"
import { systemActor } from "../../src/model/index.ts"
import { Persistence } from "../../src/persistence/index.ts"
import { Approval, Task, Workflow } from "../../src/workflow/index.ts"
import { ok, rpc, type Wire } from "./support/Http.ts"
import { gatewayOver, noSandboxes } from "./support/Service.ts"
import { connected } from "./support/Ws.ts"

/** What of an organization a call may name. */
interface Things {
  readonly runId: string
  readonly nodeId: string
  readonly orgId: string
  readonly projectId: string
  readonly tokenId: string
  /** Idempotency key of a launch. */
  readonly key: string
}

type Params = Readonly<Record<string, unknown>>
type Calls = (things: Things, own: { readonly orgId: string }) => ReadonlyArray<Params>

const run: Calls = ({ runId }) => [{ runId }]
const node: Calls = ({ nodeId, runId }) => [{ runId, nodeId }, { runId, nodeId, iteration: 1 }]
const org: Calls = ({ orgId, projectId }, own) => [{ orgId }, { orgId, projectId }, { orgId: own.orgId, projectId }]
const project: Calls = ({ orgId, projectId }, own) => [{ orgId, projectId }, { orgId: own.orgId, projectId }]
const team: Calls = ({ orgId }, own) => [{ orgId, teamId: "crew" }, { orgId: own.orgId, teamId: "crew" }]
const grants: Calls = (things, own) => project(things, own).map((params) => ({ ...params, teamId: "crew" }))
const metric = { metric: "steps" }

/**
 * How each method that is open to organizations is tried with what is another's. Those without a row have to be the
 * operator's.
 */
const rows: Readonly<Record<string, Calls>> = {
  launchRun: ({ key, orgId, projectId, runId }, own) =>
    [
      { runId },
      { options: { runId } },
      { orgId },
      { orgId, projectId },
      { projectId },
      { orgId: own.orgId, projectId },
      { options: { idempotencyKey: key } }
    ].map((params) => ({ workflow: "guarded", input: {}, ...params })),
  getRun: run,
  listRuns: ({ orgId, projectId, runId }) => [
    {},
    { filter: { parentRunId: runId } },
    { filter: { orgId } },
    { filter: { projectId } },
    { filter: { status: "waiting-approval", limit: 1_000 } }
  ],
  listRunDescendants: run,
  cancelRun: run,
  pauseRun: run,
  resumeRun: run,
  "runs.delete": run,
  getNodeOutput: node,
  listNodeStates: run,
  "attempts.list": (things, own) => [...run(things, own), ...node(things, own)],
  retryTask: node,
  listArtifacts: run,
  getArtifact: ({ runId }) => [{ runId, name: "notes.md" }],
  listApprovals: ({ orgId, projectId, runId }) => [
    {},
    { runId },
    { filter: { runId } },
    { workflow: "guarded" },
    { orgId },
    { filter: { orgId, projectId } },
    { projectId }
  ],
  submitApproval: ({ nodeId, runId }) => [
    { runId, nodeId, approved: true },
    { runId, nodeId, approved: false, note: "no" },
    { runId, nodeId }
  ],
  listWorkflows: () => [{}],
  listEvents: ({ runId }) => [{ runId }, { runId, afterSeq: 1 }, { runId, afterSeq: 1_000_000 }],
  streamRunEvents: ({ runId }) => [{ runId }, { runId, afterSeq: 0 }, { runId, afterSeq: 1_000_000 }],
  "cache.list": ({ runId }) => [{}, { runId }, { task: "think" }],
  "cache.explain": node,
  "cache.purge": ({ runId }) => [{ runId }, { runId, dryRun: true }, {}],
  "audit.list": ({ orgId, runId }) => [{}, { orgId }, { runId }, { action: "run.launch" }],
  getNodeDiff: node,
  getRunDiff: run,
  "sandboxes.list": run,
  "tokens.issue": ({ orgId, projectId }, own) => [
    { role: "viewer", orgId },
    { role: "org-owner", orgId },
    { role: "viewer", orgId, projectIds: [projectId] },
    { role: "viewer", orgId: own.orgId, projectIds: [projectId] },
    { role: "viewer", projectIds: [projectId] }
  ],
  "tokens.list": ({ tokenId }) => [{}, { afterTokenId: tokenId }],
  "tokens.revoke": ({ tokenId }) => [{ tokenId }],
  "tokens.rotate": ({ tokenId }) => [{ tokenId }],
  health: () => [{}],
  "orgs.get": ({ orgId }) => [{ orgId }],
  "orgs.update": ({ orgId }) => [{ orgId, name: "Taken" }],
  "projects.create": ({ orgId }) => [{ orgId, slug: "mine", name: "Mine" }],
  "projects.list": ({ orgId }) => [{ orgId }],
  "projects.delete": project,
  "projects.get": project,
  "projects.update": (things, own) => project(things, own).map((params) => ({ ...params, name: "Taken" })),
  "usage.summary": org,
  "quotas.list": ({ orgId }) => [{ orgId }],
  "quotas.check": (things, own) => org(things, own).map((params) => ({ ...params, ...metric })),
  "usage.list": org,
  "teams.create": ({ orgId }) => [{ orgId, slug: "mine", name: "Mine" }],
  "teams.get": team,
  "teams.list": ({ orgId }) => [{ orgId }],
  "teams.update": (things, own) => team(things, own).map((params) => ({ ...params, name: "Taken" })),
  "teams.delete": team,
  "teamMembers.set": (things, own) => team(things, own).map((params) => ({ ...params, userId: "me", role: "owner" })),
  "teamMembers.list": (things, own) => [...team(things, own), { orgId: things.orgId, userId: "user:a" }],
  "teamMembers.remove": (things, own) => team(things, own).map((params) => ({ ...params, userId: "user:a" })),
  "projectTeams.set": (things, own) => grants(things, own).map((params) => ({ ...params, role: "owner" })),
  "projectTeams.list": org,
  "projectTeams.remove": grants,
  "secretRefs.set": (things, own) =>
    org(things, own).map((params) => ({ ...params, name: "mine", provider: "env", ref: "MINE" })),
  "secretRefs.get": (things, own) => org(things, own).map((params) => ({ ...params, name: "key" })),
  "secretRefs.list": org,
  "secretRefs.remove": (things, own) => org(things, own).map((params) => ({ ...params, name: "key" })),
  "orgAudit.list": org,
  "orgAudit.verify": ({ orgId }) => [{ orgId }]
}

/** What is the operator's own concern: grants of organizations are told so, whatever they ask. */
const methods = [...GatewayRpcs.requests.values()].map((rpc) => ({ name: rpc._tag, use: tenantUseOf(rpc) }))

/** Nobody's, and of the same looks. */
const missing: Things = {
  runId: "gone-1",
  nodeId: "gate",
  orgId: "nobody",
  projectId: "nothing",
  tokenId: "0123456789abcdef",
  key: "never"
}

const Answer = Schema.Struct({ answer: Schema.Number })

/** `guarded`: a task whose result is shared, and a question. */
const guarded = Workflow.make({
  name: "guarded",
  payload: { title: Schema.optionalWith(Schema.String, { default: () => "Ship it?" }) },
  success: Answer,
  error: Approval.ApprovalDenied,
  idempotencyKey: () => "one"
}).toLayer(Effect.fnUntraced(function*({ title }) {
  const first = yield* Task.run({
    id: "think",
    output: Answer,
    cache: { scope: "global", version: "1", by: {} },
    execute: Effect.succeed({ answer: 41 })
  })
  yield* Approval.request({ id: "gate", title, payload: first })
  return first
}))

const service = gatewayOver(
  Layer.mergeAll(Engine.layer, guarded).pipe(
    Layer.provideMerge(Runner.layer),
    Layer.provide(Layer.mergeAll(ApprovalStore.layer, TimerStore.layer, EngineConfig.layerDefault, RunBudget.layer()))
  ),
  noSandboxes
)

const tokenOf = (orgId: string, role: string, projectIds?: ReadonlyArray<string>) =>
  Effect.flatMap(
    Access.Access,
    (access) =>
      Effect.map(access.issue({ role, orgId, projectIds, actor: systemActor }), ({ grant, secret }) => ({
        role: projectIds === undefined ? role : `${role} of ${projectIds.join()}`,
        own: { orgId },
        token: Redacted.value(secret),
        tokenId: grant.tokenId
      }))
  )

/** `acme` with a run that waits in its project `app`, and `beta`. */
const world = Effect.gen(function*() {
  const plane = yield* ControlPlane.ControlPlane
  for (const [orgId, projects] of [["acme", ["app", "web"]], ["beta", ["lab"]]] as const) {
    yield* plane.createOrg({ orgId, slug: orgId, name: orgId })
    for (const projectId of projects) yield* plane.createProject({ orgId, projectId, slug: projectId, name: projectId })
  }
  yield* plane.setUsageLimit({ orgId: "acme", metric: "steps", limitQuantity: 1_000 })
  yield* ok("teams.create", { orgId: "acme", teamId: "crew", slug: "crew", name: "Crew" })
  yield* ok("teamMembers.set", { orgId: "acme", teamId: "crew", userId: "user:a", role: "member" })
  yield* ok("projectTeams.set", { orgId: "acme", projectId: "app", teamId: "crew", role: "member" })
  yield* ok("secretRefs.set", { orgId: "acme", projectId: "app", name: "key", provider: "env", ref: "KEY" })
  const launched = yield* ok("launchRun", {
    workflow: "guarded",
    input: { title: "The secret plans of Acme" },
    orgId: "acme",
    projectId: "app",
    options: { runId: "acme.1", idempotencyKey: "once" }
  })
  yield* Effect.repeat(ok("listApprovals", { runId: launched.runId }), { until: (found) => found.length === 1 })
  const owner = yield* tokenOf("acme", "org-owner")
  const things: Things = {
    runId: launched.runId,
    nodeId: "gate",
    orgId: "acme",
    projectId: "app",
    tokenId: owner.tokenId,
    key: "once"
  }
  return { owner, things }
})

/** Every row of what is acme's, and of acme's project `app` where projects have rows. */
const everythingOfAcme = Effect.gen(function*() {
  const { read } = yield* Persistence.Persistence
  const ofRun = "run_id IN (SELECT run_id FROM _smithers_runs WHERE org_id = 'acme' AND project_id = 'app')"
  const tables: Readonly<Record<string, string>> = {
    _smithers_runs: ofRun,
    _smithers_nodes: ofRun,
    _smithers_attempts: ofRun,
    _smithers_events: ofRun,
    _smithers_approvals: ofRun,
    _smithers_cache: "tenant = 'acme/app'",
    _smithers_cp_orgs: "org_id = 'acme'",
    _smithers_cp_projects: "org_id = 'acme'",
    _smithers_cp_teams: "org_id = 'acme'",
    _smithers_cp_team_members: "org_id = 'acme'",
    _smithers_cp_project_teams: "org_id = 'acme'",
    _smithers_cp_secret_refs: "org_id = 'acme' AND project_id = 'app'",
    _smithers_cp_usage_limits: "org_id = 'acme'",
    _smithers_cp_usage_events: "org_id = 'acme' AND project_id = 'app'",
    _smithers_cp_audit_events: "org_id = 'acme'"
  }
  const found: Record<string, unknown> = {}
  for (const [table, where] of Object.entries(tables)) {
    found[table] = yield* read(`SELECT * FROM ${table} WHERE ${where} ORDER BY 1, 2`, [])
  }
  found["tokens"] = yield* read(
    `SELECT token_id, scopes_json, revoked_at_ms, expires_at_ms FROM _smithers_tokens
      WHERE org_id = 'acme' AND project_ids_json IS NULL ORDER BY 1`,
    []
  )
  return found
})

const volatile =
  /(?<="(?:uptimeMs|stateVersion)":)\d+|\b\d{10,}\b|[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g

/** The answer without what differs from call to call, and without the names that were asked for. */
const plain = (frame: Wire, { orgId, projectId, runId, tokenId }: Things): string => {
  let text = JSON.stringify(frame.ok ? frame.payload : frame.error).replaceAll(volatile, "*")
  for (const name of [runId, tokenId]) text = text.replaceAll(name, "<id>")
  for (const name of [orgId, projectId]) {
    text = text.replaceAll(new RegExp(`(?<=[ "])${name}(?=["/\\s.]|$)`, "g"), "<name>")
  }
  return text
}

/** What answers with rows of the caller's own, of which each call of the others may have made more. */
const growing = new Set(["listRuns", "listApprovals", "audit.list", "tokens.list", "cache.list", "cache.purge"])

/** What an organization must not find in any answer. */
const ofAcme = ["acme.1", "secret plans", "acme/app"]

it("each method has its row, or is the operator's alone", () => {
  assert.deepStrictEqual(
    methods.filter(({ use }) => use !== undefined).map(({ name }) => name).sort(),
    Object.keys(rows).sort()
  )
})

layer(service, { excludeTestServices: true })("what is another organization's", (it) => {
  it.scoped(
    "is answered like what is not there, by every method, to every role, over HTTP and WebSocket",
    () =>
      Effect.gen(function*() {
        const { owner, things } = yield* world
        // What is tried can be done by whoever it belongs to: else all of this would show nothing.
        for (
          const name of ["getRun", "listNodeStates", "listEvents", "cache.explain", "listRunDescendants", "orgs.get"]
        ) {
          const [params] = rows[name]!(things, owner.own)
          const { frame, text } = yield* rpc(name, params, owner.token)
          assert.isTrue(frame.ok, `${name} ${text}`)
        }
        assert.lengthOf((yield* rpc("listRuns", {}, owner.token)).frame.payload, 1)
        assert.lengthOf((yield* rpc("cache.list", {}, owner.token)).frame.payload, 1)

        const callers = [
          ...(yield* Effect.forEach(
            ["org-owner", "admin", "member", "auditor", "viewer"],
            (role) => tokenOf("beta", role)
          )),
          yield* tokenOf("beta", "admin", ["lab"]),
          yield* tokenOf("beta", "member", ["lab"])
        ]
        // Of the same organization, but of another project of it: of the organization itself it may know.
        const neighbours = [yield* tokenOf("acme", "admin", ["web"]), yield* tokenOf("acme", "member", ["web"])]
        const before = yield* everythingOfAcme

        for (const { own, role, token } of [...callers, ...neighbours]) {
          const socket = yield* connected(token)
          const overHttp = (name: string, params: unknown) =>
            Effect.map(rpc(name, params, token), ({ frame, status }) => ({ frame, status }))
          const overSocket = (name: string, params: unknown) =>
            Effect.map(socket.call(name, params), (frame) => ({ frame, status: 0 }))
          assert.deepStrictEqual(socket.hello.payload.snapshot.runs.filter(({ runId }: Wire) => runId === "acme.1"), [])

          for (const { name, use } of methods) {
            for (const ask of [overHttp, overSocket]) {
              if (use === undefined) {
                const { frame } = yield* ask(name, {})
                assert.deepInclude(frame.error, { code: "FORBIDDEN" }, `${name} as ${role}`)
                assert.include(frame.error.message, "is reserved to")
                continue
              }
              const isOwn = own.orgId === things.orgId
              const foreign = rows[name]!(things, own)
              const absent = rows[name]!(isOwn ? { ...missing, orgId: things.orgId } : missing, own)
              for (const [i, params] of foreign.entries()) {
                // The ids of its runs are one organization's, whatever the project.
                if (isOwn && name === "launchRun" && JSON.stringify(params).includes(things.runId)) continue
                const { frame, status } = yield* ask(name, params)
                const expected = yield* ask(name, absent[i]!)
                const at = `${name} ${JSON.stringify(params)} as ${role} of ${own.orgId}: ${JSON.stringify(frame)}`
                assert.strictEqual(status, expected.status, at)
                const names = isOwn ? { ...missing, orgId: things.orgId } : missing
                const isSame = JSON.stringify(params) === JSON.stringify(absent[i])
                if (frame.ok && (isSame || growing.has(name))) assert.isTrue(expected.frame.ok, at)
                else assert.strictEqual(plain(frame, things), plain(expected.frame, names), at)
                if (name === "audit.list" && frame.ok) {
                  // What was asked for stands in the rows of its own asking.
                  for (const row of frame.payload) {
                    assert.deepInclude(row, isOwn ? { orgId: "acme", projectId: "web" } : { orgId: "beta" }, at)
                  }
                } else if (frame.ok) {
                  for (const told of ofAcme) assert.notInclude(JSON.stringify(frame.payload), told, at)
                }
              }
            }
          }
        }
        assert.deepStrictEqual(yield* everythingOfAcme, before)
        assert.strictEqual(
          (yield* rpc("getRun", { runId: things.runId }, owner.token)).frame.payload.status,
          "waiting-approval"
        )
      }),
    300_000
  )
})

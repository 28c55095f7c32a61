import { assert, layer } from "@effect/vitest"
import { Duration, Effect, Layer, Redacted, Schema } from "effect"
import { Access } from "../../src/access/index.ts"
import { ControlPlane, RunBudget } from "../../src/control-plane/index.ts"
import { ApprovalStore, Engine, EngineConfig, Runner, TimerStore } from "../../src/engine/index.ts"
import { RunStore } from "../../src/journal/index.ts"
import { systemActor } from "../../src/model/index.ts"
import { Persistence } from "../../src/persistence/index.ts"
import { Approval, Task, Workflow } from "../../src/workflow/index.ts"
import { ok, refusal, rpc, type Wire } from "./support/Http.ts"
import { adminToken, gatewayOver, noSandboxes } from "./support/Service.ts"
import { connected } from "./support/Ws.ts"

const Child = Workflow.make({
  name: "child",
  payload: { n: Schema.Number },
  success: Schema.Number,
  idempotencyKey: ({ n }) => `${n}`
})

const child = Child.toLayer(({ n }) =>
  Task.run({
    id: "count",
    output: Schema.Number,
    cache: { scope: "workflow", version: "1", by: { n } },
    execute: Effect.succeed(n)
  })
)

const parent = Workflow.make({
  name: "parent",
  payload: {},
  success: Schema.Number,
  idempotencyKey: () => "parent"
}).toLayer(() => Child.execute({ n: 7 }))

const asking = Workflow.make({
  name: "asking",
  payload: {},
  success: Schema.Void,
  error: Approval.ApprovalDenied,
  idempotencyKey: () => "asking"
}).toLayer(() => Effect.asVoid(Approval.request({ id: "gate", title: "Go on?", payload: null })))

const service = gatewayOver(
  Layer.mergeAll(Engine.layer, child, parent, asking).pipe(
    Layer.provideMerge(Runner.layer),
    Layer.provide(Layer.mergeAll(ApprovalStore.layer, TimerStore.layer, EngineConfig.layerDefault, RunBudget.layer()))
  ),
  noSandboxes,
  { heartbeat: Duration.millis(100) }
)

const tokenOf = (
  orgId: string,
  role: string,
  more: { readonly projectIds?: ReadonlyArray<string>; readonly userId?: string } = {}
) =>
  Effect.flatMap(Access.Access, (access) =>
    Effect.map(
      access.issue({ role, orgId, actor: systemActor, ...more }),
      ({ secret }) => Redacted.value(secret)
    ))

/** An organization with the projects `app` and `web`. */
const org = (orgId: string) =>
  Effect.gen(function*() {
    const plane = yield* ControlPlane.ControlPlane
    yield* plane.createOrg({ orgId, slug: orgId, name: orgId })
    for (const projectId of ["app", "web"]) {
      yield* plane.createProject({ orgId, projectId, slug: projectId, name: projectId })
    }
    return plane
  })

const ended = (runId: string) => Effect.flatMap(Engine.Engine, (engine) => engine.awaitEnd(runId))

const waits = (runId: string) =>
  Effect.repeat(ok("listApprovals", { runId }), { until: (found: Wire) => found.length === 1 })

const rows = (text: string, ...params: ReadonlyArray<string>) =>
  Effect.flatMap(Persistence.Persistence, ({ read }) => read(text, params))

layer(service, { excludeTestServices: true })("tenancy", (it) => {
  it.effect("a run is its grant's, in the only project of it or the one that is named; its children, results and audit are too", () =>
    Effect.gen(function*() {
      yield* org("one")
      yield* org("two")
      const ofApp = yield* tokenOf("one", "member", { projectIds: ["app"] })
      const whole = yield* tokenOf("two", "member")
      const { runId } = yield* ok("launchRun", { workflow: "parent" }, ofApp)
      const other = yield* ok("launchRun", { workflow: "parent", projectId: "web" }, whole)
      const operators = yield* ok("launchRun", { workflow: "parent" })
      const orgless = yield* ok("launchRun", { workflow: "parent" }, whole)
      for (const each of [runId, other.runId, operators.runId, orgless.runId]) {
        assert.strictEqual((yield* ended(each)).status, "finished")
      }
      const runs = yield* RunStore.RunStore
      const familyOf = (root: string) =>
        Effect.zipWith(
          runs.get(root),
          runs.list({ parentRunId: root }),
          (run, children) => [run, ...children].map(({ orgId, projectId }) => [orgId, projectId])
        )
      // Four children of the same payload are four runs: nobody is given another's result.
      assert.deepStrictEqual(yield* familyOf(runId), [["one", "app"], ["one", "app"]])
      assert.deepStrictEqual(yield* familyOf(other.runId), [["two", "web"], ["two", "web"]])
      assert.deepStrictEqual(yield* familyOf(operators.runId), [[null, null], [null, null]])
      assert.deepStrictEqual(yield* familyOf(orgless.runId), [["two", null], ["two", null]])
      assert.deepStrictEqual(
        (yield* rows("SELECT tenant FROM _smithers_cache ORDER BY tenant")).map(({ tenant }) => tenant),
        ["", "one/app", "two", "two/web"]
      )
      const row = yield* ok("getRun", { runId }, ofApp)
      assert.deepInclude(row, { orgId: "one", projectId: "app" })
      const [launch] = yield* rows(
        "SELECT org_id, project_id FROM _smithers_audit WHERE action = 'run.launch' AND run_id = ?",
        runId
      )
      assert.deepStrictEqual(launch, { org_id: "one", project_id: "app" })
      const plane = yield* ControlPlane.ControlPlane
      const used = yield* plane.summarizeUsage({ orgId: "one", projectId: "app" })
      assert.deepInclude(
        used.find(({ metric }) => metric === "steps"),
        { projectId: "app", quantity: 1 }
      )
      assert.deepStrictEqual((yield* ok("listRuns", { filter: { orgId: "one" } })).length, 2)
      assert.deepStrictEqual((yield* ok("cache.list", {}, whole)).length, 2)
    }))

  it.effect("operators list the runs and approvals of one organization, or of one of its projects", () =>
    Effect.gen(function*() {
      yield* org("listed")
      yield* org("listed-too")
      const launched = (orgId: string, projectId: string) =>
        Effect.map(ok("launchRun", { workflow: "asking", orgId, projectId }), ({ runId }) => String(runId))
      const app = yield* launched("listed", "app")
      const web = yield* launched("listed", "web")
      const other = yield* launched("listed-too", "app")
      for (const runId of [app, web, other]) yield* waits(runId)
      const member = yield* tokenOf("listed", "member", { projectIds: ["app"] })
      for (const [method, more] of [["listRuns", { status: "waiting-approval" }], ["listApprovals", {}]] as const) {
        const found = (filter: object, token = adminToken) =>
          Effect.map(
            ok(method, { filter }, token),
            (rows: ReadonlyArray<{ readonly runId: string }>) => rows.map(({ runId }) => runId).sort()
          )
        for (const filter of [{}, more]) {
          assert.deepStrictEqual(yield* found({ orgId: "listed", ...filter }), [app, web].sort())
          assert.deepStrictEqual(yield* found({ orgId: "listed", projectId: "app", ...filter }), [app])
          assert.deepStrictEqual(yield* found({ orgId: "listed-too", projectId: "app", ...filter }), [other])
          assert.deepStrictEqual(yield* found({ orgId: "nobody", ...filter }), [])
          assert.deepStrictEqual(yield* found({ projectId: "app", ...filter }, member), [app])
          for (const foreign of [{ projectId: "web" }, { orgId: "listed-too" }, { orgId: "nobody" }]) {
            assert.deepStrictEqual(yield* found({ ...foreign, ...filter }, member), [])
          }
        }
        assert.deepStrictEqual(
          yield* refusal(method, { filter: { projectId: "app" } }),
          [400, "INVALID_REQUEST", "orgId: is required with a projectId"]
        )
      }
    }))

  it.effect("the operator launches for any organization and project that there is, and names both or neither", () =>
    Effect.gen(function*() {
      yield* org("ops")
      const { runId } = yield* ok("launchRun", { workflow: "asking", orgId: "ops", projectId: "web" })
      assert.deepInclude(yield* ok("getRun", { runId }), { orgId: "ops", projectId: "web" })
      const launch = (more: object) => refusal("launchRun", { workflow: "asking", ...more })
      assert.deepStrictEqual(yield* launch({ orgId: "none" }), [404, "NOT_FOUND", "No organization has the id none"])
      assert.deepStrictEqual(
        yield* launch({ orgId: "ops", projectId: "none" }),
        [404, "NOT_FOUND", "Organization ops has no project none"]
      )
      assert.deepStrictEqual(
        yield* launch({ projectId: "web" }),
        [400, "INVALID_REQUEST", "orgId: is required with a projectId"]
      )
      const both = yield* tokenOf("ops", "member", { projectIds: ["app", "web"] })
      assert.deepStrictEqual(
        yield* refusal("launchRun", { workflow: "asking" }, both),
        [400, "INVALID_REQUEST", "projectId: is required of a grant for some projects"]
      )
      assert.deepStrictEqual(
        yield* refusal("launchRun", { workflow: "asking", projectId: "app", runId: "mine" }, both),
        [400, "INVALID_INPUT", "runId: must begin with the id of the organization and a dot"]
      )
      const chosen = yield* ok("launchRun", { workflow: "asking", projectId: "app", runId: "ops.mine" }, both)
      assert.strictEqual(chosen.runId, "ops.mine")
    }))

  it.effect("one idempotency key stands for one run of each tenant", () =>
    Effect.gen(function*() {
      yield* org("keys")
      const launch = (token: string, more: object = {}) =>
        ok("launchRun", { workflow: "asking", options: { idempotencyKey: "k" }, ...more }, token)
      const whole = yield* tokenOf("keys", "member")
      const first = yield* launch(adminToken)
      const second = yield* launch(whole)
      const third = yield* launch(whole, { projectId: "app" })
      assert.strictEqual(new Set([first, second, third].map(({ runId }) => runId)).size, 3)
      for (
        const [token, more, { runId }] of [
          [adminToken, {}, first],
          [whole, {}, second],
          [whole, { projectId: "app" }, third]
        ] as const
      ) {
        const again = yield* launch(token, more)
        assert.deepInclude(again, { runId, existing: true })
      }
    }))

  it.effect("approvals are the organization's to see and to decide, and the audit says whose they were", () =>
    Effect.gen(function*() {
      yield* org("deciding")
      yield* org("looking")
      const member = yield* tokenOf("deciding", "member")
      const stranger = yield* tokenOf("looking", "org-owner")
      const { runId } = yield* ok("launchRun", { workflow: "asking", projectId: "app" }, member)
      yield* waits(runId)
      assert.deepStrictEqual(yield* ok("listApprovals", {}, stranger), [])
      assert.lengthOf(yield* ok("listApprovals", {}, member), 1)
      const decision = { runId, nodeId: "gate", approved: true }
      assert.deepStrictEqual(
        yield* refusal("submitApproval", decision, stranger),
        [404, "NOT_FOUND", `Run not found: ${runId}`]
      )
      yield* ok("submitApproval", decision, member)
      assert.strictEqual((yield* ended(runId)).status, "finished")
      yield* refusal("submitApproval", decision, member)
      const auditor = yield* tokenOf("deciding", "auditor")
      const seen = yield* ok("audit.list", { runId }, auditor)
      assert.deepStrictEqual(
        seen.map(({ action, orgId, outcome, projectId }: Wire) => [action, outcome, orgId, projectId]),
        [
          ["approval.grant", "refused", "deciding", "app"],
          ["approval.grant", "ok", "deciding", "app"],
          ["run.launch", "ok", "deciding", "app"]
        ]
      )
      assert.deepStrictEqual((yield* refusal("audit.export", {}, auditor))[1], "FORBIDDEN")
      assert.deepStrictEqual(yield* ok("audit.list", { runId }, yield* tokenOf("looking", "auditor")), [])
    }))

  it.scoped("a connection is told of the runs of its organization alone", () =>
    Effect.gen(function*() {
      yield* org("told")
      yield* org("untold")
      const told = yield* tokenOf("told", "member")
      const untold = yield* tokenOf("untold", "member")
      const before = yield* ok("launchRun", { workflow: "asking" }, untold)
      yield* waits(before.runId)
      const socket = yield* connected(told)
      assert.deepStrictEqual(socket.hello.payload.snapshot.runs, [])
      assert.deepStrictEqual(socket.hello.payload.snapshot.approvals, [])
      const operator = yield* connected()
      const foreign = yield* ok("launchRun", { workflow: "asking" }, untold)
      yield* waits(foreign.runId)
      yield* operator.until(({ event, payload }) => event === "approval.requested" && payload.runId === foreign.runId)
      const own = yield* ok("launchRun", { workflow: "asking" }, told)
      // In the order in which it happened: what comes first is its own.
      const frame = yield* socket.until(({ type, payload }) => type === "event" && payload.runId !== undefined)
      assert.strictEqual(frame.payload.runId, own.runId)
      const hello = (yield* connected(told)).hello.payload.snapshot
      assert.deepStrictEqual(hello.runs.map(({ runId }: Wire) => runId), [own.runId])
    }))

  it.scoped("a connection ends when teams or projects give it another reach, and when its organization is deleted", () =>
    Effect.gen(function*() {
      const plane = yield* org("moving")
      const team = { orgId: "moving", teamId: "core" }
      yield* plane.createTeam({ ...team, slug: "core", name: "Core" })
      const member = yield* connected(yield* tokenOf("moving", "member", { userId: "user:ada" }))
      const owner = yield* connected(yield* tokenOf("moving", "org-owner"))
      yield* plane.addProjectTeam({ ...team, projectId: "web", role: "viewer" })
      assert.deepStrictEqual(yield* member.closed, { code: 1012, reason: "rights changed" })
      yield* plane.deleteOrg({ orgId: "moving" })
      const { code, reason } = yield* owner.closed
      assert.strictEqual(code, 1008)
      assert.include(["organization deleted", "token revoked"], reason)
    }))

  it.effect("what has reached a hard limit launches nothing more, and is told which; what it launched before is still answered", () =>
    Effect.gen(function*() {
      const plane = yield* org("limited")
      const member = yield* tokenOf("limited", "member", { projectIds: ["app"] })
      const request = { workflow: "parent", options: { idempotencyKey: "first" } }
      const { runId } = yield* ok("launchRun", request, member)
      yield* ended(runId)
      yield* plane.setUsageLimit({ orgId: "limited", projectId: "app", metric: "steps", limitQuantity: 1 })
      const { frame, status } = yield* rpc("launchRun", { workflow: "parent" }, member)
      assert.strictEqual(status, 429)
      assert.deepStrictEqual(frame.error, {
        version: "v1",
        code: "QUOTA_EXCEEDED",
        message: "The limit of 1 count of steps is reached (1 used)",
        metric: "steps",
        unit: "count",
        limit: 1,
        used: 1
      })
      assert.lengthOf(yield* ok("listRuns", {}, member), 2)
      assert.deepInclude(yield* ok("launchRun", request, member), { runId, existing: true })
      const [refused] = yield* rows(
        "SELECT outcome, project_id FROM _smithers_audit WHERE action = 'run.launch' AND org_id = 'limited' ORDER BY id DESC"
      )
      assert.deepStrictEqual(refused, { outcome: "refused", project_id: "app" })
      // Another project has its own room, and who belongs to nobody has no limit.
      yield* ok("launchRun", { workflow: "parent", orgId: "limited", projectId: "web" })
      yield* ok("launchRun", { workflow: "parent" })
    }))

  it.effect("a project that teams were given is theirs, each as far as its role there; administrators are not limited", () =>
    Effect.gen(function*() {
      const plane = yield* org("teams")
      yield* plane.createTeam({ orgId: "teams", teamId: "crew", slug: "crew", name: "Crew" })
      yield* plane.createTeam({ orgId: "teams", teamId: "guests", slug: "guests", name: "Guests" })
      yield* plane.addTeamMember({ orgId: "teams", teamId: "crew", userId: "ada", role: "member" })
      yield* plane.addTeamMember({ orgId: "teams", teamId: "guests", userId: "bob", role: "member" })
      yield* plane.addProjectTeam({ orgId: "teams", projectId: "app", teamId: "crew", role: "member" })
      yield* plane.addProjectTeam({ orgId: "teams", projectId: "app", teamId: "guests", role: "viewer" })
      const ada = yield* tokenOf("teams", "member", { userId: "ada" })
      const bob = yield* tokenOf("teams", "member", { userId: "bob" })
      const eve = yield* tokenOf("teams", "member", { userId: "eve" })
      const boss = yield* tokenOf("teams", "admin", { userId: "eve" })
      const nobody = yield* tokenOf("teams", "member")
      const inApp = { workflow: "asking", projectId: "app" }
      const { runId } = yield* ok("launchRun", inApp, ada)
      yield* waits(runId)

      const reads = (token: string) => Effect.map(rpc("getRun", { runId }, token), ({ status }) => status)
      assert.deepStrictEqual(
        yield* Effect.all([ada, bob, eve, boss, nobody].map(reads)),
        [200, 200, 404, 200, 200]
      )
      assert.lengthOf(yield* ok("listRuns", {}, bob), 1)
      assert.lengthOf(yield* ok("listRuns", {}, eve), 0)
      assert.lengthOf(yield* ok("listApprovals", {}, eve), 0)
      // A viewer of the project launches, decides and cancels nothing in it, but does in another.
      const notThere = [404, "NOT_FOUND", "Organization teams has no project app"]
      assert.deepStrictEqual(yield* refusal("launchRun", inApp, bob), notThere)
      assert.deepStrictEqual(yield* refusal("launchRun", inApp, eve), notThere)
      assert.strictEqual((yield* refusal("cancelRun", { runId }, bob))[0], 404)
      assert.strictEqual((yield* refusal("submitApproval", { runId, nodeId: "gate", approved: true }, bob))[0], 404)
      yield* ok("launchRun", { ...inApp, projectId: "web" }, bob)
      yield* ok("submitApproval", { runId, nodeId: "gate", approved: true }, ada)

      yield* plane.removeTeamMember({ orgId: "teams", teamId: "crew", userId: "ada" })
      assert.strictEqual(yield* reads(ada), 404)
    }))

  it.effect("with an organization its grants end", () =>
    Effect.gen(function*() {
      yield* org("ending")
      const member = yield* tokenOf("ending", "member")
      yield* ok("listRuns", {}, member)
      yield* ok("orgs.delete", { orgId: "ending" })
      assert.strictEqual((yield* refusal("listRuns", {}, member))[0], 401)
    }))
})

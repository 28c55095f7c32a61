import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer, Schema } from "effect"
import fs from "node:fs"
import path from "node:path"
import { Audit, Deployment } from "../../src/audit/index.ts"
import * as SecretAudit from "../../src/cli/SecretAudit.ts"
import * as StartAudit from "../../src/cli/StartAudit.ts"
import { ControlPlane } from "../../src/control-plane/index.ts"
import { ApprovalStore, Engine, EngineConfig, Runner, TimerStore } from "../../src/engine/index.ts"
import { type Gateway } from "../../src/gateway/index.ts"
import { type Observation, SecretObserver } from "../../src/secrets/index.ts"
import { Approval, Task, Workflow } from "../../src/workflow/index.ts"
import { hasTest } from "../seeds/Titles.ts"
import { bearer, parse, request, type Wire } from "./support/Http.ts"
import { adminToken, gatewayOver, noSandboxes } from "./support/Service.ts"
import { connected } from "./support/Ws.ts"

/** Each action that the audit knows: `here` when the scenario below does it, else where it is done and looked at. */
const actions: Readonly<Record<string, "here" | readonly [file: string, test: string]>> = {
  "access.refuse": "here",
  "approval.deny": "here",
  "approval.grant": "here",
  "audit.acknowledge-rollback": [
    "audit/Attacks",
    "a rollback that an operator acknowledges is signed, audited, counted, and no problem any more"
  ],
  "audit.behind": [
    "audit/Attacks",
    "a rollback that an operator acknowledges is signed, audited, counted, and no problem any more"
  ],
  "audit.export": "here",
  "audit.list": "here",
  "audit.prune": ["audit/Checkpoints", "rows are pruned under a signed seal, from which the rest is verified"],
  "audit.rotate-key": "here",
  "audit.verify": "here",
  "backup.create": [
    "cli/Audit",
    "what happens to a service is listed, exported, verified with the public key, and tampering is named"
  ],
  "backup.drill": ["cli/Audit", "a drill restores the newest backup beside the running service, and is in the audit"],
  "backup.restore": ["cli/Audit", "a restored backup is a restore of the audit, too, and no problem of it"],
  "backup.verify": [
    "cli/Doctor",
    "answers the release checklist with evidence, and turns to yes when the operator has done what it says"
  ],
  "billing.account.delete": "here",
  "billing.account.upsert": "here",
  "cache.purge": "here",
  "gateway.access": [
    "gateway/AccessLog",
    "what a grant called is in the audit, a row for each minute in which it called anything"
  ],
  "gateway.connect": "here",
  "gateway.sign-in": "here",
  "identity_provider.delete": "here",
  "identity_provider.upsert": "here",
  "org.create": "here",
  "org.delete": "here",
  "org.update": "here",
  "project.create": "here",
  "project.delete": "here",
  "project.team.remove": "here",
  "project.team.upsert": "here",
  "project.update": "here",
  "run.cancel": "here",
  "run.delete": "here",
  "run.diverge": ["engine/Replay", "an input that does not fit the payload schema any more holds the run"],
  "run.launch": "here",
  "run.pause": "here",
  "run.prune": [
    "engine/Retention",
    "runs that ended longer ago than they are kept go, in batches, each with a row in the audit"
  ],
  "run.quarantine": [
    "engine/Lifecycle",
    "a run that is taken up again and again without a finished step is quarantined, and an operator's resume releases it"
  ],
  "run.resume": "here",
  "run.retry": "here",
  "sandbox.apply": ["sandbox/SandboxTask", "a reviewer accepts some files and rejects others"],
  "sandbox.lease": [
    "gateway/Workers",
    "who got which sandbox of which run is in the audit once, however often it is given"
  ],
  "sandbox.start": ["sandbox/SandboxTask", "a sandbox gets its input, and its outputs are the result of the step"],
  "sandbox.verify": "here",
  "secret.allow": "here",
  "secret.refuse": "here",
  "secret.resolve": "here",
  "secret_ref.delete": "here",
  "secret_ref.upsert": "here",
  "secrets.scan": [
    "cli/Doctor",
    "answers the release checklist with evidence, and turns to yes when the operator has done what it says"
  ],
  "service.start": "here",
  "service.stop": "here",
  "team.create": "here",
  "team.delete": "here",
  "team.member.remove": "here",
  "team.member.upsert": "here",
  "team.update": "here",
  "token.authenticate": "here",
  "token.issue": "here",
  "token.revoke": "here",
  "token.rotate": "here",
  "usage_limit.delete": "here",
  "usage_limit.upsert": "here",
  "workflow.load": [
    "cli/Doctor",
    "answers the release checklist with evidence, and turns to yes when the operator has done what it says"
  ]
}

const revision = "5eed"

const definition = <const Name extends string>(name: Name) =>
  Workflow.make({
    name,
    payload: {},
    success: Schema.Void,
    error: Approval.ApprovalDenied,
    idempotencyKey: () => ""
  }).annotate(Runner.ModuleRevision, revision)

const gated = definition("gated").toLayer(() =>
  Effect.asVoid(Approval.request({ id: "gate", title: "Go?", payload: 1 }))
)
const stuck = definition("stuck").toLayer(() => Task.run({ id: "wait", output: Schema.Void, execute: Effect.never }))
const broken = definition("broken").toLayer(() =>
  Task.run({ id: "break", output: Schema.Void, execute: Effect.dieMessage("broken") })
)

const service = gatewayOver(
  Layer.mergeAll(Engine.layer, gated, stuck, broken).pipe(
    Layer.provideMerge(Runner.layer),
    Layer.provide(Layer.mergeAll(ApprovalStore.layer, TimerStore.layer, EngineConfig.layerDefault))
  ),
  noSandboxes
).pipe(Layer.provide(Layer.succeed(Deployment.Deployment, "release-7")))

const trace = "0af7651916cd43dd8448eb211c80319c"
let requests = 0

/** A call of the administrator's, with a request id of its own and always the same trace. */
const call = (method: string, params: unknown = {}, token = adminToken) =>
  Effect.map(
    request(`/v1/rpc/${method}`, {
      method: "POST",
      headers: {
        ...bearer(token),
        "X-Request-Id": `req-${++requests}`,
        Traceparent: `00-${trace}-b7ad6b7169203331-01`
      },
      body: JSON.stringify(params)
    }),
    ({ text }): Wire => parse(text)
  )

const done = (method: string, params: unknown = {}) =>
  Effect.map(call(method, params), (frame) => {
    assert.isTrue(frame.ok, `${method}: ${JSON.stringify(frame.error)}`)
    return frame.payload
  })

/** Asks until it is so: what a run does in the background takes as long as it takes. */
const until = (
  method: string,
  params: unknown,
  so: (payload: Wire) => boolean
): Effect.Effect<void, Error, Gateway.Gateway> =>
  Effect.flatMap(
    done(method, params),
    (payload) => so(payload) ? Effect.void : Effect.zipRight(Effect.yieldNow(), until(method, params, so))
  )

const launched = (workflow: string, runId: string) => done("launchRun", { workflow, input: {}, options: { runId } })
const status = (runId: string, wanted: string) => until("getRun", { runId }, ({ status }) => status === wanted)
const waits = (runId: string) => until("listApprovals", { runId }, (found) => JSON.stringify(found).includes(runId))

const runs = Effect.gen(function*() {
  for (const [runId, approved] of [["yes", true], ["no", false]] as const) {
    yield* launched("gated", runId)
    yield* waits(runId)
    yield* done("submitApproval", { runId, nodeId: "gate", iteration: 0, approved, note: "seen" })
  }
  yield* status("yes", "finished")
  yield* done("runs.delete", { runId: "yes" })
  yield* launched("stuck", "stuck")
  yield* done("pauseRun", { runId: "stuck" })
  yield* done("resumeRun", { runId: "stuck" })
  yield* done("cancelRun", { runId: "stuck" })
  yield* launched("broken", "broken")
  yield* status("broken", "failed")
  yield* done("retryTask", { runId: "broken", nodeId: "break", iteration: 0 })
  yield* done("cache.purge", {})
  yield* done("sandbox.verify", {})
})

const people = Effect.gen(function*() {
  const { grant: { tokenId }, token } = yield* done("tokens.issue", { scopes: ["cron:read"] })
  assert.isFalse((yield* call("cache.purge", {}, token)).ok)
  assert.isFalse((yield* call("listRuns", {}, "smithers_wrong")).ok)
  const rotated = yield* done("tokens.rotate", { tokenId })
  yield* done("tokens.revoke", { tokenId: rotated.grant.tokenId })
  yield* request(`/v1/auth/session?token=${adminToken}`)
  yield* connected()
  for (const method of ["audit.list", "audit.verify", "audit.export", "audit.rotateKey"]) yield* done(method)
})

const tenants = Effect.gen(function*() {
  const cp = yield* ControlPlane.ControlPlane
  const org = { orgId: "acme" }
  const app = { ...org, projectId: "app" }
  const crew = { ...org, teamId: "crew" }
  yield* cp.createOrg({ ...org, slug: "acme", name: "Acme" })
  yield* cp.updateOrg({ ...org, name: "Acme Inc." })
  yield* cp.createProject({ ...app, slug: "app", name: "App" })
  yield* cp.updateProject({ ...app, name: "App 2" })
  yield* cp.createTeam({ ...crew, slug: "crew", name: "Crew" })
  yield* cp.updateTeam({ ...crew, name: "Crew 2" })
  yield* cp.addTeamMember({ ...crew, userId: "u", role: "member" })
  yield* cp.removeTeamMember({ ...crew, userId: "u" })
  yield* cp.addProjectTeam({ ...app, teamId: "crew", role: "viewer" })
  yield* cp.removeProjectTeam({ ...app, teamId: "crew" })
  yield* cp.deleteTeam(crew)
  yield* cp.upsertBillingAccount({ ...org, plan: "business" })
  yield* cp.deleteBillingAccount(org)
  yield* cp.upsertIdentityProvider({ ...org, providerId: "idp", type: "oidc", issuer: "https://id.example" })
  yield* cp.deleteIdentityProvider({ ...org, providerId: "idp" })
  yield* cp.putSecretRef({ ...org, name: "deploy", provider: "vault", ref: "vault://a" })
  yield* cp.deleteSecretRef({ ...org, name: "deploy" })
  yield* cp.setUsageLimit({ ...org, metric: "runs", limitQuantity: 3 })
  yield* cp.deleteUsageLimit({ ...org, metric: "runs" } as never)
  yield* cp.deleteProject(app)
  yield* cp.deleteOrg(org)
})

const observations: ReadonlyArray<Observation> = [
  { _tag: "Resolved", provider: "env", name: "API_KEY", outcome: "ok", reason: null, user: null, keptBy: null },
  { _tag: "Refused", path: "input", kind: "format", found: "github-token" },
  { _tag: "Allowed", path: "input", kind: "format", found: "github-token", reason: "a test" }
]

const secrets = Effect.flatMap(
  SecretObserver,
  ({ observe }) => Effect.forEach(observations, observe, { discard: true })
).pipe(Effect.provide(SecretAudit.layer))

const rowsNow = Effect.flatMap(Audit.Audit, (audit) => audit.list({ limit: 1_000 }))

describe("the audit", () => {
  it.scopedLive("every audited action of the list is there after a day of operation, with its fields", () =>
    Effect.gen(function*() {
      yield* Effect.scoped(Layer.build(StartAudit.layer))
      yield* people
      yield* runs
      yield* tenants
      yield* secrets
      const rows = yield* rowsNow
      const seen = new Set(rows.map(({ action }) => action))
      const here = Object.entries(actions).flatMap(([action, where]) => where === "here" ? [action] : [])
      assert.deepStrictEqual(here.filter((action) => !seen.has(action)), [])
      assert.deepStrictEqual([...seen].filter((action) => !(action in actions)), [])

      for (const row of rows) {
        assert.strictEqual(row.deployment, "release-7", row.action)
        // What a caller did can be traced to the request; who comes in over a socket has sent no trace.
        if (row.actor === "system" || row.role === "anonymous" || row.action === "gateway.sign-in") continue
        assert.isNotNull(row.requestId, row.action)
        if (row.action !== "gateway.connect") assert.strictEqual(row.traceId, trace, row.action)
      }
      for (const action of ["run.launch", "run.cancel", "run.pause", "run.resume", "run.retry", "run.delete"]) {
        for (const row of rows.filter((each) => each.action === action)) {
          assert.isNotNull(row.runId)
          assert.strictEqual(row.moduleRevision, revision, action)
        }
      }
      const granted = rows.find(({ action }) => action === "approval.grant")
      assert.deepStrictEqual([granted?.moduleRevision, granted?.reason, granted?.target], [revision, "seen", "gate"])
      const project = rows.find(({ action }) => action === "project.create")
      assert.deepStrictEqual([project?.orgId, project?.projectId], ["acme", "app"])
    }).pipe(Effect.provide(service)))

  it("is fed with no other action than those of the list, each of which is looked at somewhere", () => {
    const nouns = new Set(Object.keys(actions).map((action) => action.split(".")[0]))
    const written = [
      "src/access",
      "src/audit",
      "src/control-plane",
      "src/engine",
      "src/sandbox",
      "src/cli/BackupDrill.ts",
      "src/cli/SecretAudit.ts",
      "src/cli/SecretDoctor.ts",
      "src/cli/StartAudit.ts",
      "src/cli/WorkflowModules.ts",
      "src/cli/commands/BackupCommands.ts",
      "src/gateway/internal/AccessLog.ts"
    ]
    const files = written.flatMap((place) =>
      place.endsWith(".ts")
        ? [place]
        : fs.readdirSync(place, { recursive: true, encoding: "utf8" }).map((name) => path.join(place, name))
    ).filter((file) => file.endsWith(".ts"))
    const named = new Set(
      files.flatMap((file) =>
        [...fs.readFileSync(file, "utf8").matchAll(/"(([a-z_]+)(?:\.[a-z-]+)+)"/g)]
          .flatMap(([, action = "", noun = ""]) => nouns.has(noun) ? [action] : [])
      )
    )
    assert.deepStrictEqual([...named].filter((action) => !(action in actions)).sort(), [])
    const unproved = Object.entries(actions).filter(([, where]) =>
      where !== "here" && !hasTest(`test/${where[0]}.test.ts`, where[1])
    )
    assert.deepStrictEqual(unproved.map(([action]) => action), [])
  })
})

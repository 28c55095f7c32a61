import { assert, layer } from "@effect/vitest"
import { Clock, Effect, Layer, Redacted, Schema } from "effect"
import { Access, type Identity, IdentityRefused, IdentityVerifier } from "../../src/access/index.ts"
import { ControlPlane, ControlPlaneStore, OrgEnding, RunBudget } from "../../src/control-plane/index.ts"
import { ApprovalStore, Engine, EngineConfig, Runner, TimerStore } from "../../src/engine/index.ts"
import { RunStore } from "../../src/journal/index.ts"
import { type Actor, systemActor } from "../../src/model/index.ts"
import { Persistence } from "../../src/persistence/index.ts"
import { Approval, Task, Workflow } from "../../src/workflow/index.ts"
import { foreignConnection, turn } from "../support/Home.ts"
import { ok, refusal, rpc } from "./support/Http.ts"
import { gatewayOver, noSandboxes } from "./support/Service.ts"

const asking = Workflow.make({
  name: "asking",
  payload: {},
  success: Schema.Void,
  error: Approval.ApprovalDenied,
  idempotencyKey: () => "asking"
}).toLayer(() => Effect.asVoid(Approval.request({ id: "gate", title: "Go on?", payload: null })))

const quick = Workflow.make({
  name: "quick",
  payload: {},
  success: Schema.Number,
  idempotencyKey: () => "quick"
}).toLayer(() => Task.run({ id: "count", output: Schema.Number, execute: Effect.succeed(1) }))

const Busy = Workflow.make({
  name: "busy",
  payload: { n: Schema.Number },
  success: Schema.Void,
  idempotencyKey: ({ n }) => String(n)
})
const busy = Busy.toLayer(() => Task.run({ id: "work", output: Schema.Void, execute: Effect.never }))

const parent = Workflow.make({
  name: "parent",
  payload: { n: Schema.Number },
  success: Schema.Void,
  idempotencyKey: ({ n }) => String(n)
}).toLayer(({ n }) => Busy.execute({ n }))

/** Somebody of whom an identity provider says that he is in the organization that his token names. */
const verifier = Layer.succeed(IdentityVerifier, {
  verify: (token: string) =>
    token.startsWith("e.")
      ? Effect.map(Clock.currentTimeMillis, (nowMs): Identity => ({
        orgId: token.slice(2).replace(".", ""),
        userId: "eve",
        role: "admin",
        provider: "sso",
        expiresAtMs: nowMs + 60_000
      }))
      : new IdentityRefused({ reason: "BadSignature", detail: "It is forged." })
})

const service = Layer.provide(
  gatewayOver(
    Layer.mergeAll(Engine.layer, asking, quick, busy, parent).pipe(
      Layer.provideMerge(Runner.layer),
      Layer.provide(Layer.mergeAll(ApprovalStore.layer, TimerStore.layer, EngineConfig.layerDefault, RunBudget.layer()))
    ),
    noSandboxes
  ),
  verifier
)

const tokenOf = (orgId: string, role = "member") =>
  Effect.flatMap(
    Access.Access,
    (access) => Effect.map(access.issue({ role, orgId, actor: systemActor }), ({ secret }) => Redacted.value(secret))
  )

const created = (orgId: string) => ok("orgs.create", { orgId, slug: orgId, name: orgId })

let launches = 0
const launched = (workflow: string, token: string, more: object = {}) =>
  Effect.map(
    ok("launchRun", { workflow, input: { n: ++launches }, ...more }, token),
    ({ runId }): string => runId
  )

const ended = (runId: string) => Effect.flatMap(Engine.Engine, (engine) => engine.awaitEnd(runId))

/** Again and again, with everybody's turn in between. */
const comes = <A, E, R>(look: Effect.Effect<A, E, R>, until: (found: A) => boolean) =>
  Effect.gen(function*() {
    for (;;) {
      const found = yield* look
      if (until(found)) return found
      yield* turn
    }
  })

const waits = (runId: string) =>
  comes(
    Effect.flatMap(RunStore.RunStore, (runs) => runs.get(runId)),
    ({ status }) => status === "waiting-approval"
  )

/** Of each run of the organization how it stands. */
const statuses = (orgId: string) =>
  Effect.map(
    Effect.flatMap(RunStore.RunStore, (runs) => runs.list({ orgId, limit: 1_000 })),
    (found) => found.map(({ status, workflow }) => `${workflow} ${status}`).sort()
  )

const rows = (text: string, ...params: ReadonlyArray<string>) =>
  Effect.flatMap(Persistence.Persistence, ({ read }) => read(text, params))

/** What a start of the service does about deleted organizations. */
const started = Effect.scoped(Effect.asVoid(Layer.build(Layer.fresh(OrgEnding.layer))))

/** Once all runs have ended, the organization is done with. */
const settled = (orgId: string) =>
  Effect.gen(function*() {
    yield* comes(statuses(orgId), (found) => found.every((each) => / (cancelled|finished)$/.test(each)))
    yield* started
    const [row] = yield* rows("SELECT ended_at_ms FROM _smithers_cp_deleted_orgs WHERE org_id = ?", orgId)
    assert.isNumber(row?.["ended_at_ms"])
  })

const by: Actor = { userId: "ada", tokenId: null, role: "admin", scopes: ["*"] }

layer(service, { excludeTestServices: true })("a deleted organization", (it) => {
  it.effect("takes along its runs: all that have not ended are cancelled, and nobody is asked for them any more", () =>
    Effect.gen(function*() {
      yield* created("goes")
      yield* created("stays")
      const member = yield* tokenOf("goes")
      const other = yield* launched("asking", yield* tokenOf("stays"))
      const done = yield* launched("quick", member)
      yield* ended(done)
      const asked = yield* launched("asking", member)
      yield* waits(asked)
      yield* waits(other)
      const executing = yield* launched("busy", member)
      const family = yield* launched("parent", member)
      const paused = yield* launched("busy", member)
      yield* ok("pauseRun", { runId: paused }, member)
      const runs = yield* RunStore.RunStore
      yield* comes(runs.list({ parentRunId: family }), (found) => found.length === 1)

      yield* ok("orgs.delete", { orgId: "goes" })
      for (const runId of [asked, executing, family, paused]) {
        assert.strictEqual((yield* ended(runId)).status, "cancelled", runId)
      }
      yield* settled("goes")
      assert.deepStrictEqual(yield* statuses("goes"), [
        "asking cancelled",
        "busy cancelled",
        "busy cancelled",
        "busy cancelled",
        "parent cancelled",
        "quick finished"
      ])
      assert.deepStrictEqual(yield* ok("listApprovals", { runId: asked }), [])
      const decision = { runId: asked, nodeId: "gate", approved: true }
      assert.strictEqual((yield* refusal("submitApproval", decision))[1], "INVALID_INPUT")
      const cancels = yield* rows(
        "SELECT run_id FROM _smithers_audit WHERE action = 'run.cancel' AND org_id = 'goes' AND outcome = 'ok'"
      )
      assert.includeMembers(cancels.map((row) => row["run_id"]), [asked, executing, family, paused])
      // What is the operator's to see stays, and what is another's goes on.
      assert.deepInclude(yield* ok("getRun", { runId: done }), { orgId: "goes", status: "finished" })
      assert.deepStrictEqual(yield* statuses("stays"), ["asking waiting-approval"])

      // Not even the operator puts one of them back to work.
      const gone = (runId: string) => [409, "CONFLICT", `Run ${runId} would be one of an organization that was deleted`]
      assert.deepStrictEqual(
        yield* refusal("retryTask", { runId: executing, nodeId: "work", iteration: 0 }),
        gone(executing)
      )
      assert.deepStrictEqual(yield* ok("resumeRun", { runId: paused }), { runId: paused, status: "already_terminal" })
      const engine = yield* Engine.Engine
      const direct = engine.launch({
        workflow: "quick",
        input: {},
        runId: "late",
        tenant: { orgId: "goes", projectId: null },
        actor: by
      })
      assert.deepInclude(yield* Effect.flip(direct), { _tag: "RunConflict", reason: "OrgDeleted", runId: "late" })
      assert.strictEqual((yield* refusal("getRun", { runId: "late" }))[0], 404)
    }))

  it.effect("its id is never given again, so nobody comes to see what was its; its slug is free", () =>
    Effect.gen(function*() {
      yield* created("once")
      const run = yield* launched("quick", yield* tokenOf("once"))
      yield* ended(run)
      yield* ok("orgs.delete", { orgId: "once" })
      const again = { orgId: "once", slug: "once", name: "Once more" }
      const message = "The id once was that of an organization that was deleted; choose another one"
      const answer = yield* rpc("orgs.create", again)
      assert.deepInclude(answer.frame.error, { code: "CONFLICT", reason: "IdRetired", message })
      assert.deepStrictEqual(yield* refusal("orgs.get", { orgId: "once" }), [
        404,
        "NOT_FOUND",
        "No organization has the id once"
      ])
      yield* ok("orgs.create", { ...again, orgId: "twice" })
      const successor = yield* tokenOf("twice", "org-owner")
      assert.deepStrictEqual(yield* ok("listRuns", {}, successor), [])
      assert.strictEqual((yield* refusal("getRun", { runId: run }, successor))[0], 404)
      // A script on the same file is told the same.
      const { file } = yield* Persistence.Persistence
      const script = new ControlPlaneStore(yield* foreignConnection(file))
      assert.throws(() => script.createOrg({ ...again, slug: "thrice" }), message)
    }).pipe(Effect.scoped))

  it.effect("has no grants any more, whoever gave them and whoever vouches for them", () =>
    Effect.gen(function*() {
      yield* created("granted")
      const tokens = [yield* tokenOf("granted"), yield* tokenOf("granted", "org-owner")]
      const run = yield* launched("asking", tokens[0]!)
      assert.strictEqual((yield* ok("getRun", { runId: run }, "e.granted.")).runId, run)
      yield* ok("orgs.delete", { orgId: "granted" })
      for (const token of tokens) assert.strictEqual((yield* refusal("getRun", { runId: run }, token))[0], 401)
      assert.strictEqual((yield* refusal("getRun", { runId: run }, "e.granted."))[0], 404)
      assert.strictEqual((yield* refusal("listRuns", {}, "e.granted."))[0], 403)
      const none = yield* refusal("tokens.issue", { role: "member", orgId: "granted" })
      assert.deepStrictEqual(none, [404, "NOT_FOUND", "No organization has the id granted"])
    }))

  it.effect("has no run that goes on, whatever was launched while it went", () =>
    Effect.gen(function*() {
      yield* created("racing")
      const project = { orgId: "racing", projectId: "app" }
      yield* ok("projects.create", { ...project, slug: "app", name: "App" })
      const race = Effect.replicateEffect(
        Effect.zipRight(
          Effect.yieldNow(),
          rpc("launchRun", { workflow: launches++ % 2 === 0 ? "asking" : "busy", input: { n: launches }, ...project })
        ),
        40,
        { concurrency: 8 }
      )
      const deleting = Effect.zipRight(
        // Some are there before it goes.
        comes(statuses("racing"), (found) => found.length >= 4),
        ok("orgs.delete", { orgId: "racing" })
      )
      const [answers] = yield* Effect.all([race, deleting], { concurrency: 2 })
      for (const { status, text } of answers) assert.include([200, 404, 409], status, text)
      yield* settled("racing")
      const found = yield* statuses("racing")
      assert.isAtLeast(found.length, 4)
      assert.deepStrictEqual(found.filter((each) => !each.endsWith("cancelled")), [])
      assert.strictEqual(found.length, answers.filter(({ status }) => status === 200).length)
    }))

  it.scoped("is done with at the next start, if the process died meanwhile, and by itself, if a script deleted it", () =>
    Effect.gen(function*() {
      yield* created("crashed")
      const member = yield* tokenOf("crashed")
      const runId = yield* launched("asking", member)
      yield* waits(runId)
      // What the gateway does before it dies.
      const plane = yield* ControlPlane.ControlPlane
      yield* plane.deleteOrg({ orgId: "crashed" })
      yield* started
      assert.strictEqual((yield* ended(runId)).status, "cancelled")
      assert.strictEqual((yield* refusal("listRuns", {}, member))[0], 401)

      yield* created("scripted")
      const other = yield* launched("busy", yield* tokenOf("scripted"))
      const { file } = yield* Persistence.Persistence
      new ControlPlaneStore(yield* foreignConnection(file)).deleteOrg({ orgId: "scripted" })
      assert.strictEqual((yield* ended(other)).status, "cancelled")
    }))

  it.effect("is done with once: who calls it again, or for one that is there, changes nothing", () =>
    Effect.gen(function*() {
      const plane = yield* ControlPlane.ControlPlane
      yield* created("thrice")
      const runId = yield* launched("asking", yield* tokenOf("thrice"))
      yield* waits(runId)
      const end = Effect.scoped(
        Effect.flatMap(
          Layer.build(Layer.fresh(OrgEnding.layer)),
          (context) => Effect.provide(Effect.flatMap(OrgEnding.OrgEnding, ({ end }) => end("thrice", by)), context)
        )
      )
      yield* end
      assert.deepStrictEqual(yield* statuses("thrice"), ["asking waiting-approval"])
      yield* plane.deleteOrg({ orgId: "thrice" })
      yield* end
      yield* end
      assert.deepStrictEqual(yield* statuses("thrice"), ["asking cancelled"])
      const cancels = yield* rows("SELECT id FROM _smithers_audit WHERE action = 'run.cancel' AND run_id = ?", runId)
      assert.lengthOf(cancels, 1)
    }))
})

import { assert, layer } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Redacted, Schema, Stream } from "effect"
import { createHash } from "node:crypto"
import { Access } from "../../src/access/index.ts"
import * as SecretAudit from "../../src/cli/SecretAudit.ts"
import { OrgSecretsConfig, RunBudget, RunSecrets } from "../../src/control-plane/index.ts"
import { ApprovalStore, Engine, EngineConfig, Runner, TimerStore } from "../../src/engine/index.ts"
import { systemActor } from "../../src/model/index.ts"
import { Persistence, Texts } from "../../src/persistence/index.ts"
import { MemoryProvider, SecretProviders, Secrets as SecretsService } from "../../src/secrets/index.ts"
import { SecretRef, Secrets, Task, Workflow } from "../../src/workflow/index.ts"
import { ok } from "./support/Http.ts"
import { adminToken, gatewayOver, noSandboxes } from "./support/Service.ts"

const values: Readonly<Record<string, string>> = {
  "teams/one/deploy": "value-of-one-for-everybody",
  "teams/one/rotated": "value-of-one-after-rotation",
  "teams/one/app": "value-of-one-for-its-app",
  "teams/two/deploy": "value-of-two-for-everybody",
  "root/key": "value-of-the-operator-alone"
}

const managers = ["vault", "other"].map((id) =>
  MemoryProvider.make(
    Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Redacted.make(value)])),
    id
  )
)

/** A value may not be the result of a task: whose it was is told by this. */
const printOf = (value: string) => createHash("sha256").update(value).digest("hex").slice(0, 16)
const placeOf = (print: unknown) =>
  Object.keys(values).find((name) => printOf(values[name]!) === print) ?? String(print)

/** Uses a secret, and says why if it cannot. */
const used = (ref: SecretRef.SecretRef) =>
  Secrets.use(ref, (value) => Effect.succeed(printOf(Redacted.value(value)))).pipe(
    Effect.catchAll((error) =>
      Effect.succeed(error._tag === "SecretNotFound" ? error.message : `${error.reason}: ${error.message}`)
    )
  )

/** Children of one payload are one run: `n` tells them apart. */
const Payload = { ref: SecretRef.SecretRefText, n: Schema.Number }
let launches = 0
const Child = Workflow.make({
  name: "child",
  payload: Payload,
  success: Schema.String,
  idempotencyKey: ({ n }) => String(n)
})
const child = Child.toLayer(({ ref }) => Task.run({ id: "use", output: Schema.String, execute: used(ref) }))

const parent = Workflow.make({
  name: "parent",
  payload: Payload,
  success: Schema.Array(Schema.String),
  idempotencyKey: ({ n }) => String(n)
}).toLayer(({ n, ref }) =>
  Effect.gen(function*() {
    const byTask = yield* Task.run({ id: "use", output: Schema.String, execute: used(ref) })
    const byService = yield* Task.run({
      id: "service",
      output: Schema.String,
      execute: Effect.scoped(Effect.flatMap(Secrets.Service, (secrets) =>
        Effect.match(secrets.resolve(ref), {
          onFailure: ({ _tag }) => String(_tag),
          onSuccess: (value) => printOf(Redacted.value(value))
        })))
    })
    return [byTask, byService, yield* Child.execute({ n, ref })]
  })
)

const leaking = Workflow.make({
  name: "leaking",
  payload: Payload,
  success: Schema.String,
  idempotencyKey: () => "leaking"
}).toLayer(({ ref }) =>
  Task.run({
    id: "leak",
    output: Schema.String,
    execute: Effect.orDie(Secrets.use(ref, (value) => Effect.succeed(`it is ${Redacted.value(value)}`)))
  })
)

const settings = (orgSecrets: string) =>
  Layer.provide(
    OrgSecretsConfig.layerConfig,
    Layer.setConfigProvider(ConfigProvider.fromMap(new Map([["SMITHERS_ORG_SECRETS", orgSecrets]]), { pathDelim: "_" }))
  )

const service = gatewayOver(
  Layer.mergeAll(Engine.layer, child, parent, leaking).pipe(
    Layer.provideMerge(Runner.layer),
    Layer.provideMerge(SecretsService.layer),
    Layer.provide(SecretAudit.layer),
    Layer.provide(SecretProviders.layer(managers)),
    Layer.provide(RunSecrets.layer),
    Layer.provide(settings("vault:teams/{org}/")),
    Layer.provide(Layer.mergeAll(ApprovalStore.layer, TimerStore.layer, EngineConfig.layerDefault, RunBudget.layer()))
  ),
  noSandboxes
)

const adminOf = (orgId: string) =>
  Effect.flatMap(Access.Access, (access) =>
    Effect.map(
      access.issue({ role: "admin", orgId, actor: systemActor }),
      ({ secret }) => Redacted.value(secret)
    ))

const setting = (orgId: string, token: string) => (name: string, ref: string, more: object = {}) =>
  ok("secretRefs.set", { orgId, name, provider: "vault", ref, ...more }, token)

/** What a run got, by the task, by the service and by its child: the same. */
const gets = (token: string, ref: string, more: object = {}) =>
  Effect.gen(function*() {
    const { runId } = yield* ok("launchRun", { workflow: "parent", input: { ref, n: ++launches }, ...more }, token)
    const { output, status } = yield* Effect.flatMap(Engine.Engine, (engine) => engine.awaitEnd(runId))
    assert.strictEqual(status, "finished")
    const [task, byService, byChild] = output as [string, string, string]
    assert.strictEqual(byChild, task)
    if (placeOf(task) !== task) assert.strictEqual(byService, task)
    return { runId: runId as string, got: placeOf(task) }
  })

const got = (token: string, ref: string, more: object = {}) => Effect.map(gets(token, ref, more), ({ got }) => got)

const two = Effect.gen(function*() {
  for (const orgId of ["one", "two"]) {
    yield* ok("orgs.create", { orgId, slug: orgId, name: orgId })
    for (const projectId of ["app", "web"]) {
      yield* ok("projects.create", { orgId, projectId, slug: projectId, name: projectId })
    }
  }
  const [one, other] = [yield* adminOf("one"), yield* adminOf("two")]
  return { one, other, ofOne: setting("one", one), ofTwo: setting("two", other) }
})

const notFound = "No secret org:deploy-token"
const notAllowed =
  "NotAllowed: Secret org:deploy-token is unavailable: what it points to is not within SMITHERS_ORG_SECRETS"

layer(service, { excludeTestServices: true })("secrets of organizations", (it) => {
  it.effect("one name is what each organization, and a project of it, calls so; rotated and removed it is so at once", () =>
    Effect.gen(function*() {
      const { ofOne, ofTwo, one, other } = yield* two
      const name = "org:deploy-token"
      const inApp = { projectId: "app" }
      assert.strictEqual(yield* got(one, name), notFound)
      yield* ofOne("deploy-token", "teams/one/deploy")
      yield* ofTwo("deploy-token", "teams/two/deploy")
      assert.strictEqual(yield* got(one, name), "teams/one/deploy")
      assert.strictEqual(yield* got(other, name), "teams/two/deploy")
      assert.strictEqual(yield* got(one, name, inApp), "teams/one/deploy")

      yield* ofOne("deploy-token", "teams/one/app", inApp)
      assert.strictEqual(yield* got(one, name, inApp), "teams/one/app")
      assert.strictEqual(yield* got(one, name, { projectId: "web" }), "teams/one/deploy")
      assert.strictEqual(yield* got(one, name), "teams/one/deploy")
      assert.strictEqual(yield* got(other, name, inApp), "teams/two/deploy")
      // The operator launches for an organization, too.
      assert.strictEqual(yield* got(adminToken, name, { orgId: "one", ...inApp }), "teams/one/app")

      yield* ofOne("deploy-token", "teams/one/rotated")
      assert.strictEqual(yield* got(one, name), "teams/one/rotated")
      yield* ok("secretRefs.remove", { orgId: "one", name: "deploy-token", ...inApp }, one)
      assert.strictEqual(yield* got(one, name, inApp), "teams/one/rotated")
      yield* ok("secretRefs.remove", { orgId: "one", name: "deploy-token" }, one)
      assert.strictEqual(yield* got(one, name, inApp), notFound)
      assert.strictEqual(yield* got(other, name), "teams/two/deploy")

      // What the operator does not let it point to is nobody's to have, whoever manages it.
      for (const ref of ["teams/two/deploy", "teams/one/../two/deploy", "root/key", "teams/one/%2e%2e/two/deploy"]) {
        yield* ofOne("deploy-token", ref)
        assert.strictEqual(yield* got(one, name), notAllowed, ref)
      }
      yield* ofOne("deploy-token", "teams/one/deploy", { provider: "other" })
      assert.strictEqual(yield* got(one, name), notAllowed)
      // There is none where it points to; where that is, is not told.
      yield* ofOne("deploy-token", "teams/one/nothing")
      assert.strictEqual(yield* got(one, name), notFound)

      // Runs of nobody's organization have none, and their own secrets as ever.
      const nobodys =
        "NoOrganization: Secret org:deploy-token is unavailable: it is asked for by no run of an organization"
      assert.strictEqual(yield* got(adminToken, name), nobodys)
      assert.strictEqual(yield* got(adminToken, "vault:root/key"), "root/key")
    }))

  it.effect("the audit has who resolved what, without values; a value is nowhere stored", () =>
    Effect.gen(function*() {
      const one = yield* adminOf("one")
      yield* setting("one", one)("audited", "teams/one/deploy")
      const { runId } = yield* gets(one, "org:audited", { projectId: "app" })
      yield* setting("one", one)("audited", "root/key")
      const refused = yield* gets(one, "org:audited")
      const { read } = yield* Persistence.Persistence
      const rows = (runId: string) =>
        read(
          `SELECT target, org_id, project_id, outcome, reason, detail_json FROM _smithers_audit
            WHERE action = 'secret.resolve' AND run_id = ? ORDER BY id`,
          [runId]
        )
      const row = { target: "org:audited", org_id: "one" }
      const resolved = {
        ...row,
        project_id: "app",
        outcome: "ok",
        reason: null,
        detail_json: "{\"provider\":\"vault\"}"
      }
      assert.deepStrictEqual<ReadonlyArray<unknown>>(yield* rows(runId), [resolved, resolved])
      const failed = {
        ...row,
        project_id: null,
        outcome: "failed",
        reason: "SecretUnavailable",
        detail_json: "{\"why\":\"NotAllowed\"}"
      }
      assert.deepStrictEqual<ReadonlyArray<unknown>>(yield* rows(refused.runId), [failed, failed])

      yield* setting("one", one)("audited", "teams/one/deploy")
      const leak = yield* ok("launchRun", { workflow: "leaking", input: { ref: "org:audited", n: 0 } }, one)
      const ended = yield* Effect.flatMap(Engine.Engine, (engine) => engine.awaitEnd(leak.runId))
      assert.strictEqual(ended.status, "failed")
      assert.include(ended.error?.message, "holds the value of secret org:")
      const { file } = yield* Persistence.Persistence
      const found = yield* Stream.runCollect(Stream.filter(
        Texts.stream(file),
        ({ text }) => Object.values(values).some((value) => text.includes(value))
      ))
      assert.deepStrictEqual([...found], [])
    }))
})

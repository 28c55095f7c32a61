import { assert, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import { Effect, Layer, TestClock } from "effect"
import { Audit } from "../../src/audit/index.ts"
import { ControlPlaneStore, ScriptChanges } from "../../src/control-plane/index.ts"
import { Persistence } from "../../src/persistence/index.ts"
import { turn } from "../support/Home.ts"
import { acme, Live } from "./support.ts"

const onTheSameFile = Effect.gen(function*() {
  const { file } = yield* Persistence.Persistence
  const database = yield* Effect.acquireRelease(
    Effect.sync(() => new Sqlite(file)),
    (db) => Effect.sync(() => db.close())
  )
  return new ControlPlaneStore(database)
})

it.scoped("a service and a script share one file: each sees what the other wrote, limits and audit among it", () =>
  Effect.gen(function*() {
    // The script has the real clock.
    yield* TestClock.setTime(Date.now())
    const cp = yield* acme
    const store = yield* onTheSameFile
    yield* cp.setUsageLimit({ orgId: "acme", metric: "runs", limitQuantity: 10 })
    for (let i = 0; i < 20; i++) {
      yield* cp.recordUsage({ orgId: "acme", projectId: "app", metric: "runs", quantity: 1, idempotencyKey: `k${i}` })
      store.recordUsage({ orgId: "acme", projectId: "web", metric: "runs", quantity: 1, idempotencyKey: `s${i}` })
      // What the other has measured already.
      store.recordUsage({ orgId: "acme", projectId: "app", metric: "runs", quantity: 1, idempotencyKey: `k${i}` })
    }
    yield* turn
    const check = yield* cp.checkUsageLimit({ orgId: "acme", metric: "runs" })
    assert.deepInclude(check, { usedQuantity: 40, exceeded: true })
    assert.deepStrictEqual(store.checkUsageLimit({ orgId: "acme", metric: "runs" }), check)
    store.createTeam({ orgId: "acme", teamId: "ops", slug: "ops", name: "Ops" })
    yield* turn
    yield* cp.updateTeam({ orgId: "acme", teamId: "ops", name: "Operators" })
    assert.deepInclude(store.getTeam({ orgId: "acme", teamId: "ops" }), { name: "Operators" })
    assert.deepStrictEqual(
      store.verifyOrgAudit({ orgId: "acme" }),
      yield* cp.verifyOrgAudit({ orgId: "acme" })
    )
    assert.isTrue(store.verifyOrgAudit({ orgId: "acme" }).intact)
  }).pipe(Effect.provide(Live)))

it.scoped("what a script changes on a service's file stands in the service's audit once, in its place of the chain", () =>
  Effect.gen(function*() {
    yield* TestClock.setTime(Date.now())
    yield* acme
    const { lastId, list, reached } = yield* Audit.Audit
    const store = yield* onTheSameFile
    const ofScript = Effect.map(
      list({ limit: 100 }),
      (rows) =>
        rows.filter(({ detail }) => detail["by"] === "ControlPlaneStore").map(({ action, actor, orgId, target }) => [
          action,
          actor,
          orgId,
          target
        ]).reverse()
    )
    store.createTeam({ orgId: "acme", teamId: "ops", slug: "ops", name: "Ops" })
    assert.deepStrictEqual(yield* ofScript, [])
    // Before the service runs, and while it does.
    const before = lastId()
    yield* Layer.build(ScriptChanges.layer)
    yield* reached(before + 1)
    const made = ["team.create", "system", "acme", "ops"]
    assert.deepStrictEqual(yield* ofScript, [made])
    store.deleteOrg({ orgId: "acme" })
    yield* Effect.race(reached(before + 2), Effect.forever(Effect.zipRight(TestClock.adjust("5 seconds"), turn)))
    const deleted = ["org.delete", "system", "acme", "acme"]
    assert.deepStrictEqual(yield* ofScript, [made, deleted])
    yield* Effect.scoped(Layer.build(ScriptChanges.layer))
    assert.deepStrictEqual(yield* ofScript, [made, deleted])
  }).pipe(Effect.provide(Live)))

it("a script reserves, settles and deletes without any service", () => {
  const database = new Sqlite(":memory:")
  const store = new ControlPlaneStore(database)
  store.createOrg({ orgId: "a", slug: "a", name: "A" })
  store.setUsageLimit({ orgId: "a", metric: "runs", limitQuantity: 2 })
  const answers = ["x", "y", "z"].map((reservationId) =>
    store.reserveUsage({ orgId: "a", reservationId, metric: "runs", quantity: 1 })._tag
  )
  assert.deepStrictEqual(answers, ["Reserved", "Reserved", "Refused"])
  store.settleUsage({ orgId: "a", reservationId: "x", quantity: 0 })
  assert.strictEqual(store.reserveUsage({ orgId: "a", metric: "runs", quantity: 1 })._tag, "Reserved")
  const { deleted } = store.deleteOrg({ orgId: "a" })
  assert.deepInclude(deleted, { usageEvents: 1, usageReservations: 2, usageLimits: 1, auditEvents: 2 })
  database.close()
})

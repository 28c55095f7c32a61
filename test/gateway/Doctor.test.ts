import { NodeContext } from "@effect/platform-node"
import { assert, describe, it, layer } from "@effect/vitest"
import { Duration, Effect, Layer, Option } from "effect"
import { Audit, AuditConfig } from "../../src/audit/index.ts"
import { EngineConfig } from "../../src/engine/index.ts"
import { Deployed, GatewayConfig } from "../../src/gateway/index.ts"
import * as ReleaseChecks from "../../src/gateway/internal/checklist/ReleaseChecks.ts"
import { systemActor } from "../../src/model/index.ts"
import { Persistence } from "../../src/persistence/index.ts"
import { request, rpc, type Wire } from "./support/Http.ts"
import { addRun, gatewayWith } from "./support/Service.ts"

type Findings = Readonly<Record<string, Wire>>

const examined = Effect.map(
  rpc("doctor.examine", {}),
  ({ frame, text }): Findings => {
    assert.isTrue(frame.ok, text)
    return Object.fromEntries(frame.payload.findings.map((found: Wire) => [found.check, found]))
  }
)

const noted = (
  action: string,
  target: string | null,
  more: Partial<Parameters<Audit.Audit["Type"]["record"]>[0]> = {}
) =>
  Effect.flatMap(
    Audit.Audit,
    (audit) =>
      audit.record({
        actor: systemActor,
        action,
        target,
        runId: null,
        outcome: "ok",
        reason: null,
        detail: {},
        ...more
      })
  )

const path = (workflow: string, nodeId: string, owner: string | null, fallbackOwner: string | null) => ({
  workflow,
  nodeId,
  owner,
  fallbackOwner,
  requestedAtMs: 1
})

const troubled = Layer.provide(
  gatewayWith({
    approvalPaths: Effect.succeed([path("demo", "gate", "lead", null), path("zeta", "ship", "lead", "cto")])
  }),
  Layer.succeed(Deployed, {
    build: null,
    modulesFailed: [{ file: "/srv/flows/broken.ts", reason: "Compile", detail: "line 3" }]
  })
)

layer(troubled, { excludeTestServices: true })("the checklist", (it) => {
  it.effect("names what is wrong with the database, the modules, the sandboxes and the approvals of a service", () =>
    Effect.gen(function*() {
      yield* noted("sandbox.start", "r/s", { detail: { runtime: "podman" } })
      yield* noted("sandbox.verify", "bubblewrap")
      yield* noted("sandbox.start", "r/t", { detail: { runtime: "docker" } })
      yield* noted("sandbox.verify", "docker", { outcome: "failed", detail: { broken: ["network"] } })
      const found = yield* examined
      const statuses = Object.fromEntries(Object.entries(found).map(([check, { status }]) => [check, status]))
      assert.deepInclude(statuses, {
        "wal": "ok",
        "foreign-keys": "ok",
        "file-system": "unknown",
        "modules": "failed",
        "secrets": "warning",
        "backup.age": "failed",
        "backup.verified": "failed",
        "sandbox.bubblewrap": "ok",
        "sandbox.podman": "failed",
        "sandbox.docker": "failed",
        "approvals": "failed"
      })
      assert.deepStrictEqual(found["modules"].evidence.modules, [
        { file: "/srv/flows/broken.ts", reason: "Compile", detail: "line 3" }
      ])
      assert.deepStrictEqual(found["sandbox.docker"].evidence.broken, ["network"])
      assert.deepStrictEqual(found["approvals"].evidence.paths, [
        { workflow: "demo", nodeId: "gate", owner: "lead", fallbackOwner: null }
      ])
      for (const { fix, status, what, why } of Object.values(found)) {
        assert.isNotEmpty(what)
        assert.isNotEmpty(why)
        assert.strictEqual(fix === null, status === "ok")
      }
    }))

  it.effect("is joined by /health, which names the modules that did not load, without their folders", () =>
    Effect.gen(function*() {
      const { status, text } = yield* request("/health")
      assert.strictEqual(status, 200)
      assert.deepStrictEqual(JSON.parse(text).modulesFailed, [{ module: "broken.ts", reason: "Compile" }])
    }))

  it.effect("goes by the last scan, verification and drill, whatever came before", () =>
    Effect.gen(function*() {
      yield* noted("secrets.scan", null, { outcome: "failed", reason: "2 found" })
      yield* noted("backup.verify", "a.db", { outcome: "failed", reason: "one byte differs" })
      const bad = yield* examined
      assert.deepStrictEqual([bad["secrets"].status, bad["backup.verified"].status], ["failed", "failed"])
      assert.include(bad["backup.verified"].what, "one byte differs")
      yield* noted("secrets.scan", null)
      yield* noted("backup.drill", "a.db")
      const good = yield* examined
      assert.deepStrictEqual([good["secrets"].status, good["backup.verified"].status], ["ok", "ok"])
    }))
})

const forgetful = Layer.provide(gatewayWith(), [
  Layer.succeed(AuditConfig.AuditConfig, { ...AuditConfig.defaults, retention: Option.some(Duration.days(200)) }),
  Layer.succeed(EngineConfig.EngineConfig, { ...EngineConfig.defaults, runRetention: Option.some(Duration.days(60)) })
])

layer(forgetful, { excludeTestServices: true })("retention", (it) => {
  it.effect("asks for a retention that outlasts the oldest run that has not ended", () =>
    Effect.gen(function*() {
      const before = yield* examined
      assert.deepStrictEqual([before["retention.audit"].status, before["retention.runs"].status], ["ok", "failed"])
      yield* addRun("waits-for-months", "demo", { createdAtMs: Date.now() - Duration.toMillis("150 days") })
      const { "retention.audit": after } = yield* examined
      assert.deepStrictEqual([after.status, after.evidence.oldestRun], ["failed", "waits-for-months"])
      assert.isAtLeast(after.evidence.neededMs, Duration.toMillis("300 days"))
    }))
})

describe("the build", () => {
  const statusOf = (build: Deployed["Type"]["build"]) =>
    Effect.gen(function*() {
      const findings = yield* Effect.flatMap(ReleaseChecks.make, Effect.all)
      return findings.find(({ check }) => check === "build")?.status
    }).pipe(
      Effect.provide(Layer.provideMerge(Audit.layer, Persistence.layerTemp)),
      Effect.provideService(GatewayConfig.GatewayConfig, GatewayConfig.defaults),
      Effect.provideService(Deployed, { build, modulesFailed: [] }),
      Effect.provide(NodeContext.layer)
    )

  it.effect("says of the build what was recorded, and does not call green what nobody has seen green", () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* statusOf(null), "unknown")
      assert.strictEqual(yield* statusOf({ commit: null, dirty: false, verified: false }), "unknown")
      assert.strictEqual(yield* statusOf({ commit: "c0ffee", dirty: false, verified: false }), "unknown")
      assert.strictEqual(yield* statusOf({ commit: "c0ffee", dirty: true, verified: false }), "warning")
      assert.strictEqual(yield* statusOf({ commit: "c0ffee", dirty: false, verified: true }), "ok")
    }))
})

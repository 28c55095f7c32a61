import { NodeContext } from "@effect/platform-node"
import { assert, describe, it, layer } from "@effect/vitest"
import { Duration, Effect, Layer, Option } from "effect"
import { Audit, AuditConfig } from "../../src/audit/index.ts"
import { EngineConfig } from "../../src/engine/index.ts"
import { Deployed, GatewayConfig } from "../../src/gateway/index.ts"
import * as ReleaseChecks from "../../src/gateway/internal/checklist/ReleaseChecks.ts"
import { systemActor } from "../../src/model/index.ts"
import { Persistence, Write } from "../../src/persistence/index.ts"
import { request, rpc, type Wire } from "./support/Http.ts"
import { addRun, gatewayWith, workflows } from "./support/Service.ts"

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
        "approvals": "failed",
        "approvals.declared": "ok"
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

const declaring = gatewayWith({
  workflows: Effect.succeed([
    { ...workflows[0]!, key: "says", approvals: [{ id: "gate", owner: "lead", fallbackOwner: "cto" }] },
    { ...workflows[0]!, key: "says-none", approvals: [] },
    { ...workflows[0]!, key: "has-asked" },
    { ...workflows[0]!, key: "never-ran" }
  ]),
  // Its code has named a fallback since.
  approvalPaths: Effect.succeed([path("says", "gate", "lead", null), path("has-asked", "ship", "lead", "cto")])
})

layer(declaring, { excludeTestServices: true })("approvals", (it) => {
  it.effect("goes by what workflows say of their approvals, and names those of which nothing is known before they run", () =>
    Effect.gen(function*() {
      const { approvals, "approvals.declared": declared } = yield* examined
      assert.deepInclude(approvals, { status: "ok", what: "Each of 2 approval paths has an owner and a fallback." })
      assert.deepInclude(declared, {
        status: "unknown",
        what: "Where never-ran ask for approval is not known until they have run.",
        evidence: { workflows: ["never-ran"] }
      })
    }))

  it.effect("counts the deliveries that were given up, by sink, and says how they are offered again", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* examined)["deliveries"].status, "ok")
      const { write } = yield* Persistence.Persistence
      const now = Date.now()
      const batch = (id: string, channel: string, state: string, ageDays: number) =>
        write(Write.run(
          `INSERT INTO _smithers_outbox_batches
            (channel, org_id, delivery_id, messages, body, state, attempts, since_at_ms, next_at_ms, error)
            VALUES (?, 'acme', ?, 5, '{}', ?, 3, ?, ?, 'status 500')`,
          [channel, id, state, now - ageDays * 86_400_000 - 1_000, now]
        ))
      yield* batch("a", "audit", "dead", 2)
      yield* batch("b", "billing", "dead", 4)
      yield* batch("c", "billing", "dead", 9)
      yield* batch("d", "billing", "due", 20)
      const { deliveries } = yield* examined
      assert.strictEqual(deliveries.status, "warning")
      assert.strictEqual(
        deliveries.what,
        "Deliveries were given up: 1 to audit, the oldest since 2 days; 2 to billing, the oldest since 9 days."
      )
      assert.deepStrictEqual(
        deliveries.evidence.sinks.map(({ batches, channel, messages }: Wire) => [channel, batches, messages]),
        [["audit", 1, 5], ["billing", 2, 10]]
      )
      assert.include(deliveries.fix, "smithers outbox retry")
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

import { NodeContext } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import { Effect, Exit, Layer, TestClock } from "effect"
import { Audit, type AuditEntry, Deployment } from "../../src/audit/index.ts"
import { type Actor, type AuditRecord, Bounds } from "../../src/model/index.ts"
import { Persistence, Write } from "../../src/persistence/index.ts"

const Live = Audit.layer.pipe(Layer.provideMerge(Persistence.layerTemp), Layer.provide(NodeContext.layer))

const alice: Actor = { userId: "user:alice", tokenId: "00112233aabbccdd", role: "operator", scopes: ["run:write"] }

const entry = (fields: Partial<AuditEntry> = {}): AuditEntry => ({
  atMs: 5,
  actor: alice,
  action: "run.delete",
  target: "run-1",
  runId: "run-1",
  outcome: "ok",
  reason: null,
  detail: {},
  ...fields
})

/** What somebody with the file in hand can do: a connection of its own, not ours. */
const tamper = (statement: string) =>
  Effect.flatMap(Persistence.Persistence, ({ file }) =>
    Effect.try({
      try: () => {
        const db = new Sqlite(file)
        try {
          return db.prepare(statement).run().changes
        } finally {
          db.close()
        }
      },
      catch: (cause) => (cause as Error).message
    }))

it.effect("an appended entry is read back as it was given", () =>
  Effect.gen(function*() {
    const audit = yield* Audit.Audit
    const persistence = yield* Persistence.Persistence
    yield* persistence.write(audit.append(entry({
      actor: { ...alice, requestId: "req-1", traceId: "0af7651916cd43dd8448eb211c80319c" },
      orgId: "org-1",
      moduleRevision: "sha-1",
      outcome: "refused",
      reason: "not yours",
      detail: { force: true, rows: 3, scopes: ["a", "b"], note: null }
    })))
    const [{ hash, previousHash, ...row }, ...others] = (yield* audit.list({ limit: 10 })) as [AuditRecord]
    assert.deepStrictEqual(others, [])
    assert.strictEqual(previousHash, audit.genesis.hash)
    assert.match(hash, /^[0-9a-f]{64}$/)
    assert.deepStrictEqual(row, {
      id: 1,
      atMs: 5,
      actor: "user:alice",
      tokenId: "00112233aabbccdd",
      role: "operator",
      orgId: "org-1",
      projectId: null,
      requestId: "req-1",
      traceId: "0af7651916cd43dd8448eb211c80319c",
      deployment: "v7",
      moduleRevision: "sha-1",
      action: "run.delete",
      target: "run-1",
      runId: "run-1",
      outcome: "refused",
      reason: "not yours",
      detail: { force: true, rows: 3, scopes: ["a", "b"], note: null }
    })
  }).pipe(Effect.provide(Live), Effect.provideService(Deployment.Deployment, "v7")))

it.effect("an entry is committed with the change it is joined with, or not at all", () =>
  Effect.gen(function*() {
    const audit = yield* Audit.Audit
    const persistence = yield* Persistence.Persistence
    const refused = yield* persistence.write(Write.all([
      audit.append(entry()),
      Write.guard(
        "UPDATE audit_migrations SET name = name WHERE migration_id = ?",
        [-1],
        () => "nothing there" as const
      )
    ])).pipe(Effect.flip)
    assert.strictEqual(refused, "nothing there")
    assert.deepStrictEqual(yield* audit.list({ limit: 10 }), [])
  }).pipe(Effect.provide(Live)))

it.effect("record stamps the entry with the clock", () =>
  Effect.gen(function*() {
    const audit = yield* Audit.Audit
    yield* TestClock.adjust("3 seconds")
    const { atMs: _, ...untimed } = entry()
    yield* audit.record(untimed)
    assert.deepStrictEqual((yield* audit.list({ limit: 1 })).map((row) => row.atMs), [3_000])
  }).pipe(Effect.provide(Live)))

it.effect("pages go from the newest to the oldest without gap or overlap", () =>
  Effect.gen(function*() {
    const audit = yield* Audit.Audit
    const persistence = yield* Persistence.Persistence
    yield* persistence.write(Write.all(Array.from({ length: 25 }, () => audit.append(entry()))))
    const seen: Array<number> = []
    let afterId: number | undefined
    for (;;) {
      const page = yield* audit.list({ afterId, limit: 10 })
      if (page.length === 0) break
      seen.push(...page.map((row) => row.id))
      afterId = page.at(-1)?.id
    }
    assert.deepStrictEqual(seen, Array.from({ length: 25 }, (_, i) => 25 - i))
  }).pipe(Effect.provide(Live)))

it.effect("filters by action, run and actor, alone and together", () =>
  Effect.gen(function*() {
    const audit = yield* Audit.Audit
    const persistence = yield* Persistence.Persistence
    const bob: Actor = { userId: null, tokenId: "ffffffffffffffff", role: "ci", scopes: [] }
    yield* persistence.write(Write.all([
      audit.append(entry({ action: "a" })),
      audit.append(entry({ action: "a", runId: "run-2" })),
      audit.append(entry({ action: "b", runId: "run-2", actor: bob }))
    ]))
    const ids = (query: Omit<Parameters<typeof audit.list>[0], "limit">) =>
      Effect.map(audit.list({ ...query, limit: 10 }), (rows) => rows.map((row) => row.id))
    assert.deepStrictEqual(yield* ids({ action: "a" }), [2, 1])
    assert.deepStrictEqual(yield* ids({ runId: "run-2" }), [3, 2])
    assert.deepStrictEqual(yield* ids({ actor: "ffffffffffffffff" }), [3])
    assert.deepStrictEqual(yield* ids({ action: "a", runId: "run-2", actor: "user:alice" }), [2])
    assert.deepStrictEqual(yield* ids({ action: "b", actor: "user:alice" }), [])
  }).pipe(Effect.provide(Live)))

it.effect("a page never holds more than the bound, whatever was asked for", () =>
  Effect.gen(function*() {
    const audit = yield* Audit.Audit
    const persistence = yield* Persistence.Persistence
    yield* persistence.write(Write.all(Array.from({ length: Bounds.pageRows + 1 }, () => audit.append(entry()))))
    assert.lengthOf(yield* audit.list({ limit: 1_000_000 }), Bounds.pageRows)
    assert.lengthOf(yield* audit.list({ limit: -1 }), 0)
  }).pipe(Effect.provide(Live)))

it.effect("texts beyond the bound are cut", () =>
  Effect.gen(function*() {
    const audit = yield* Audit.Audit
    const persistence = yield* Persistence.Persistence
    const long = "x".repeat(Bounds.failureMessageChars + 1)
    yield* persistence.write(
      audit.append(entry({ target: long, reason: long, detail: { text: long, texts: [long] } }))
    )
    const [row] = yield* audit.list({ limit: 1 })
    assert.deepStrictEqual(
      [row?.target, row?.reason, row?.detail["text"], (row?.detail["texts"] as Array<string>)[0]].map((t) =>
        (t as string).length
      ),
      Array.from({ length: 4 }, () => Bounds.failureMessageChars)
    )
  }).pipe(Effect.provide(Live)))

for (
  const [what, statement] of [
    ["an UPDATE", "UPDATE _smithers_audit SET outcome = 'failed'"],
    ["a DELETE", "DELETE FROM _smithers_audit"],
    [
      "an INSERT OR REPLACE of an existing row",
      `INSERT OR REPLACE INTO _smithers_audit (id, at_ms, actor, role, action, outcome, detail_json)
       VALUES (1, 0, 'mallory', 'x', 'x', 'ok', '{}')`
    ]
  ] as const
) {
  it.effect(`an audit row refuses ${what}`, () =>
    Effect.gen(function*() {
      const audit = yield* Audit.Audit
      const persistence = yield* Persistence.Persistence
      yield* persistence.write(audit.append(entry()))
      const before = yield* audit.list({ limit: 10 })
      assert.strictEqual(yield* Effect.flip(tamper(statement)), "the audit is append-only")
      assert.deepStrictEqual(yield* audit.list({ limit: 10 }), before)
    }).pipe(Effect.provide(Live)))
}

it.effect("the table accepts no outcome but ok, refused and failed", () =>
  Effect.gen(function*() {
    const outcome = yield* Effect.exit(tamper(
      "INSERT INTO _smithers_audit (at_ms, actor, role, action, outcome, detail_json) VALUES (0,'a','b','c','maybe','{}')"
    ))
    assert.isTrue(Exit.isFailure(outcome))
  }).pipe(Effect.provide(Live)))

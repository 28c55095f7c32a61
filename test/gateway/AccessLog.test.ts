import { NodeContext } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, Exit, Layer, Scope, TestClock } from "effect"
import type { Principal } from "../../src/access/index.ts"
import { Audit } from "../../src/audit/index.ts"
import { makeAccessLog } from "../../src/gateway/internal/AccessLog.ts"
import { Persistence, type PersistenceError } from "../../src/persistence/index.ts"

const audited = Audit.layer.pipe(Layer.provideMerge(Persistence.layerTemp), Layer.provideMerge(NodeContext.layer))

const reader: Principal.Principal = {
  userId: "user:ada",
  tokenId: "0011223344556677",
  role: "operator",
  scopes: ["run:read"],
  expiresAtMs: null,
  tenant: null
}
const other: Principal.Principal = { ...reader, userId: null, tokenId: "8899aabbccddeeff" }

const rowsOf = (action: string) =>
  Effect.flatMap(Audit.Audit, (audit) => Effect.map(audit.list({ action, limit: 100 }), (rows) => [...rows].reverse()))

/** Minutes pass until there are so many rows: a fiber writes them, and nobody waits for it. */
const passUntil = (action: string, count: number): Effect.Effect<void, PersistenceError, Audit.Audit> =>
  Effect.gen(function*() {
    while ((yield* rowsOf(action)).length < count) yield* TestClock.adjust("1 minute")
  })

it.scoped("what a grant called is in the audit, a row for each minute in which it called anything", () =>
  Effect.gen(function*() {
    const log = yield* makeAccessLog(yield* Audit.Audit)
    for (let i = 0; i < 1_000; i++) log.called(reader, "getRun", true)
    log.called(reader, "listRuns", true)
    log.called(reader, "listRuns", false)
    log.called(reader, "health", true)
    log.called(other, "worker.beat", true)
    assert.deepStrictEqual(yield* rowsOf("gateway.access"), [])
    yield* passUntil("gateway.access", 1)
    // Nothing is called, nothing is written.
    yield* TestClock.adjust("1 hour")
    const [row, ...more] = yield* rowsOf("gateway.access")
    assert.deepStrictEqual(more, [])
    assert.deepStrictEqual(
      [row?.actor, row?.tokenId, row?.target, row?.outcome],
      ["user:ada", "0011223344556677", "0011223344556677", "ok"]
    )
    assert.deepStrictEqual(row?.detail, {
      sinceMs: 0,
      calls: 1_002,
      failed: 1,
      methods: ["getRun 1000", "listRuns 1 (1 failed)"]
    })
    log.called(reader, "getRun", true)
    log.called(other, "getRun", true)
    yield* passUntil("gateway.access", 3)
  }).pipe(Effect.provide(audited)))

it.effect("the last minute is written when the gateway closes", () =>
  Effect.gen(function*() {
    const scope = yield* Scope.make()
    const log = yield* Scope.extend(Effect.flatMap(Audit.Audit, makeAccessLog), scope)
    log.called(reader, "getRun", true)
    yield* Scope.close(scope, Exit.void)
    assert.deepStrictEqual((yield* rowsOf("gateway.access")).map(({ detail }) => detail["calls"]), [1])
  }).pipe(Effect.provide(audited)))

it.scoped("who comes in is a row at once, of many in a minute five, and all of them are counted", () =>
  Effect.gen(function*() {
    const log = yield* makeAccessLog(yield* Audit.Audit)
    for (let i = 0; i < 7; i++) yield* log.entered(reader, "gateway.connect", { requestId: `c-${i}` })
    yield* passUntil("gateway.access", 1)
    const entries = yield* rowsOf("gateway.connect")
    assert.deepStrictEqual(entries.map(({ requestId }) => requestId).sort(), ["c-0", "c-1", "c-2", "c-3", "c-4"])
    assert.deepStrictEqual((yield* rowsOf("gateway.access"))[0]?.detail["methods"], ["gateway.connect 7"])
  }).pipe(Effect.provide(audited)))

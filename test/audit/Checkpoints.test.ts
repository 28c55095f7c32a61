import { NodeContext } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Duration, Effect, Schema, Stream, TestClock } from "effect"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import {
  Audit,
  AuditConfig,
  Checkpoints,
  type SignedStatement,
  Spool,
  Statement,
  verifyExport
} from "../../src/audit/index.ts"
import { Persistence, Write } from "../../src/persistence/index.ts"
import {
  alice,
  appendRows,
  checkpoint,
  entry,
  exported,
  layerAt,
  layerTemp,
  named,
  tamper,
  verify,
  verifyText
} from "./support/Trail.ts"

const decode = Schema.decodeUnknownSync(Schema.parseJson(Statement))
const kinds = (delivered: ReadonlyArray<SignedStatement>) => delivered.map(({ statement }) => decode(statement).kind)

const homeOfTest = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "smithers-audit-"))),
  (home) => Effect.sync(() => fs.rmSync(home, { recursive: true, force: true }))
)

/** Waits for what a background fiber of real I/O brings about, in turns of the event loop. */
const eventually = <E, R>(condition: Effect.Effect<boolean, E, R>): Effect.Effect<void, E, R> =>
  Effect.flatMap(condition, (holds) =>
    holds ? Effect.void : Effect.zipRight(
      Effect.async<void>((resume) => {
        setImmediate(() => resume(Effect.void))
      }),
      eventually(condition)
    ))

it.effect("the start makes a key that only its owner can read, and signs the beginning and a first checkpoint", () => {
  const delivered: Array<SignedStatement> = []
  return Effect.gen(function*() {
    const { home } = yield* Persistence.Persistence
    assert.strictEqual(fs.statSync(path.join(home, "audit", "signing-key.pem")).mode & 0o777, 0o600)
    assert.strictEqual(fs.statSync(path.join(home, "audit")).mode & 0o777, 0o700)
    assert.deepStrictEqual(kinds(delivered), ["begin", "checkpoint"])
    const pem = fs.readFileSync(path.join(home, "audit", "public-key.pem"), "utf8")
    assert.strictEqual(pem, yield* (yield* Checkpoints.Checkpoints).publicKey)
  }).pipe(Effect.provide(layerTemp(delivered)))
})

it.effect("an empty period is signed like any other", () => {
  const delivered: Array<SignedStatement> = []
  return Effect.gen(function*() {
    yield* TestClock.adjust("10 minutes")
    yield* eventually(Effect.sync(() => delivered.length === 3))
    yield* TestClock.adjust("10 minutes")
    yield* eventually(Effect.sync(() => delivered.length === 4))
    assert.deepStrictEqual(
      delivered.slice(2).map(({ statement }) => {
        const { atMs, id } = decode(statement)
        return [id, atMs]
      }),
      [[0, 600_000], [0, 1_200_000]]
    )
  }).pipe(Effect.provide(layerTemp(delivered)))
})

it.effect("so many rows are signed before the time is over", () => {
  const delivered: Array<SignedStatement> = []
  return Effect.gen(function*() {
    yield* appendRows(99)
    yield* appendRows(1, 100)
    yield* eventually(Effect.sync(() => delivered.length === 3))
    assert.strictEqual(decode(delivered[2]!.statement).id, 100)
  }).pipe(
    Effect.provide(layerTemp(delivered)),
    Effect.provideService(AuditConfig.AuditConfig, { ...AuditConfig.defaults, checkpointRows: 100 })
  )
})

it.effect("what the sink refuses is still signed, and kept in the file", () =>
  Effect.gen(function*() {
    const { home } = yield* Persistence.Persistence
    yield* appendRows(3)
    yield* checkpoint
    const lines = fs.readFileSync(path.join(home, "audit", "checkpoints.ndjson"), "utf8").trimEnd().split("\n")
    const said = lines.map((line) => decode((JSON.parse(line) as SignedStatement).statement))
    assert.deepStrictEqual(said.map(({ id, kind, n }) => [n, kind, id]), [
      [1, "begin", 0],
      [2, "checkpoint", 0],
      [3, "checkpoint", 3]
    ])
  }).pipe(Effect.provide(layerTemp(Object.freeze([]) as never))))

it.scoped("a rotated key signs on; both keys verify the whole; the rotation is in the audit", () =>
  Effect.gen(function*() {
    const home = yield* homeOfTest
    const first = yield* Effect.gen(function*() {
      const checkpoints = yield* Checkpoints.Checkpoints
      yield* appendRows(5)
      const before = yield* checkpoints.publicKey
      const { keyId, previousKeyId } = yield* checkpoints.rotateKey(alice)
      assert.notStrictEqual(keyId, previousKeyId)
      yield* appendRows(5, 6)
      yield* checkpoint
      const found = yield* verify
      assert.deepStrictEqual([found.problem, found.keyIds], [null, [previousKeyId, keyId]])
      const [row] = yield* (yield* Audit.Audit).list({ action: "audit.rotate-key", limit: 5 })
      assert.deepStrictEqual([row?.actor, row?.target], ["user:alice", keyId])
      return before
    }).pipe(Effect.provide(layerAt(home)))
    yield* Effect.gen(function*() {
      assert.strictEqual(named(yield* verify), "none")
      const { text } = yield* exported("ndjson")
      assert.strictEqual(named(yield* verifyText(text)), "none")
      assert.isNull((yield* verifyExport(Stream.fromIterable(text.split("\n")), first)).problem)
    }).pipe(Effect.provide(layerAt(home)))
  }))

it.scoped("a crash between the signature of a rotation and the new key's place is mended at the next start", () =>
  Effect.gen(function*() {
    const home = yield* homeOfTest
    const folder = path.join(home, "audit")
    yield* Effect.gen(function*() {
      const old = fs.readFileSync(path.join(folder, "signing-key.pem"))
      yield* (yield* Checkpoints.Checkpoints).rotateKey(alice)
      fs.copyFileSync(path.join(folder, "signing-key.pem"), path.join(folder, "signing-key.next.pem"))
      fs.writeFileSync(path.join(folder, "signing-key.pem"), old)
    }).pipe(Effect.provide(layerAt(home)))
    yield* Effect.gen(function*() {
      yield* appendRows(2)
      yield* checkpoint
      assert.strictEqual(named(yield* verify), "none")
    }).pipe(Effect.provide(layerAt(home)))
    assert.isFalse(fs.existsSync(path.join(folder, "signing-key.next.pem")))
  }))

it.scoped("a key that was replaced by somebody else's is named", () =>
  Effect.gen(function*() {
    const home = yield* homeOfTest
    yield* Effect.provide(appendRows(2), layerAt(home))
    fs.rmSync(path.join(home, "audit", "signing-key.pem"))
    const found = yield* Effect.provide(verify, layerAt(home))
    assert.strictEqual(found.problem?.kind, "Statement")
    assert.include(found.problem?.detail ?? "", "which no checkpoint names")
  }))

it.effect("rows are pruned under a signed seal, from which the rest is verified", () =>
  Effect.gen(function*() {
    const checkpoints = yield* Checkpoints.Checkpoints
    yield* appendRows(2_500)
    yield* TestClock.adjust("29 days")
    const audit = yield* Audit.Audit
    yield* audit.record({ ...entry(), action: "later" })
    yield* TestClock.adjust("2 days")
    const pruned = yield* checkpoints.prune(Duration.days(30), alice)
    assert.deepStrictEqual(pruned, { rows: 2_500, throughId: 2_500 })
    const found = yield* verify
    assert.deepStrictEqual(
      [found.problem, found.firstId, found.lastId, found.sealedThroughId],
      [null, 2_501, 2_502, 2_500]
    )
    assert.strictEqual(named(yield* verifyText((yield* exported("ndjson")).text)), "none")
    const [row] = yield* audit.list({ limit: 1, action: "audit.prune" })
    assert.deepStrictEqual([row?.actor, row?.target, row?.detail["rows"]], ["user:alice", "1..2500", 2_500])
    assert.deepStrictEqual(yield* checkpoints.prune(Duration.days(30), alice), { rows: 0, throughId: 0 })
    yield* tamper((db) => db.prepare("DELETE FROM _smithers_audit WHERE id = 2501").run())
    assert.strictEqual(named(yield* verify), "Missing 2501")
  }).pipe(
    Effect.provide(layerTemp()),
    Effect.provideService(AuditConfig.AuditConfig, {
      ...AuditConfig.defaults,
      checkpointInterval: Duration.days(1)
    })
  ))

it.effect("what is younger than thirty days is not pruned, whoever asks", () =>
  Effect.gen(function*() {
    yield* appendRows(5)
    const refused = yield* Effect.flip((yield* Checkpoints.Checkpoints).prune(Duration.days(29), alice))
    assert.strictEqual(refused.message, "olderThanMs must be at least 30 days")
    assert.strictEqual((yield* verify).rows, 5)
  }).pipe(Effect.provide(layerTemp())))

it.effect("unsealed rows cannot be removed, sealed ones neither changed", () =>
  Effect.gen(function*() {
    const persistence = yield* Persistence.Persistence
    yield* appendRows(5)
    for (
      const text of [
        "DELETE FROM _smithers_audit",
        "UPDATE _smithers_audit SET actor = 'x'",
        "DELETE FROM _smithers_audit_statements",
        "UPDATE _smithers_audit_statements SET through_id = 5",
        "UPDATE _smithers_audit_log SET log_id = 'x'"
      ]
    ) {
      const refused = yield* Effect.flip(persistence.write(Write.run(text, [])))
      assert.include(refused.message, "the audit is append-only", text)
    }
  }).pipe(Effect.provide(layerTemp())))

it.scoped("what another process leaves is recorded at the next start, and at the next checkpoint", () =>
  Effect.gen(function*() {
    const home = yield* homeOfTest
    const left = (action: string) => Spool.leave(home, entry({ action, atMs: 77 }))
    yield* Effect.provide(Effect.void, layerAt(home))
    yield* Effect.provide(left("backup.create"), layerAt(home))
    yield* Effect.gen(function*() {
      const audit = yield* Audit.Audit
      const actions = Effect.map(audit.list({ limit: 5 }), (rows) => rows.map(({ action, atMs }) => [action, atMs]))
      assert.deepStrictEqual(yield* actions, [["backup.create", 77]])
      yield* left("backup.verify")
      yield* checkpoint
      assert.deepStrictEqual(yield* actions, [["backup.verify", 77], ["backup.create", 77]])
      assert.strictEqual(named(yield* verify), "none")
    }).pipe(Effect.provide(layerAt(home)))
  }))

it.scoped("a recorded restore into another home goes on with the key of that home, which alone vouches from then on", () =>
  Effect.gen(function*() {
    const [home, other] = [yield* homeOfTest, yield* homeOfTest]
    const first = yield* Effect.provide(
      Effect.zipRight(appendRows(10), Effect.flatMap(Checkpoints.Checkpoints, ({ publicKey }) => publicKey)),
      layerAt(home)
    )
    fs.copyFileSync(path.join(home, "smithers.db"), path.join(other, "smithers.db"))
    yield* Effect.provide(
      Spool.leave(other, entry({ action: "backup.restore", target: "a.db" })),
      NodeContext.layer
    )
    yield* Effect.gen(function*() {
      yield* appendRows(5, 11)
      const found = yield* verify
      assert.deepStrictEqual([found.problem, found.restores, found.keyIds.length], [null, 1, 1])
      const { text } = yield* exported("ndjson")
      assert.strictEqual(named(yield* verifyText(text)), "none")
      const old = yield* verifyExport(Stream.fromIterable(text.split("\n")), first)
      assert.strictEqual(old.problem?.kind, "Statement")
    }).pipe(Effect.provide(layerAt(other)))
  }))

it.scoped("a recorded restore of an older database is signed, and no problem", () =>
  Effect.gen(function*() {
    const home = yield* homeOfTest
    const database = path.join(home, "smithers.db")
    yield* Effect.provide(appendRows(10), layerAt(home))
    fs.copyFileSync(database, path.join(home, "older.db"))
    yield* Effect.provide(appendRows(10, 11), layerAt(home))
    fs.copyFileSync(path.join(home, "older.db"), database)
    for (const suffix of ["-wal", "-shm"]) fs.rmSync(database + suffix, { force: true })
    yield* Effect.scoped(Effect.provide(
      Spool.leave(home, entry({ action: "backup.restore", target: "older.db" })),
      NodeContext.layer
    ))
    yield* Effect.gen(function*() {
      yield* appendRows(30, 21)
      yield* checkpoint
      const found = yield* verify
      assert.deepStrictEqual([found.problem, found.restores, found.lastId], [null, 1, 41])
      assert.strictEqual(named(yield* verifyText((yield* exported("ndjson")).text)), "none")
    }).pipe(Effect.provide(layerAt(home)))
  }))

it.scoped("a last line that a crash cut off is mended at the start, and nonsense beside the database keeps nobody from starting", () =>
  Effect.gen(function*() {
    const home = yield* homeOfTest
    const file = path.join(home, "audit", "checkpoints.ndjson")
    yield* Effect.provide(appendRows(3), layerAt(home))
    const before = fs.readFileSync(file, "utf8")
    fs.writeFileSync(file, before.slice(0, -20))
    assert.strictEqual(named(yield* Effect.provide(verify, layerAt(home))), "none")
    assert.isTrue(fs.readFileSync(file, "utf8").startsWith(before))
    const [first] = before.split("\n") as [string]
    fs.appendFileSync(file, `nonsense\n${first.replace("\\\"n\\\":1,", "\\\"n\\\":99,")}\n${first}\n`)
    assert.strictEqual((yield* Effect.provide(verify, layerAt(home))).problem?.kind, "Statement")
  }))

it.effect("verifying while rows are appended and signed finds nothing", () =>
  Effect.gen(function*() {
    yield* Effect.all([
      Effect.forEach(Array.from({ length: 30 }, (_, i) => i), (i) =>
        Effect.zipRight(appendRows(50, i * 50), checkpoint), { discard: true }),
      Effect.forEach(
        Array.from({ length: 15 }, (_, i) =>
          i),
        () =>
          Effect.map(verify, (found) => assert.strictEqual(named(found), "none")),
        { discard: true }
      )
    ], { concurrency: "unbounded", discard: true })
    assert.strictEqual((yield* verify).rows, 1_500)
  }).pipe(Effect.provide(layerTemp())))

it.effect("an export up to a time ends at a checkpoint, and is verified alone", () =>
  Effect.gen(function*() {
    for (let i = 0; i < 5; i++) {
      yield* appendRows(10, 1 + i * 10)
      yield* checkpoint
    }
    // Row i is of the millisecond 1,000 + i.
    const { text } = yield* exported("ndjson", { sinceMs: 1_015, untilMs: 1_025 })
    const found = yield* verifyText(text)
    assert.deepStrictEqual([found.problem, found.firstId, found.lastId], [null, 15, 30])
    assert.strictEqual(text.split("\n").filter((line) => line.startsWith("{\"type\":\"row\"")).length, 10)
    const csv = yield* exported("csv", { sinceMs: 1_015, untilMs: 1_025 })
    assert.strictEqual(csv.text.trimEnd().split("\r\n").length, 11)
  }).pipe(Effect.provide(layerTemp())))

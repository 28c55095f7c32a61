import { assert, it } from "@effect/vitest"
import type { Database } from "better-sqlite3"
import { Effect } from "effect"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { Audit, Checkpoints } from "../../src/audit/index.ts"
import { digestOf, link } from "../../src/audit/internal/Chain.ts"
import { Persistence } from "../../src/persistence/index.ts"
import {
  appendRows,
  checkpoint,
  entry,
  exported,
  layerAt,
  layerTemp,
  named,
  tamper,
  tamperWith,
  verify,
  verifyText
} from "./support/Trail.ts"

const content = `at_ms, actor, token_id, role, org_id, project_id, run_id, action, target, outcome, reason, request_id,
  trace_id, deployment, module_revision, detail_json`
const hashes = "previous_hash, hash"

/** Gives row `a` the columns of row `b` and the reverse. */
const swap = (columns: string, a: number, b: number) => (db: Database) => {
  const read = db.prepare(`SELECT ${columns} FROM _smithers_audit WHERE id = ?`)
  const names = columns.split(",").map((name) => `${name.trim()} = ?`).join(", ")
  const write = db.prepare(`UPDATE _smithers_audit SET ${names} WHERE id = ?`)
  const [first, second] = [a, b].map((id) => Object.values(read.get(id) as object))
  write.run(...second!, a)
  write.run(...first!, b)
}

const shift = (db: Database, from: number, by: number) => {
  const ids = db.prepare(`SELECT id FROM _smithers_audit WHERE id >= ? ORDER BY id ${by > 0 ? "DESC" : "ASC"}`).pluck()
    .all(from) as Array<number>
  for (const id of ids) db.prepare("UPDATE _smithers_audit SET id = ? WHERE id = ?").run(id + by, id)
}

/** Computes all hashes anew from a row on, as the program would. */
const rechain = (db: Database, from: number) => {
  let previous = db.prepare("SELECT previous_hash FROM _smithers_audit WHERE id = ?").pluck().get(from) as string
  for (
    const row of db.prepare(`SELECT id, ${content} FROM _smithers_audit WHERE id >= ? ORDER BY id`).raw().all(from)
  ) {
    const own = link(previous, digestOf(row as Array<string | number | null>))
    db.prepare("UPDATE _smithers_audit SET previous_hash = ?, hash = ? WHERE id = ?").run(
      previous,
      own,
      (row as Array<number>)[0]
    )
    previous = own
  }
}

const forge = (db: Database, id: number, previous: string) => {
  const row = [id, 7, "mallory", null, "admin", null, null, null, "x", null, "ok", null, null, null, null, null, "{}"]
  db.prepare(
    `INSERT INTO _smithers_audit (id, ${content}, ${hashes}) VALUES (${"?, ".repeat(18)} ?)`
  ).run(...row, previous, link(previous, digestOf(row)))
}

const hashOf = (db: Database, id: number) =>
  db.prepare("SELECT hash FROM _smithers_audit WHERE id = ?").pluck().get(id) as string

const attacks: ReadonlyArray<readonly [what: string, found: string, change: (db: Database) => void]> = [
  ["a row whose reason was changed", "Altered 20", (db) => {
    db.prepare("UPDATE _smithers_audit SET reason = 'nothing happened' WHERE id = 20").run()
  }],
  ["a row whose time was changed", "Altered 1", (db) => {
    db.prepare("UPDATE _smithers_audit SET at_ms = at_ms - 1 WHERE id = 1").run()
  }],
  ["a text that moved from one column to the next", "Altered 20", (db) => {
    db.prepare("UPDATE _smithers_audit SET target = run_id, run_id = target WHERE id = 20").run()
  }],
  ["a row that was changed together with its own hash", "Altered 20", (db) => {
    db.prepare("UPDATE _smithers_audit SET actor = 'user:bob' WHERE id = 20").run()
    const row = db.prepare(`SELECT id, ${content} FROM _smithers_audit WHERE id = 20`).raw().get() as Array<string>
    db.prepare("UPDATE _smithers_audit SET hash = ? WHERE id = 20").run(link(hashOf(db, 19), digestOf(row)))
  }],
  ["a row that was changed, and everything after it computed anew", "Rewritten 1", (db) => {
    db.prepare("UPDATE _smithers_audit SET actor = 'user:bob' WHERE id = 20").run()
    rechain(db, 20)
  }],
  ["a row that was removed", "Missing 20", (db) => {
    db.prepare("DELETE FROM _smithers_audit WHERE id = 20").run()
  }],
  ["the first rows removed", "Missing 1", (db) => {
    db.prepare("DELETE FROM _smithers_audit WHERE id <= 5").run()
  }],
  ["a row that was removed, with the later ones renumbered", "Missing 20", (db) => {
    db.prepare("DELETE FROM _smithers_audit WHERE id = 20").run()
    shift(db, 21, -1)
  }],
  ["three rows that were removed, with the later ones renumbered", "Missing 20", (db) => {
    db.prepare("DELETE FROM _smithers_audit WHERE id BETWEEN 20 AND 22").run()
    shift(db, 23, -3)
  }],
  ["a row that was put in between", "Inserted 20", (db) => {
    shift(db, 20, 1)
    forge(db, 20, "0".repeat(64))
  }],
  ["a row that was put in between and follows the one before it", "Inserted 20", (db) => {
    shift(db, 20, 1)
    forge(db, 20, hashOf(db, 19))
  }],
  ["two neighbours that changed places", "Reordered 20", swap(`${content}, ${hashes}`, 20, 21)],
  ["two distant rows that changed places", "Reordered 3", swap(`${content}, ${hashes}`, 3, 38)],
  ["the payloads of two rows exchanged", "Reordered 12", swap(content, 12, 30)],
  ["the last rows cut off", "Truncated 31", (db) => {
    db.prepare("DELETE FROM _smithers_audit WHERE id > 30").run()
  }],
  ["all rows removed", "Truncated 1", (db) => {
    db.prepare("DELETE FROM _smithers_audit").run()
  }],
  ["the last rows cut off together with the checkpoint that covers them", "OlderDatabase 31", (db) => {
    db.prepare("DELETE FROM _smithers_audit WHERE id > 30").run()
    db.prepare("DELETE FROM _smithers_audit_statements WHERE row_id > 30").run()
  }],
  ["a checkpoint that was changed", "Statement null", (db) => {
    db.prepare("UPDATE _smithers_audit_statements SET statement = replace(statement, ?, ?) WHERE n = 2").run(
      "\"id\":0",
      "\"id\":1"
    )
  }],
  ["a checkpoint that was removed", "Statement null", (db) => {
    db.prepare("DELETE FROM _smithers_audit_statements WHERE n = 2").run()
  }],
  ["a signature of another statement", "Statement null", (db) => {
    db.exec(
      "UPDATE _smithers_audit_statements SET signature = (SELECT signature FROM _smithers_audit_statements WHERE n = 1)"
    )
  }],
  ["rows pruned under a seal that nobody signed", "Missing 1", (db) => {
    db.prepare("DELETE FROM _smithers_audit WHERE id <= 10").run()
    db.prepare("UPDATE _smithers_audit_statements SET through_id = 10 WHERE n = 2").run()
  }]
]

for (const [what, expected, change] of attacks) {
  it.effect(`guarantee 7: verify names ${what}`, () =>
    Effect.gen(function*() {
      yield* appendRows(40)
      yield* checkpoint
      assert.strictEqual(named(yield* verify), "none")
      yield* tamper(change)
      assert.strictEqual(named(yield* verify), expected)
    }).pipe(Effect.provide(layerTemp())))
}

const exportAttacks: ReadonlyArray<readonly [string, string, (lines: Array<string>) => Array<string>]> = [
  ["nothing", "none", (lines) => lines],
  ["a row that was changed", "Altered 7", (lines) => lines.map((line) => line.replace("t-7\"", "t-8\""))],
  ["a row that was removed", "Missing 7", (lines) => lines.filter((line) => !line.includes("\"t-7\""))],
  ["the end cut off", "Unreadable null", (lines) => lines.slice(0, -5)],
  ["the end cut off and another end put there", "Truncated 37", (lines) => [
    ...lines.slice(0, -5),
    JSON.stringify({ type: "end", lastId: 36 })
  ]],
  ["the checkpoints left out", "Statement null", (lines) => lines.filter((line) => !line.includes("\"statement\""))],
  [
    "the beginning cut off",
    "Missing 1",
    (lines) =>
      lines.filter((line) => !/"target":"t-[12]"/.test(line)).map((line) =>
        line.replace(/"afterId":0,"afterHash":"[0-9a-f]+"/, () => {
          const third = JSON.parse(lines.find((row) => row.includes("\"t-3\""))!) as { previous_hash: string }
          return `"afterId":2,"afterHash":"${third.previous_hash}"`
        })
      )
  ],
  ["a line that is none", "Unreadable null", (lines) => [...lines.slice(0, 20), "{}", ...lines.slice(20)]]
]

for (const [what, expected, change] of exportAttacks) {
  it.effect(`an export is verified with the public key alone: ${what}`, () =>
    Effect.gen(function*() {
      yield* appendRows(40)
      const { text } = yield* exported("ndjson")
      const lines = change(text.trimEnd().split("\n"))
      assert.strictEqual(named(yield* verifyText(lines.join("\n"))), expected)
    }).pipe(Effect.provide(layerTemp())))
}

it.effect("what is left out of an export by its filter is proven, and cannot be left out more", () =>
  Effect.gen(function*() {
    const audit = yield* Audit.Audit
    const persistence = yield* Persistence.Persistence
    for (let i = 1; i <= 30; i++) {
      yield* persistence.write(audit.append(entry({ orgId: i % 3 === 0 ? "acme" : "other", target: `t-${i}` })))
    }
    const { text } = yield* exported("ndjson", { orgId: "acme" })
    const lines = text.trimEnd().split("\n")
    assert.strictEqual(lines.filter((line) => line.includes("\"type\":\"row\"")).length, 10)
    assert.notInclude(text, "\"other\"")
    const whole = yield* verifyText(text)
    assert.deepStrictEqual([whole.problem, whole.rows, whole.lastId], [null, 30, 30])
    const without = lines.filter((line) => !line.includes("\"t-9\"")).join("\n")
    assert.strictEqual(named(yield* verifyText(without)), "Missing 9")
  }).pipe(Effect.provide(layerTemp())))

it.effect("twenty writers at once make one chain", () =>
  Effect.gen(function*() {
    const audit = yield* Audit.Audit
    const persistence = yield* Persistence.Persistence
    yield* Effect.forEach(
      Array.from({ length: 20 }, (_, writer) => writer),
      (writer) =>
        Effect.forEach(
          Array.from({ length: 50 }, (_, i) => i),
          (i) => persistence.write(audit.append(entry({ actor: { ...entry().actor, userId: `w${writer}` }, atMs: i }))),
          { discard: true }
        ),
      { concurrency: "unbounded", discard: true }
    )
    const found = yield* verify
    assert.deepStrictEqual([found.problem, found.rows, found.lastId], [null, 1_000, 1_000])
  }).pipe(Effect.provide(layerTemp())))

const homeOfTest = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "smithers-audit-"))),
  (home) => Effect.sync(() => fs.rmSync(home, { recursive: true, force: true }))
)

it.scoped("an older database put in the place of the newer one is named, also after the log went on", () =>
  Effect.gen(function*() {
    const home = yield* homeOfTest
    const database = path.join(home, "smithers.db")
    const older = path.join(home, "older.db")
    yield* Effect.provide(appendRows(10), layerAt(home))
    fs.copyFileSync(database, older)
    yield* Effect.provide(appendRows(10, 11), layerAt(home))
    fs.copyFileSync(older, database)
    for (const suffix of ["-wal", "-shm"]) fs.rmSync(database + suffix, { force: true })
    const found = yield* Effect.provide(verify, layerAt(home))
    assert.strictEqual(found.problem?.kind, "OlderDatabase")
    yield* Effect.provide(appendRows(30, 21), layerAt(home))
    assert.strictEqual((yield* Effect.provide(verify, layerAt(home))).problem?.kind, "OlderDatabase")
  }))

it.scoped("a rollback that an operator acknowledges is signed, audited, counted, and no problem any more", () =>
  Effect.gen(function*() {
    const home = yield* homeOfTest
    const database = path.join(home, "smithers.db")
    const older = path.join(home, "older.db")
    const acknowledge = (reason: string) =>
      Effect.flatMap(Checkpoints.Checkpoints, ({ acknowledgeRollback }) => acknowledgeRollback(reason, entry().actor))
    yield* Effect.provide(appendRows(10), layerAt(home))
    fs.copyFileSync(database, older)
    yield* Effect.provide(appendRows(10, 11), layerAt(home))
    fs.copyFileSync(older, database)
    for (const suffix of ["-wal", "-shm"]) fs.rmSync(database + suffix, { force: true })
    // It goes on beyond where it was, and is restarted, before anybody looks.
    yield* Effect.provide(appendRows(30, 21), layerAt(home))
    yield* Effect.gen(function*() {
      const before = yield* verify
      assert.strictEqual(before.problem?.kind, "OlderDatabase")
      const [behind] = yield* (yield* Audit.Audit).list({ action: "audit.behind", limit: 1 })
      assert.strictEqual(behind?.outcome, "failed")
      const refused = yield* Effect.flip(acknowledge(""))
      assert.strictEqual(refused.message, "reason must have 1 to 1000 characters")
      assert.deepStrictEqual(yield* acknowledge("power cut"), before.problem)
      yield* appendRows(5, 51)
      yield* checkpoint
      const after = yield* verify
      assert.deepStrictEqual([after.problem, after.restores], [null, 1])
      const offline = yield* verifyText((yield* exported("ndjson")).text)
      assert.deepStrictEqual([offline.problem, offline.restores], [null, 1])
      const [row] = yield* (yield* Audit.Audit).list({ action: "audit.acknowledge-rollback", limit: 5 })
      assert.deepStrictEqual([row?.reason, row?.detail["id"], row?.detail["n"]], [
        "power cut",
        before.problem?.id,
        before.problem?.n
      ])
      assert.strictEqual(
        (yield* Effect.flip(acknowledge("again"))).message,
        "audit has not gone back to an older state"
      )
    }).pipe(Effect.provide(layerAt(home)))
    // What is changed afterwards is found as ever.
    tamperWith(database, (db) => db.prepare("UPDATE _smithers_audit SET target = 'x' WHERE id = 5").run())
    assert.strictEqual(named(yield* Effect.provide(verify, layerAt(home))), "Altered 5")
  }))

it.scoped("a file beside that lost its checkpoints is written anew from the database, one that was changed is named", () =>
  Effect.gen(function*() {
    const home = yield* homeOfTest
    const file = path.join(home, "audit", "checkpoints.ndjson")
    yield* Effect.provide(appendRows(10), layerAt(home))
    const before = fs.readFileSync(file, "utf8")
    fs.rmSync(file)
    assert.strictEqual(named(yield* Effect.provide(verify, layerAt(home))), "none")
    assert.isTrue(fs.readFileSync(file, "utf8").startsWith(before))
    fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace("\\\"id\\\":10", "\\\"id\\\":9"))
    assert.strictEqual(named(yield* Effect.provide(verify, layerAt(home))), "Statement null")
  }))

it.scoped("a row that was forged after the last checkpoint is not found: it has no proof, as verify says", () =>
  Effect.gen(function*() {
    const home = yield* homeOfTest
    yield* Effect.gen(function*() {
      yield* appendRows(10)
      yield* checkpoint
      const { file } = yield* Persistence.Persistence
      yield* Effect.sync(() => tamperWith(file, (db) => forge(db, 11, hashOf(db, 10))))
      const found = yield* verify
      assert.deepStrictEqual([found.problem, found.signedThroughId, found.lastId], [null, 10, 11])
    }).pipe(Effect.provide(layerAt(home)))
  }))

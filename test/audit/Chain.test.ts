import { Reactivity } from "@effect/experimental"
import { SqliteClient } from "@effect/sql-sqlite-node"
import { assert, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import { Effect, FastCheck, Schema } from "effect"
import { createHash } from "node:crypto"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { Audit, AuditEntry } from "../../src/audit/index.ts"
import { columns, digestOf, genesisOf, link } from "../../src/audit/internal/Chain.ts"
import { migrations } from "../../src/audit/migrations.ts"
import { Migrations, Persistence, Write } from "../../src/persistence/index.ts"
import { appendRows, layerAt, layerTemp, named, tamper, verify } from "./support/Trail.ts"

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex")

it("the digest of a row is what the documentation says", () => {
  const row = [1, 5, "ä", null, "", null, null, null, "a", null, "ok", null, null, null, null, null, "{}"]
  assert.strictEqual(row.length, columns.length)
  const text = "smithers-audit-row-1\n1:1,1:5,2:ä,-,0:,-,-,-,1:a,-,2:ok,-,-,-,-,-,2:{},"
  assert.strictEqual(digestOf(row), sha256(text))
  assert.strictEqual(link("ab", "cd"), sha256("abcd"))
  assert.strictEqual(genesisOf("x"), sha256("smithers-audit-log-1\nx"))
})

const value = FastCheck.oneof(
  FastCheck.constant(null),
  FastCheck.string(),
  FastCheck.fullUnicodeString(),
  FastCheck.nat()
)

it("rows that differ in any column differ in their digest", () => {
  FastCheck.assert(FastCheck.property(
    FastCheck.array(value, { minLength: 3, maxLength: 3 }),
    FastCheck.array(value, { minLength: 3, maxLength: 3 }),
    (a, b) => {
      const same = a.every((x, i) => x === b[i] || (x !== null && b[i] !== null && String(x) === String(b[i])))
      assert.strictEqual(digestOf(a) === digestOf(b), same)
    }
  ))
})

it.effect.prop(
  "any entry that is appended can be verified",
  [Schema.NonEmptyArray(AuditEntry)],
  ([entries]) =>
    Effect.gen(function*() {
      const audit = yield* Audit.Audit
      const persistence = yield* Persistence.Persistence
      const given = entries.map((entry) => ({ ...entry, action: `a${entry.action}` }))
      yield* persistence.write(Write.discard(given.map(audit.append)))
      assert.deepStrictEqual(named(yield* verify), "none")
    }).pipe(Effect.provide(layerTemp())),
  { fastCheck: { numRuns: 25 } }
)

it.effect("any change of any column of any row is found", () =>
  Effect.gen(function*() {
    yield* appendRows(10)
    const texts = columns.filter((name) => !["id", "at_ms", "detail_json", "outcome"].includes(name))
    for (const [i, name] of texts.entries()) {
      const id = 1 + i % 10
      let before: unknown
      yield* tamper((db) => {
        before = db.prepare(`SELECT ${name} FROM _smithers_audit WHERE id = ?`).pluck().get(id)
        db.prepare(`UPDATE _smithers_audit SET ${name} = COALESCE(${name}, '') || 'x' WHERE id = ?`).run(id)
      })
      assert.strictEqual(named(yield* verify), `Altered ${id}`, name)
      yield* tamper((db) => db.prepare(`UPDATE _smithers_audit SET ${name} = ? WHERE id = ?`).run(before, id))
      assert.strictEqual(named(yield* verify), "none", name)
    }
  }).pipe(Effect.provide(layerTemp())))

it.scoped("rows from before the chain are chained by the migration, in their order", () =>
  Effect.gen(function*() {
    const home = yield* Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "smithers-audit-"))),
      (directory) => Effect.sync(() => fs.rmSync(directory, { recursive: true, force: true }))
    )
    const file = path.join(home, "smithers.db")
    yield* Effect.scoped(Effect.gen(function*() {
      const client = yield* SqliteClient.make({ filename: file })
      yield* Migrations.apply(client, { ...migrations, steps: { "0001_audit": migrations.steps["0001_audit"]! } })
    })).pipe(Effect.provide(Reactivity.layer))
    const db = new Sqlite(file)
    db.pragma(`application_id = ${0x534d5448}`)
    const insert = db.prepare(
      "INSERT INTO _smithers_audit (at_ms, actor, role, action, outcome, detail_json) VALUES (?, 'a', 'b', 'c', 'ok', '{}')"
    )
    for (let i = 0; i < 2_345; i++) insert.run(i)
    db.close()
    yield* Effect.gen(function*() {
      yield* appendRows(3)
      const found = yield* verify
      assert.deepStrictEqual([found.problem, found.rows, found.lastId], [null, 2_348, 2_348])
      yield* tamper((db) => db.prepare("UPDATE _smithers_audit SET at_ms = 0 WHERE id = 2000").run())
      assert.strictEqual(named(yield* verify), "Altered 2000")
    }).pipe(Effect.provide(layerAt(home)))
  }))

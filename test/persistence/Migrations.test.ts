import { Reactivity } from "@effect/experimental"
import { SqliteClient } from "@effect/sql-sqlite-node"
import { assert, it } from "@effect/vitest"
import { Deferred, Effect, Exit, Fiber, TestClock } from "effect"
import { Migrations, StartRefused, Write } from "../../src/persistence/index.ts"
import { apply } from "../../src/persistence/Migrations.ts"
import { foreignConnection, freshPersistence, makeHome, openHome, turn } from "../support/Home.ts"

const first = Migrations.statements("CREATE TABLE IF NOT EXISTS notes (id INTEGER PRIMARY KEY) STRICT")
const second = Migrations.statements(
  "ALTER TABLE notes ADD COLUMN text TEXT",
  "CREATE INDEX notes_text ON notes (text)"
)
const notes = { table: "notes_migrations", steps: { "0001_notes": first, "0002_text": second } }

const reason = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.flip(effect), (error) => error instanceof StartRefused ? error.reason : error)

const ledger = (file: string, table = "notes_migrations") =>
  Effect.map(foreignConnection(file), (db) => db.prepare(`SELECT migration_id FROM ${table} ORDER BY 1`).pluck().all())

it.scoped("migrations apply once, however often they are asked for", () =>
  Effect.gen(function*() {
    const home = yield* makeHome
    for (let start = 0; start < 2; start++) {
      yield* Effect.scoped(Effect.gen(function*() {
        const persistence = yield* openHome(home)
        yield* persistence.migrate(notes)
        yield* persistence.migrate(notes)
        assert.deepStrictEqual(yield* ledger(persistence.file), [1, 2])
      }))
    }
  }))

it.scoped("a later release adds its steps to what is there", () =>
  Effect.gen(function*() {
    const persistence = yield* freshPersistence
    yield* persistence.migrate({ table: notes.table, steps: { "0001_notes": first } })
    yield* persistence.write(Write.run("INSERT INTO notes (id) VALUES (1)", []))
    yield* persistence.migrate(notes)
    assert.deepStrictEqual(yield* persistence.sql.unsafe("SELECT id, text FROM notes"), [{ id: 1, text: null }])
  }))

it.scoped("owners that migrate at the same time, while others write, all succeed", () =>
  Effect.gen(function*() {
    const persistence = yield* freshPersistence
    yield* persistence.write(Write.run("CREATE TABLE busy (id INTEGER PRIMARY KEY) STRICT", []))
    const writing = yield* Effect.fork(
      Effect.forEach(
        Array.from({ length: 300 }, (_, i) => i),
        (i) => persistence.write(Write.run("INSERT INTO busy (id) VALUES (?)", [i])),
        { discard: true }
      )
    )
    const owners = Array.from({ length: 8 }, (_, i) => ({
      table: `owner${i}_migrations`,
      steps: {
        "0001_table": Migrations.statements(`CREATE TABLE owner${i} (id INTEGER PRIMARY KEY) STRICT`),
        "0002_more": Effect.zipRight(turn, Migrations.statements(`ALTER TABLE owner${i} ADD COLUMN text TEXT`))
      }
    }))
    yield* Effect.forEach(owners, persistence.migrate, { concurrency: "unbounded", discard: true })
    yield* Fiber.join(writing)
    for (const owner of owners) assert.deepStrictEqual(yield* ledger(persistence.file, owner.table), [1, 2])
  }))

it.scoped("a step that fails is a typed refusal, and nothing of its transaction is kept", () =>
  Effect.gen(function*() {
    const persistence = yield* freshPersistence
    const broken = { table: notes.table, steps: { ...notes.steps, "0003_broken": Migrations.statements("NOT SQL") } }
    const error = yield* Effect.flip(persistence.migrate(broken))
    assert.isTrue(error instanceof StartRefused && error.reason === "MigrationFailed")
    assert.include(error.message, "syntax error")
    assert.deepStrictEqual(yield* ledger(persistence.file), [])
    yield* persistence.migrate(notes)
    assert.deepStrictEqual(yield* ledger(persistence.file), [1, 2])
  }))

it.scoped("a ledger that is ahead of this program refuses the start before anything is touched", () =>
  Effect.gen(function*() {
    const persistence = yield* freshPersistence
    yield* persistence.migrate({ table: notes.table, steps: { ...notes.steps, "0003_later": Effect.void } })
    const other = {
      table: notes.table,
      steps: { "0001_notes": first, "0002_text": Migrations.statements("DROP TABLE notes") }
    }
    assert.strictEqual(yield* reason(persistence.migrate(other)), "NewerDatabase")
    assert.deepStrictEqual(yield* ledger(persistence.file), [1, 2, 3])
    yield* persistence.write(Write.run("INSERT INTO notes (id) VALUES (1)", []))
  }))

it.scoped("a step with a number lower than one already applied is not passed over in silence", () =>
  Effect.gen(function*() {
    const persistence = yield* freshPersistence
    yield* persistence.migrate({ table: notes.table, steps: { "0001_notes": first, "0003_text": second } })
    const late = { table: notes.table, steps: { "0001_notes": first, "0002_late": Effect.void, "0003_text": second } }
    const migrating = yield* Effect.fork(reason(persistence.migrate(late)))
    yield* Effect.repeat(Effect.zipRight(turn, TestClock.adjust("1 second")), {
      until: () => migrating.unsafePoll() !== null
    })
    assert.strictEqual(yield* Fiber.join(migrating), "MigrationsPending")
  }))

it.scoped("when another process is still migrating, success is not reported until its work is visible", () =>
  Effect.gen(function*() {
    const persistence = yield* freshPersistence
    const client = SqliteClient.make({ filename: persistence.file, disableWAL: true })
    const started = yield* Deferred.make<void>()
    const goOn = yield* Deferred.make<void>()
    const slow = Effect.zipRight(Deferred.succeed(started, undefined), Deferred.await(goOn))
    const table = Migrations.statements("CREATE TABLE notes (id INTEGER PRIMARY KEY) STRICT")
    yield* persistence.migrate({ table: notes.table, steps: {} })
    const theirs = yield* Effect.fork(
      Effect.flatMap(
        client,
        (sql) => apply(sql, { table: notes.table, steps: { "0001_notes": Effect.zipRight(table, slow) } })
      )
    )
    yield* Deferred.await(started)
    const ours = yield* Effect.fork(Effect.gen(function*() {
      const sql = yield* client
      // The driver would wait in this same thread for the other connection.
      yield* sql.unsafe("PRAGMA busy_timeout = 0")
      yield* apply(sql, { table: notes.table, steps: { "0001_notes": table } })
      return yield* sql.unsafe("SELECT id FROM notes")
    }))
    yield* Effect.repeatN(Effect.zipRight(turn, TestClock.adjust("100 millis")), 10)
    assert.isNull(ours.unsafePoll())
    yield* Deferred.succeed(goOn, undefined)
    yield* Effect.repeat(Effect.zipRight(turn, TestClock.adjust("100 millis")), {
      until: () => ours.unsafePoll() !== null
    })
    assert.deepStrictEqual(yield* Fiber.await(ours), Exit.succeed([]))
    yield* Fiber.join(theirs)
  }).pipe(Effect.provide(Reactivity.layer)))

it.scoped("a column is added once, and a step that finds it there leaves it as it is", () =>
  Effect.gen(function*() {
    const persistence = yield* freshPersistence
    const column = Migrations.addColumn("notes", "kept", "INTEGER NOT NULL DEFAULT 7")
    yield* persistence.migrate({ table: notes.table, steps: { "0001_notes": first } })
    yield* persistence.write(Write.run("INSERT INTO notes (id) VALUES (1)", []))
    yield* persistence.migrate({ table: notes.table, steps: { "0001_notes": first, "0002_kept": column } })
    yield* persistence.write(Write.run("UPDATE notes SET kept = 8", []))
    yield* persistence.migrate({ table: "others_migrations", steps: { "0001_kept": column } })
    assert.deepStrictEqual(yield* persistence.sql.unsafe("SELECT id, kept FROM notes"), [{ id: 1, kept: 8 }])
  }))

import { assert, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import { Arbitrary, Chunk, Effect, FastCheck, Schema, Stream } from "effect"
import { Texts } from "../../src/persistence/index.ts"
import { makeHome } from "../support/Home.ts"

const read = (file: string) => Effect.map(Stream.runCollect(Texts.stream(file)), Chunk.toReadonlyArray)

const database = (file: string, prepare: (db: Sqlite.Database) => void) =>
  Effect.acquireRelease(
    Effect.sync(() => {
      const db = new Sqlite(file)
      db.pragma("journal_mode = WAL")
      db.pragma("wal_autocheckpoint = 0")
      prepare(db)
      return db
    }),
    (db) => Effect.sync(() => db.close())
  )

it.scoped("every text of every table is read, with its row, by whatever key the table has, out of the write-ahead log too", () =>
  Effect.gen(function*() {
    const file = `${yield* makeHome}/x.db`
    yield* database(file, (db) => {
      db.exec(`CREATE TABLE "odd ""name" (a TEXT, n INTEGER, b BLOB);
        CREATE TABLE keyed (k TEXT PRIMARY KEY, v TEXT);
        CREATE TABLE clustered (a TEXT NOT NULL, i INTEGER NOT NULL, v TEXT, PRIMARY KEY (a, i)) WITHOUT ROWID;
        INSERT INTO "odd ""name" VALUES ('one', 1, x'74776f'), (NULL, 2, NULL), ('', 3, x'');
        INSERT INTO keyed VALUES ('k1', 'v1'), (NULL, 'of no key');
        INSERT INTO clustered VALUES ('r', 2, 'second'), ('r', 1, 'first'), ('q', 9, 'zeroth')`)
    })
    assert.deepStrictEqual(
      (yield* read(file)).map(({ column, key, table, text }) => `${table} ${key} ${column}=${text}`),
      [
        "clustered q/9 a=q",
        "clustered q/9 v=zeroth",
        "clustered r/1 a=r",
        "clustered r/1 v=first",
        "clustered r/2 a=r",
        "clustered r/2 v=second",
        "keyed k1 k=k1",
        "keyed k1 v=v1",
        "keyed null v=of no key",
        "odd \"name 1 a=one",
        "odd \"name 1 b=two"
      ]
    )
  }))

it.scoped("pages neither lose nor repeat a row, however many and long they are", () =>
  Effect.gen(function*() {
    const home = yield* makeHome
    const Rows = Schema.Array(
      Schema.Struct({ chars: Schema.Literal(1, 10, 3_000_000), rows: Schema.Literal(1, 255, 257) })
    )
      .pipe(Schema.minItems(1), Schema.maxItems(4))
    for (const [index, parts] of FastCheck.sample(Arbitrary.make(Rows), { numRuns: 6, seed: 4 }).entries()) {
      const file = `${home}/${index}.db`
      const lengths = parts.flatMap(({ chars, rows }) => Array.from({ length: chars > 10 ? 3 : rows }, () => chars))
      yield* database(file, (db) => {
        db.exec("CREATE TABLE t (a INTEGER, b INTEGER, v TEXT, PRIMARY KEY (a, b)) WITHOUT ROWID")
        const insert = db.prepare("INSERT INTO t VALUES (?, ?, ?)")
        lengths.forEach((chars, at) => insert.run(Math.floor(at / 7), at % 7, "x".repeat(chars)))
      })
      assert.deepStrictEqual((yield* read(file)).map(({ text }) => text.length), lengths)
    }
  }))

it.scoped("rows that are written while it reads are no failure", () =>
  Effect.gen(function*() {
    const file = `${yield* makeHome}/x.db`
    const db = yield* database(file, (db) => {
      db.exec("CREATE TABLE t (v TEXT)")
      for (let i = 0; i < 600; i++) db.prepare("INSERT INTO t VALUES (?)").run(`v${i}`)
    })
    const seen = yield* Texts.stream(file).pipe(
      Stream.tap(() => Effect.sync(() => db.prepare("INSERT INTO t VALUES ('new')").run())),
      Stream.take(700),
      Stream.runCollect
    )
    assert.strictEqual(new Set(Chunk.map(seen, ({ key }) => key)).size, 700)
  }))

it.scoped("what is no database is an error", () =>
  Effect.gen(function*() {
    const home = yield* makeHome
    assert.strictEqual((yield* Effect.flip(read(`${home}/none.db`)))._tag, "PersistenceError")
    assert.strictEqual((yield* Effect.flip(read("package.json")))._tag, "PersistenceError")
  }))

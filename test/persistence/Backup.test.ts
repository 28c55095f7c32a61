import { Error as Platform, FileSystem, type Path } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import { Effect, Exit, Fiber, Layer, Ref, Scope, Stream } from "effect"
import { createHash } from "node:crypto"
import { Backup, type BackupError, type StartRefused, Write } from "../../src/persistence/index.ts"
import { startChild } from "../support/Child.ts"
import { foreignConnection, makeHome, openHome, turn } from "../support/Home.ts"

const createTables = Write.all([
  Write.run("CREATE TABLE a (id INTEGER PRIMARY KEY, text TEXT NOT NULL) STRICT", []),
  Write.run("CREATE TABLE b (id INTEGER PRIMARY KEY REFERENCES a (id)) STRICT", []),
  Write.run("CREATE TABLE without_key (text TEXT) STRICT", [])
])

const pair = (id: number, text = "") =>
  Write.all([
    Write.run("INSERT INTO a (id, text) VALUES (?, ?)", [id, text]),
    Write.run("INSERT INTO b (id) VALUES (?)", [id])
  ])

/** A home with `rows` pairs, its service stopped. */
const homeWith = (rows: number, text = "old") =>
  Effect.gen(function*() {
    const home = yield* makeHome
    yield* Effect.scoped(Effect.gen(function*() {
      const persistence = yield* openHome(home)
      yield* persistence.write(createTables)
      yield* Effect.forEach(Array.from({ length: rows }, (_, i) => pair(i + 1, text)), (unit) =>
        persistence.submit(() => unit))
      yield* persistence.write(Write.all([
        Write.run("INSERT INTO without_key (text) VALUES ('x'), ('y'), ('z')", []),
        Write.run("DELETE FROM without_key WHERE text = 'x'", [])
      ]))
    }))
    return home
  })

/** Every row with its rowid, by table; the file must not be open in this process. */
const dump = (file: string) =>
  Effect.acquireUseRelease(
    Effect.sync(() => new Sqlite(file, { readonly: true })),
    (db) =>
      Effect.sync(() => ({
        a: db.prepare("SELECT rowid AS r, id, text FROM a ORDER BY rowid").all(),
        b: db.prepare("SELECT rowid AS r, id FROM b ORDER BY rowid").all(),
        withoutKey: db.prepare("SELECT rowid AS r, text FROM without_key ORDER BY rowid").all(),
        integrity: db.pragma("integrity_check", { simple: true })
      })),
    (db) => Effect.sync(() => db.close())
  )

const database = (home: string) => `${home}/smithers.db`

const reason = <A>(effect: Effect.Effect<A, BackupError | StartRefused, FileSystem.FileSystem | Path.Path>) =>
  Effect.map(Effect.flip(effect), (error) => error.reason)

const sealed = (text: string) => {
  const unsealed = text.replace(/"manifestSha256": "\w*"/, `"manifestSha256": ""`)
  return unsealed.replace(
    `"manifestSha256": ""`,
    `"manifestSha256": "${createHash("sha256").update(unsealed).digest("hex")}"`
  )
}

layer(NodeContext.layer, { excludeTestServices: true })("Backup", (it) => {
  it.scoped("a backup is named by the UTC time, lies in the home, and only its owner may read it", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const home = yield* homeWith(3)
      const { file, manifest, manifestFile } = yield* Backup.create({ home })
      assert.match(file, /\/backups\/smithers-\d{8}T\d{9}Z\.db$/)
      assert.strictEqual(manifestFile, file.replace(/\.db$/, ".manifest.json"))
      assert.deepStrictEqual(manifest.tables, { a: 3, b: 3, without_key: 2 })
      assert.deepStrictEqual((yield* fs.readDirectory(`${home}/backups`)).length, 2)
      for (const made of [file, manifestFile]) assert.strictEqual((yield* fs.stat(made)).mode & 0o777, 0o600)
    }))

  it.scoped("a backup is one self-contained file with the same rows, under the same row ids", () =>
    Effect.gen(function*() {
      const home = yield* homeWith(500)
      const { file } = yield* Backup.create({ home })
      const copy = yield* dump(file)
      assert.deepStrictEqual(copy, yield* dump(database(home)))
      assert.strictEqual(copy.integrity, "ok")
      assert.strictEqual(copy.a.length, 500)
    }))

  it.scoped("verify accepts what create made, by any of its names", () =>
    Effect.gen(function*() {
      const home = yield* homeWith(10)
      const { file, manifestFile } = yield* Backup.create({ home, destination: `${home}/b` })
      for (const name of [`${home}/b`, file, manifestFile]) yield* Backup.verify(name)
    }))

  it.scoped("progress reaches the end of the copy, of the hash and of the check, while the event loop runs on", () =>
    Effect.gen(function*() {
      const home = yield* homeWith(5_000, "x".repeat(3_000))
      const seen = yield* Ref.make<ReadonlyArray<Backup.Progress>>([])
      let turns = 0
      const ticking = yield* Effect.fork(Effect.forever(Effect.zipRight(turn, Effect.sync(() => turns++))))
      const { manifest } = yield* Backup.create({
        home,
        onProgress: (progress) => Ref.update(seen, (all) => [...all, progress])
      })
      yield* Fiber.interrupt(ticking)
      const all = yield* Ref.get(seen)
      for (const step of ["copying", "hashing", "checking"] as const) {
        const ofStep = all.filter((progress) => progress.step === step)
        const last = ofStep[ofStep.length - 1]!
        assert.isAtLeast(ofStep.length, 2)
        if (step === "hashing") assert.strictEqual(last.of, manifest.bytes)
        if (step !== "copying") assert.strictEqual(last.done, last.of)
        assert.deepStrictEqual(ofStep.map((progress) => progress.done), ofStep.map((p) => p.done).sort((x, y) => x - y))
      }
      assert.isAbove(turns, 50)
    }))

  it.scoped("a backup under a writer of this process is one consistent snapshot and the writer is not held up", () =>
    Effect.gen(function*() {
      const home = yield* homeWith(6_000, "x".repeat(2_000))
      const persistence = yield* openHome(home)
      const acknowledged = yield* Ref.make(6_000)
      let id = 6_000
      const writing = yield* Effect.fork(Effect.forever(
        Effect.suspend(() => {
          const mine = ++id
          return Effect.zipRight(persistence.write(pair(mine)), Ref.update(acknowledged, (n) => Math.max(n, mine)))
        })
      ))
      for (let round = 0; round < 3; round++) {
        const before = yield* Ref.get(acknowledged)
        const copied: Array<number> = []
        const { file, manifest } = yield* Backup.create({
          home,
          destination: `${home}/round-${round}`,
          onProgress: ({ done, step }) => Effect.sync(() => step === "copying" && copied.push(done))
        })
        // Never back to the start: a copy that started over at a commit would not end under steady load.
        assert.isAbove(copied.length, 5)
        assert.deepStrictEqual(copied, [...copied].sort((x, y) => x - y))
        const after = yield* Ref.get(acknowledged)
        assert.isAbove(after, before)
        assert.isAtLeast(manifest.tables["a"]!, before)
        assert.isAtMost(manifest.tables["a"]!, after + 1)
        assert.strictEqual(manifest.tables["a"], manifest.tables["b"])
        yield* Backup.verify(file)
      }
      yield* Fiber.interrupt(writing)
    }))

  it.scoped("a backup under a writer of another process ends, is consistent, and holds all that was acknowledged", () =>
    Effect.gen(function*() {
      const home = yield* makeHome
      const { child, lines } = yield* startChild("test/persistence/programs/writeAndAcknowledge.ts", home)
      const last = yield* Ref.make(0)
      const reading = yield* lines.pipe(
        Stream.filter((line) => line !== "ready"),
        Stream.runForEach((line) => Ref.set(last, Number(line))),
        Effect.fork
      )
      yield* Effect.repeat(turn, { until: () => Effect.map(Ref.get(last), (n) => n > 2_000) })
      const before = yield* Ref.get(last)
      const { manifest } = yield* Backup.create({ home, destination: `${home}/b` })
      assert.isAtLeast(manifest.tables["a"]!, before - 20)
      assert.strictEqual(manifest.tables["a"], manifest.tables["b"])
      yield* Effect.ignore(child.kill("SIGKILL"))
      yield* Effect.ignore(Fiber.join(reading))
      // The killed service's log is still full: that too is backed up, without its lock.
      const { manifest: afterwards } = yield* Backup.create({ home, destination: `${home}/c` })
      assert.isAtLeast(afterwards.tables["a"]!, yield* Ref.get(last))
      yield* Backup.verify(`${home}/c`)
    }))

  it.scoped("nothing is overwritten, and a home without a database has no backup", () =>
    Effect.gen(function*() {
      const home = yield* homeWith(1)
      yield* Backup.create({ home, destination: `${home}/b` })
      assert.strictEqual(yield* reason(Backup.create({ home, destination: `${home}/b` })), "AlreadyExists")
      yield* Backup.verify(`${home}/b`)
      assert.strictEqual(yield* reason(Backup.create({ home: `${home}/elsewhere` })), "NoDatabase")
    }))

  it.scoped("an interrupted backup leaves nothing behind", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const home = yield* homeWith(5_000, "x".repeat(2_000))
      const making = yield* Effect.fork(Backup.create({
        home,
        onProgress: () => Effect.never
      }))
      yield* Effect.repeat(turn, { until: () => fs.exists(`${home}/backups`) })
      yield* Fiber.interrupt(making)
      assert.deepStrictEqual(yield* fs.readDirectory(`${home}/backups`), [])
    }))

  it.scoped("verify names what differs: missing, cut off, one byte, manifest, counts", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const home = yield* homeWith(200)
      const { file, manifestFile } = yield* Backup.create({ home, destination: `${home}/b` })
      const bytes = yield* fs.readFile(file)
      const text = yield* fs.readFileString(manifestFile)
      const verify = reason(Backup.verify(file))

      const altered = Uint8Array.from(bytes)
      altered[Math.floor(bytes.length / 2)]! ^= 1
      yield* fs.writeFile(file, altered)
      assert.strictEqual(yield* verify, "ContentDiffers")
      yield* fs.writeFile(file, bytes.subarray(0, bytes.length - 1))
      assert.strictEqual(yield* verify, "SizeDiffers")
      yield* fs.remove(file)
      assert.strictEqual(yield* verify, "FileMissing")
      yield* fs.writeFile(file, bytes)
      yield* Backup.verify(file)

      yield* fs.writeFileString(manifestFile, text.replace(`"a": 200`, `"a": 201`))
      assert.strictEqual(yield* verify, "ManifestAltered")
      yield* fs.writeFileString(manifestFile, sealed(text.replace(`"a": 200`, `"a": 201`)))
      assert.strictEqual(yield* verify, "CountsDiffer")
      yield* fs.writeFileString(manifestFile, sealed(text.replace(`"a": 200,`, "")))
      assert.strictEqual(yield* verify, "CountsDiffer")
      yield* fs.writeFileString(manifestFile, text.slice(0, 50))
      assert.strictEqual(yield* verify, "ManifestUnreadable")
      yield* fs.remove(manifestFile)
      assert.strictEqual(yield* verify, "ManifestMissing")
    }))

  it.scoped("verify finds damage inside a file even when its manifest was made to fit", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const home = yield* homeWith(2_000)
      const { file, manifest, manifestFile } = yield* Backup.create({ home, destination: `${home}/b` })
      const forge = (bytes: Uint8Array) =>
        Effect.gen(function*() {
          yield* fs.writeFile(file, bytes)
          const text = yield* fs.readFileString(manifestFile)
          const sha256 = createHash("sha256").update(bytes).digest("hex")
          yield* fs.writeFileString(manifestFile, sealed(text.replace(/"sha256": "\w*"/, `"sha256": "${sha256}"`)))
        })
      const bytes = yield* fs.readFile(file)
      const damaged = Uint8Array.from(bytes)
      damaged.fill(0x55, manifest.pageBytes * 3, manifest.pageBytes * 4)
      yield* forge(damaged)
      assert.strictEqual(yield* reason(Backup.verify(file)), "Corrupt")

      yield* forge(bytes)
      const orphan = yield* foreignConnection(file)
      orphan.pragma("foreign_keys = OFF")
      orphan.exec("UPDATE b SET id = 900000 WHERE id = 7")
      orphan.close()
      yield* forge(yield* fs.readFile(file))
      assert.strictEqual(yield* reason(Backup.verify(file)), "ForeignKeys")
    }))

  it.scoped("a restored database has identical rows, and the service starts on it", () =>
    Effect.gen(function*() {
      const home = yield* homeWith(300)
      const { file } = yield* Backup.create({ home })
      const target = `${yield* makeHome}/new/home`
      yield* Backup.restore({ home: target, backup: file })
      assert.deepStrictEqual(yield* dump(database(target)), yield* dump(database(home)))
      const persistence = yield* openHome(target)
      yield* persistence.write(pair(301))
      assert.strictEqual((yield* persistence.sql.unsafe("SELECT id FROM a")).length, 301)
    }))

  it.scoped("restore leaves a database alone unless it is forced to replace it", () =>
    Effect.gen(function*() {
      const source = yield* homeWith(5, "new")
      const { file } = yield* Backup.create({ home: source })
      const home = yield* homeWith(2, "old")
      const old = yield* dump(database(home))
      assert.strictEqual(yield* reason(Backup.restore({ home, backup: file })), "DatabaseExists")
      assert.deepStrictEqual(yield* dump(database(home)), old)
      yield* Backup.restore({ home, backup: file, force: true })
      assert.deepStrictEqual(yield* dump(database(home)), yield* dump(database(source)))
    }))

  it.scoped("restore refuses a home whose service runs", () =>
    Effect.gen(function*() {
      const { file } = yield* Backup.create({ home: yield* homeWith(5) })
      const home = yield* makeHome
      yield* openHome(home)
      assert.strictEqual(yield* reason(Backup.restore({ home, backup: file, force: true })), "InstanceLocked")
    }))

  it.scoped("restore refuses to pull a database from under somebody who has it open", () =>
    Effect.gen(function*() {
      const { file } = yield* Backup.create({ home: yield* homeWith(5) })
      const home = yield* homeWith(2)
      const operator = yield* foreignConnection(database(home))
      operator.prepare("SELECT COUNT(*) FROM a").get()
      assert.strictEqual(yield* reason(Backup.restore({ home, backup: file, force: true })), "InUse")
      assert.deepStrictEqual(operator.prepare("SELECT COUNT(*) AS n FROM a").get(), { n: 2 })
    }))

  it.scoped("restore refuses a backup that does not verify, or of a later version, and changes nothing", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const { file, manifestFile } = yield* Backup.create({ home: yield* homeWith(500) })
      const home = yield* homeWith(2)
      const before = yield* fs.readFile(database(home))
      const text = yield* fs.readFileString(manifestFile)
      yield* fs.writeFileString(manifestFile, sealed(text.replace(`"generation": 1`, `"generation": 99`)))
      assert.strictEqual(yield* reason(Backup.restore({ home, backup: file, force: true })), "NewerDatabase")
      yield* fs.writeFileString(manifestFile, text)
      const bytes = yield* fs.readFile(file)
      bytes[5_000]! ^= 1
      yield* fs.writeFile(file, bytes)
      assert.strictEqual(yield* reason(Backup.restore({ home, backup: file, force: true })), "ContentDiffers")
      yield* fs.remove(file)
      assert.strictEqual(yield* reason(Backup.restore({ home, backup: file, force: true })), "FileMissing")
      assert.deepStrictEqual(yield* fs.readFile(database(home)), before)
      assert.deepStrictEqual((yield* fs.readDirectory(home)).sort(), ["instance.lock", "smithers.db"])
    }))

  it.scoped("a damaged database, and whatever log lies beside it, is replaced", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const source = yield* homeWith(50, "new")
      const { file } = yield* Backup.create({ home: source })
      const home = yield* makeHome
      yield* fs.writeFileString(database(home), "this is no database".repeat(1_000))
      for (const suffix of ["-wal", "-shm", "-journal"]) yield* fs.writeFileString(database(home) + suffix, "junk")
      yield* Backup.restore({ home, backup: file, force: true })
      assert.deepStrictEqual((yield* fs.readDirectory(home)).sort(), ["instance.lock", "smithers.db"])
      assert.deepStrictEqual(yield* dump(database(home)), yield* dump(database(source)))
    }))

  it.scoped("a log whose database is gone is not replayed into the restored one", () =>
    Effect.gen(function*() {
      const fs = yield* FileSystem.FileSystem
      const source = yield* homeWith(50, "new")
      const { file } = yield* Backup.create({ home: source })
      const home = yield* makeHome
      const donor = yield* homeWith(20, "old")
      yield* Effect.scoped(Effect.gen(function*() {
        const persistence = yield* openHome(donor)
        yield* persistence.write(pair(21, "in the log"))
        yield* fs.copyFile(`${database(donor)}-wal`, `${database(home)}-wal`)
      }))
      yield* Backup.restore({ home, backup: file })
      yield* Effect.scoped(openHome(home))
      assert.deepStrictEqual(yield* dump(database(home)), yield* dump(database(source)))
    }))

  it.scoped(
    "a crash at any step of a restore leaves the old database or the new one, whole",
    () =>
      Effect.gen(function*() {
        const fs = yield* FileSystem.FileSystem
        const source = yield* homeWith(40, "new")
        const { file } = yield* Backup.create({ home: source })
        const fresh = yield* dump(database(source))

        // An old home as a killed service leaves it: the newest rows are in the log only.
        const killed = yield* makeHome
        const running = yield* Scope.make()
        const donor = yield* homeWith(20, "old")
        const persistence = yield* Scope.extend(openHome(donor), running)
        yield* persistence.write(pair(21, "in the log"))
        for (const suffix of ["", "-wal"]) yield* fs.copyFile(database(donor) + suffix, database(killed) + suffix)
        yield* Scope.close(running, Exit.void)
        const old = yield* dump(database(donor))

        const outcomes: Array<"old" | "new"> = []
        for (let survived = 0;; survived++) {
          const home = yield* makeHome
          for (const suffix of ["", "-wal"]) yield* fs.copyFile(database(killed) + suffix, database(home) + suffix)
          const exit = yield* Backup.restore({ home, backup: file, force: true }).pipe(
            Effect.provide(diesAfter(survived)),
            Effect.exit
          )
          yield* Effect.scoped(openHome(home))
          const found = yield* dump(database(home))
          assert.strictEqual(found.integrity, "ok")
          const which = found.a.length === fresh.a.length ? "new" : "old"
          assert.deepStrictEqual(found, which === "new" ? fresh : old)
          assert.notInclude((yield* fs.readDirectory(home)).join(), "rest")
          outcomes.push(which)
          if (Exit.isSuccess(exit)) break
        }
        // Each way occurred, and there is exactly one point of no return.
        assert.strictEqual(outcomes.join().replaceAll(/(old,)+/g, "old,").replaceAll(/(,new)+/g, ",new"), "old,new")
        assert.isAbove(outcomes.filter((which) => which === "new").length, 3)
      }),
    60_000
  )
})

/** A file system on which only so many changes happen before the "machine" stops: from then on every one fails. */
const diesAfter = (changes: number) =>
  Layer.effect(
    FileSystem.FileSystem,
    Effect.map(FileSystem.FileSystem, (real) => {
      let left = changes
      const counted = <Args extends ReadonlyArray<unknown>, A, R>(
        operation: (...args: Args) => Effect.Effect<A, Platform.PlatformError, R>
      ) =>
      (...args: Args) =>
        Effect.suspend(() =>
          left-- > 0 ? operation(...args) : Effect.fail(
            new Platform.SystemError({ reason: "Unknown", module: "FileSystem", method: "crash" })
          )
        )
      return {
        ...real,
        copyFile: counted(real.copyFile),
        chmod: counted(real.chmod),
        makeDirectory: counted(real.makeDirectory),
        open: counted(real.open),
        remove: counted(real.remove),
        rename: counted(real.rename),
        writeFileString: counted(real.writeFileString)
      }
    })
  )

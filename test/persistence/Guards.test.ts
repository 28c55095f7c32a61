import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import { Effect, Exit, Layer, Schema, Scope } from "effect"
import { Persistence, PersistenceConfig, StartRefused, Write } from "../../src/persistence/index.ts"
import { checkNodeVersion, checkSqliteVersion, openForWriting } from "../../src/persistence/internal/Database.ts"
import { networkFileSystemName } from "../../src/persistence/internal/FileSystemGuard.ts"
import { foreignConnection, freshPersistence, makeHome, openHome } from "../support/Home.ts"

const refused = <A, R>(effect: Effect.Effect<A, StartRefused, R>) => Effect.flip(Effect.scoped(effect))

const filesOf = (home: string) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const names = (yield* fs.readDirectory(home)).filter((name) =>
      name.startsWith("smithers.db") && !name.endsWith("-shm")
    )
    return yield* Effect.forEach(names.sort(), (name) =>
      Effect.map(fs.readFile(`${home}/${name}`), (bytes) =>
        [name, Buffer.from(bytes).toString("base64")] as const))
  }).pipe(Effect.provide(NodeContext.layer))

it.scoped("a commit is as durable as was asked for: synchronous is in force after the first statement", () =>
  Effect.gen(function*() {
    const read = (synchronous: "full" | "normal") =>
      Effect.scoped(Effect.gen(function*() {
        const persistence = yield* openHome(yield* makeHome, synchronous)
        yield* persistence.write(Write.run("CREATE TABLE t (a)", []))
        const rows = yield* persistence.write(Write.all(
          ["synchronous", "foreign_keys", "journal_mode", "busy_timeout"].map((name) =>
            Write.rows(`PRAGMA ${name}`, [])
          )
        ))
        return rows.map(([row]) => Object.values(row!)[0])
      }))
    assert.deepStrictEqual(yield* read("full"), [2, 1, "wal", 0])
    assert.deepStrictEqual(yield* read("normal"), [1, 1, "wal", 0])
  }))

it.scoped("the driver by itself falls back to synchronous=NORMAL, which is why the guard is there", () =>
  Effect.gen(function*() {
    const db = yield* foreignConnection(`${yield* makeHome}/plain.db`)
    db.pragma("journal_mode = wal")
    db.exec("CREATE TABLE t (a)")
    assert.strictEqual(db.pragma("synchronous", { simple: true }), 1)
  }))

it.scoped("a pragma that does not take refuses the start", () =>
  Effect.gen(function*() {
    // A database in memory cannot be in WAL mode.
    const error = yield* refused(openForWriting(":memory:", "full"))
    assert.strictEqual(error.reason, "PragmaMismatch")
    assert.include(error.detail, "journal_mode")
  }))

it.effect("a SQLite with the WAL-reset bug is refused, the bundled one is not", () =>
  Effect.gen(function*() {
    for (const version of ["3.7.0", "3.50.4", "3.51.2"]) {
      assert.strictEqual((yield* Effect.flip(checkSqliteVersion(version))).reason, "SqliteVersion")
    }
    for (const version of ["3.51.3", "3.53.0", "4.0.0"]) yield* checkSqliteVersion(version)
    const db = new Sqlite(":memory:")
    yield* checkSqliteVersion(db.prepare("SELECT sqlite_version()").pluck().get() as string)
    db.close()
  }))

it.effect("a Node under which the driver aborts the process is refused", () =>
  Effect.gen(function*() {
    for (const version of ["24.19.0", "24.21.0", "26.1.0"]) {
      assert.strictEqual((yield* Effect.flip(checkNodeVersion(version))).reason, "NodeVersion")
    }
    for (const version of ["20.19.0", "22.23.2", "24.18.1", process.versions.node]) yield* checkNodeVersion(version)
  }))

it.scoped("a database of a newer version is refused and not a byte of it or of its log changes", () =>
  Effect.gen(function*() {
    const home = yield* makeHome
    const later = yield* Scope.make()
    const db = yield* Scope.extend(foreignConnection(`${home}/original.db`), later)
    db.pragma("journal_mode = wal")
    db.pragma(`application_id = ${0x534d5448}`)
    db.exec("CREATE TABLE t (a)")
    db.pragma("wal_checkpoint(TRUNCATE)")
    db.pragma("user_version = 99")
    // As a killed process leaves it: the version stands in the log only.
    const fs = yield* FileSystem.FileSystem
    for (const suffix of ["", "-wal"]) {
      yield* fs.copyFile(`${home}/original.db${suffix}`, `${home}/smithers.db${suffix}`)
    }
    yield* Scope.close(later, Exit.void)
    const before = yield* filesOf(home)
    assert.strictEqual(before.length, 2)
    assert.strictEqual((yield* refused(openHome(home))).reason, "NewerDatabase")
    assert.deepStrictEqual(yield* filesOf(home), before)
  }).pipe(Effect.provide(NodeContext.layer)))

it.scoped("a database of another program is refused untouched", () =>
  Effect.gen(function*() {
    const home = yield* makeHome
    yield* Effect.scoped(
      Effect.map(foreignConnection(`${home}/smithers.db`), (db) => db.exec("CREATE TABLE theirs (a)"))
    )
    const before = yield* filesOf(home)
    assert.strictEqual((yield* refused(openHome(home))).reason, "ForeignDatabase")
    assert.deepStrictEqual(yield* filesOf(home), before)
  }))

it.scoped("a file that is no database is refused untouched", () =>
  Effect.gen(function*() {
    const home = yield* makeHome
    const fs = yield* FileSystem.FileSystem
    yield* fs.writeFileString(`${home}/smithers.db`, "not a database, but long enough to look like one".repeat(100))
    const before = yield* filesOf(home)
    assert.strictEqual((yield* refused(openHome(home))).reason, "Open")
    assert.deepStrictEqual(yield* filesOf(home), before)
  }).pipe(Effect.provide(NodeContext.layer)))

it.scoped("a home that cannot be made is refused with its path", () =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const file = `${yield* makeHome}/a-file`
    yield* fs.writeFileString(file, "")
    const error = yield* refused(openHome(`${file}/home`))
    assert.strictEqual(error.reason, "Open")
    assert.include(error.detail, `${file}/home`)
  }).pipe(Effect.provide(NodeContext.layer)))

it("the file systems that several machines can mount are known by their numbers, local ones are none of them", () => {
  // statfs(2): NFS, SMB, CIFS (also as the negative number some systems report), SMB2, Ceph, 9p.
  for (const type of [0x6969, 0x517b, 0xff534d42, 0xff534d42 | 0, 0xfe534d42, 0x00c36400, 0x01021997]) {
    assert.isString(networkFileSystemName(type))
  }
  // ext4, xfs, btrfs, tmpfs, overlayfs, zfs, APFS.
  for (const type of [0xef53, 0x58465342, 0x9123683e, 0x01021994, 0x794c7630, 0x2fc12fc1, 0x1a]) {
    assert.isUndefined(networkFileSystemName(type))
  }
})

it.scoped("a second service on the same home is refused, naming the process that has it, and may start when it is free", () =>
  Effect.gen(function*() {
    const home = yield* makeHome
    const running = yield* Scope.make()
    yield* Scope.extend(openHome(home), running)
    const error = yield* refused(openHome(home))
    assert.strictEqual(error.reason, "InstanceLocked")
    assert.include(error.message, `process ${process.pid} `)
    yield* Scope.close(running, Exit.void)
    yield* Effect.scoped(openHome(home))
  }))

it.scoped("a lock file that cannot be locked is not reported as a running service", () =>
  Effect.gen(function*() {
    const home = yield* makeHome
    const fs = yield* FileSystem.FileSystem
    yield* fs.writeFileString(`${home}/instance.lock`, "not a database, but long enough to look like one".repeat(100))
    assert.strictEqual((yield* refused(openHome(home))).reason, "Open")
  }).pipe(Effect.provide(NodeContext.layer)))

it.scoped("a failed start releases the home", () =>
  Effect.gen(function*() {
    const home = yield* makeHome
    const fs = yield* FileSystem.FileSystem
    yield* fs.writeFileString(`${home}/smithers.db`, "not a database, but long enough to look like one".repeat(100))
    yield* refused(openHome(home))
    yield* fs.remove(`${home}/smithers.db`)
    yield* openHome(home)
  }).pipe(Effect.provide(NodeContext.layer)))

it.scoped("everything is stored in the home and for its owner only", () =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const home = `${yield* makeHome}/deep/home`
    const persistence = yield* openHome(home)
    assert.strictEqual(persistence.file, `${home}/smithers.db`)
    assert.strictEqual((yield* fs.stat(home)).mode & 0o777, 0o700)
  }).pipe(Effect.provide(NodeContext.layer)))

it.scoped("a refusal says what is wrong and what to do", () =>
  Effect.gen(function*() {
    const persistence = yield* freshPersistence
    const error = yield* refused(openHome(persistence.home))
    assert.isTrue(Schema.is(StartRefused)(error))
    assert.strictEqual(error.message, `${error.detail} ${error.fix}`)
    assert.include(error.fix, "Stop it first")
  }))

it.scoped("the temporary database of tests is gone with its scope", () =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const file = yield* Effect.map(Persistence.Persistence, (persistence) => persistence.file).pipe(
      Effect.provide(Persistence.layerTemp)
    )
    assert.isFalse(yield* fs.exists(file))
  }).pipe(Effect.provide(NodeContext.layer)))

it.scoped("settings come from the environment, with defaults", () =>
  Effect.gen(function*() {
    const config = yield* PersistenceConfig.PersistenceConfig
    assert.deepStrictEqual(config, { home: ".smithers", synchronous: "full", allowNetworkFileSystem: false })
  }).pipe(Effect.provide(Layer.fresh(PersistenceConfig.layerConfig))))

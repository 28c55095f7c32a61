import { Reactivity } from "@effect/experimental"
import { FileSystem, Path } from "@effect/platform"
import type { SqlClient, SqlError } from "@effect/sql"
import { SqliteClient } from "@effect/sql-sqlite-node"
import { Context, Effect, Layer, Metric, Schedule } from "effect"
import { openForWriting } from "./internal/Database.ts"
import { checkFileSystem, fileSystemType } from "./internal/FileSystemGuard.ts"
import { acquireInstanceLock } from "./internal/InstanceLock.ts"
import { makeWriter } from "./internal/Writer.ts"
import { apply, type Migrations } from "./Migrations.ts"
import { PersistenceConfig } from "./PersistenceConfig.ts"
import { type PersistenceError, StartRefused } from "./PersistenceError.ts"
import type { Write } from "./Write.ts"

/**
 * The one SQLite file of a deployment.
 *
 * Writes of every subsystem go through one group-commit writer: units that are ready together commit together, so many
 * callers share one fsync, and nobody else opens a transaction. Reads use a second, read-only connection and never wait
 * behind a write. With `synchronous=full` (the default) a unit that was answered survives a power cut.
 */
export class Persistence extends Context.Tag("smithers-orchestrator/persistence/Persistence")<
  Persistence,
  {
    /**
     * Commits one unit and answers with its result. The unit fails alone: a violated constraint or an unmet guard undoes
     * it and nothing else. Waits when more than `Bounds.writeQueueUnits` units are queued. Once handed over, a unit is
     * carried out even if the caller is interrupted.
     */
    readonly write: <A, E>(unit: Write<A, E>) => Effect.Effect<A, E | PersistenceError>
    /** Hands a unit over without waiting for its commit; the inner effect awaits its answer. Units keep their order. */
    readonly submit: <A, E>(unit: Write<A, E>) => Effect.Effect<Effect.Effect<A, E | PersistenceError>>
    /** The read-only connection. Whoever reads pages by key; nothing here may take a write lock. */
    readonly sql: SqlClient.SqlClient
    /** Applies an owner's migrations, idempotently, and waits until the last of them is visible. */
    readonly migrate: (migrations: Migrations) => Effect.Effect<void, StartRefused | SqlError.SqlError>
    /** Absolute path of `SMITHERS_HOME`. */
    readonly home: string
    /** Absolute path of the database file. */
    readonly file: string
  }
>() {}

/** How often the size of the WAL is looked at, and the size beyond which it is checkpointed and reported. */
const walCheckEvery = "30 seconds"
const walBound = 64 * 1024 * 1024

const walBytes = Metric.gauge("smithers_persistence_wal_bytes", { description: "Size of the write-ahead log" })

const make = Effect.gen(function*() {
  const config = yield* PersistenceConfig
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const home = path.resolve(config.home)
  yield* fs.makeDirectory(home, { recursive: true, mode: 0o700 }).pipe(Effect.mapError((cause) =>
    new StartRefused({
      reason: "Open",
      detail: `Cannot create ${home}: ${cause.message}.`,
      fix: "Check SMITHERS_HOME and its permissions."
    })
  ))
  if (!config.allowNetworkFileSystem) yield* checkFileSystem(home, yield* fileSystemType(home))
  yield* acquireInstanceLock(home)
  const file = path.join(home, "smithers.db")
  const db = yield* Effect.acquireRelease(
    openForWriting(file, config.synchronous),
    (db) => Effect.sync(() => db.close())
  )
  const writer = yield* makeWriter(db)
  const sql = yield* SqliteClient.make({ filename: file, readonly: true, disableWAL: true }).pipe(
    Effect.provide(Reactivity.layer)
  )

  const measureWal = Effect.gen(function*() {
    const size = yield* Effect.match(fs.stat(`${file}-wal`), {
      onFailure: () => 0,
      onSuccess: (info) => Number(info.size)
    })
    yield* Metric.set(walBytes, size)
    return size
  })
  const keepWalBounded = Effect.gen(function*() {
    if ((yield* measureWal) <= walBound) return
    // Synchronous and on the write connection: nothing of ours can be in the middle of a transaction here.
    yield* Effect.sync(() => db.pragma("wal_checkpoint(TRUNCATE)"))
    const left = yield* measureWal
    if (left > walBound) {
      yield* Effect.logWarning(
        `The write-ahead log holds ${left} bytes and a reader keeps it from being checkpointed (bound ${walBound}).`
      )
    }
  })
  yield* Effect.forkScoped(Effect.repeat(keepWalBounded, Schedule.spaced(walCheckEvery)))

  return Persistence.of({
    write: writer.write,
    submit: writer.submit,
    sql,
    migrate: (migrations) =>
      Effect.scoped(Effect.gen(function*() {
        const client = yield* SqliteClient.make({ filename: file, disableWAL: true })
        yield* apply(client, migrations)
      })).pipe(Effect.provide(Reactivity.layer)),
    home,
    file
  })
})

/** Opens (or creates) the database of `PersistenceConfig.home` and holds the home's instance lock as long as it lives. */
export const layer = Layer.scoped(Persistence, make)

/** A database in a temporary directory that goes with the scope; for tests. */
export const layerTemp = Layer.unwrapScoped(Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const home = yield* fs.makeTempDirectoryScoped({ prefix: "smithers-" })
  return Layer.provide(
    layer,
    Layer.succeed(PersistenceConfig, { home, synchronous: "normal", allowNetworkFileSystem: true })
  )
}))

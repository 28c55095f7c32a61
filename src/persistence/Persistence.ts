import { Reactivity } from "@effect/experimental"
import { FileSystem } from "@effect/platform"
import type { SqlClient, SqlError } from "@effect/sql"
import { SqliteClient } from "@effect/sql-sqlite-node"
import { Context, Effect, Layer } from "effect"
import { checkOwnership, openForWriting } from "./internal/Database.ts"
import { checkFileSystem, fileSystemType } from "./internal/FileSystemGuard.ts"
import { finishRestore, homeFiles } from "./internal/HomeFiles.ts"
import { acquireInstanceLock } from "./internal/InstanceLock.ts"
import { makeReader } from "./internal/Reader.ts"
import { keepWalBounded } from "./internal/WalWatch.ts"
import { makeWriter, type Submitted } from "./internal/Writer.ts"
import * as Migrations from "./Migrations.ts"
import { PersistenceConfig } from "./PersistenceConfig.ts"
import { type PersistenceError, StartRefused } from "./PersistenceError.ts"
import type { Row, SqlValue, Write } from "./Write.ts"

export type { Submitted } from "./internal/Writer.ts"

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
     * it and nothing else. Waits when `Bounds.writeQueueUnits` units are queued; interrupted there, nothing is written.
     * Once handed over, a unit is carried out, once, even if the caller is interrupted: the interruption then takes
     * effect when the unit is through. Fails with `Busy` when another process holds the database's write lock for more
     * than five seconds, with `Full` when the unit finds no room, with `Closed` after the end of the layer's scope; then
     * nothing was written. Only after `CommitUnknown` (the disk failed during COMMIT) a restart may show the unit.
     */
    readonly write: <A, E>(unit: Write<A, E>) => Effect.Effect<A, E | PersistenceError>
    /**
     * Hands a unit over without waiting for its commit; `answer` awaits it and may be left alone, but then a failure
     * stays unseen. The unit is made when a batch takes it. Waits for room in the queue as `write` does. Units keep the order of handing over.
     */
    readonly submit: <A, E>(make: () => Write<A, E>) => Effect.Effect<Submitted<A, E | PersistenceError>>
    /** Rows of a query of constant text, on a read-only connection of its own: for the few that every request needs. */
    readonly read: (
      text: string,
      params: ReadonlyArray<SqlValue>
    ) => Effect.Effect<ReadonlyArray<Row>, PersistenceError>
    /** The read-only connection. Whoever reads pages by key; nothing here may take a write lock. */
    readonly sql: SqlClient.SqlClient
    /**
     * Applies an owner's migrations, idempotently, and waits up to ten seconds until all of them are visible. Owners take
     * turns, and no unit is committed meanwhile: a step must not call `write`.
     */
    readonly migrate: (migrations: Migrations.Migrations) => Effect.Effect<void, StartRefused | SqlError.SqlError>
    /** Absolute path of `SMITHERS_HOME`. */
    readonly home: string
    /** Absolute path of the database file. */
    readonly file: string
  }
>() {}

const openRefused = (detail: string) => (cause: unknown) =>
  new StartRefused({
    reason: "Open",
    detail: `${detail}: ${cause instanceof Error ? cause.message : String(cause)}.`,
    fix: "Check SMITHERS_HOME and its permissions."
  })

const make = Effect.gen(function*() {
  const config = yield* PersistenceConfig
  const fs = yield* FileSystem.FileSystem
  const reactivity = yield* Reactivity.make
  const { database: file, root: home } = yield* homeFiles(config.home)
  yield* Effect.mapError(
    fs.makeDirectory(home, { recursive: true, mode: 0o700 }),
    openRefused(`Cannot create ${home}`)
  )
  if (!config.allowNetworkFileSystem) yield* checkFileSystem(home, yield* fileSystemType(home))
  yield* acquireInstanceLock(home)
  const exists = yield* Effect.mapError(
    Effect.zipRight(finishRestore(home), fs.exists(file)),
    openRefused(`Cannot inspect ${home}`)
  )
  if (exists) yield* checkOwnership(file)
  const db = yield* openForWriting(file, config.synchronous)
  const reader = yield* makeReader(file)
  const written = yield* Effect.makeLatch(true)
  const writer = yield* makeWriter(db, () => {
    reader.renew()
    written.unsafeOpen()
  })
  const sql = yield* SqliteClient.make({ filename: file, readonly: true, disableWAL: true }).pipe(
    Effect.provideService(Reactivity.Reactivity, reactivity)
  )
  // The driver waits synchronously: the event loop would stand still for the five seconds of its default.
  yield* Effect.mapError(sql.unsafe("PRAGMA busy_timeout = 50"), openRefused(`Cannot read ${file}`))
  yield* keepWalBounded(db, file, written)

  return Persistence.of({
    write: writer.write,
    submit: writer.submit,
    read: reader.read,
    sql,
    migrate: (migrations) =>
      // Between batches and one owner at a time: the stock migrator holds a transaction open across turns of the event
      // loop, and a second connection of this process would block the very loop that the first one needs to finish.
      writer.between(Effect.scoped(Effect.gen(function*() {
        const client = yield* SqliteClient.make({ filename: file, disableWAL: true })
        yield* Migrations.apply(client, migrations)
        reader.renew()
      }))).pipe(Effect.provideService(Reactivity.Reactivity, reactivity)),
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

import { type Error as Platform, FileSystem, Path } from "@effect/platform"
import Sqlite from "better-sqlite3"
import { Clock, DateTime, Effect, Stream } from "effect"
import { createHash } from "node:crypto"
import { BackupError } from "./BackupError.ts"
import * as BackupManifest from "./BackupManifest.ts"
import { copySnapshot, examine, type Progress, type Report } from "./internal/Copier.ts"
import { applicationId, schemaGeneration } from "./internal/Database.ts"
import { finishRestore, homeFiles, syncToDisk } from "./internal/HomeFiles.ts"
import { acquireInstanceLock } from "./internal/InstanceLock.ts"
import type { StartRefused } from "./PersistenceError.ts"

/** A finished backup: a database file and the manifest beside it, `<name>.db` and `<name>.manifest.json`. */
export interface Backup {
  /** Absolute path of the database file. */
  readonly file: string
  /** Absolute path of the manifest. */
  readonly manifestFile: string
  readonly manifest: BackupManifest.BackupManifest
}

export type { Progress }

interface Reporting {
  /** Called for every megabyte; slow work in it slows the backup down. */
  readonly onProgress?: Report | undefined
}

type Platformed<A, E> = Effect.Effect<A, E, FileSystem.FileSystem | Path.Path>

const quiet: Report = () => Effect.void

const ioErrors = (path: string) => {
  const ioError = (cause: Platform.PlatformError) => new BackupError({ reason: "Io", path, detail: cause.message })
  return { BadArgument: ioError, SystemError: ioError }
}

/** A backup is named by its path with or without one of its two endings. */
const filesOf = Effect.fnUntraced(function*(name: string) {
  const path = yield* Path.Path
  const base = path.resolve(name).replace(/(\.manifest\.json|\.db)$/, "")
  return { file: `${base}.db`, manifestFile: `${base}.manifest.json`, directory: path.dirname(base) }
})

const hashFile = Effect.fnUntraced(function*(file: string, of: number, report: Report) {
  const fs = yield* FileSystem.FileSystem
  const hash = createHash("sha256")
  let done = 0
  yield* Stream.runForEach(fs.stream(file, { chunkSize: FileSystem.MiB(1) }), (chunk) => {
    hash.update(chunk)
    done += chunk.length
    return report({ step: "hashing", done, of })
  })
  return hash.digest("hex")
})

/** Fails with the first thing in which a file is not what its manifest says. */
const checkFile = Effect.fnUntraced(
  function*(file: string, manifest: BackupManifest.BackupManifest, report: Report) {
    const fs = yield* FileSystem.FileSystem
    const differs = (reason: BackupError["reason"], detail: string) => new BackupError({ reason, path: file, detail })
    if (!(yield* fs.exists(file))) return yield* differs("FileMissing", "the file is not there")
    const bytes = Number((yield* fs.stat(file)).size)
    if (bytes !== manifest.bytes) {
      return yield* differs("SizeDiffers", `${bytes} bytes, ${manifest.bytes} expected`)
    }
    const sha256 = yield* hashFile(file, bytes, report)
    if (sha256 !== manifest.sha256) {
      return yield* differs("ContentDiffers", `SHA-256 ${sha256}, ${manifest.sha256} expected`)
    }
    const { tables } = yield* examine(file, report)
    const different = Object.keys({ ...tables, ...manifest.tables })
      .filter((table) => tables[table] !== manifest.tables[table])
      .map((table) => `${table} ${tables[table] ?? "missing"} (${manifest.tables[table] ?? "missing"} expected)`)
    if (different.length > 0) return yield* differs("CountsDiffer", different.join(", "))
  }
)

/** Writes a new file under another name and gives it its own when it is whole and on disk. */
const writeDurably = Effect.fnUntraced(function*(file: string, text: string) {
  const fs = yield* FileSystem.FileSystem
  yield* fs.writeFileString(`${file}.partial`, text, { mode: 0o600 })
  yield* syncToDisk(`${file}.partial`)
  yield* fs.rename(`${file}.partial`, file)
})

/**
 * Makes a backup of a home's database while the service goes on: one consistent snapshot, whole and checked, and a
 * manifest beside it. Works alike from the service's own process and from another one, and takes no lock: writers are
 * not held up, only the write-ahead log cannot be emptied while the copy runs.
 *
 * `destination` is a path without ending; by default `<home>/backups/smithers-<UTC time>`. Nothing is overwritten. The
 * manifest comes last, so what has one is finished; a failure or an interruption leaves nothing behind, a crash at most
 * `*.partial` files and a database without a manifest. The files can be read by their owner only.
 */
export const create = (
  options: { readonly home: string; readonly destination?: string | undefined } & Reporting
): Platformed<Backup, BackupError> =>
  Effect.scoped(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const report = options.onProgress ?? quiet
    const home = yield* homeFiles(options.home)
    const now = yield* Clock.currentTimeMillis
    const stamp = DateTime.formatIso(DateTime.unsafeMake(now)).replaceAll(/[-:.]/g, "")
    const { directory, file, manifestFile } = yield* filesOf(
      options.destination ?? path.join(home.backups, `smithers-${stamp}`)
    )
    if (yield* fs.exists(home.restored)) {
      return yield* new BackupError({
        reason: "RestorePending",
        path: home.restored,
        detail: "a restore was cut off; start the service, or restore again"
      })
    }
    if (!(yield* fs.exists(home.database))) {
      return yield* new BackupError({ reason: "NoDatabase", path: home.database, detail: "the home has no database" })
    }
    for (const taken of [file, manifestFile]) {
      if (yield* fs.exists(taken)) {
        return yield* new BackupError({ reason: "AlreadyExists", path: taken, detail: "a backup lies there already" })
      }
    }
    yield* fs.makeDirectory(directory, { recursive: true, mode: 0o700 })

    const partial = `${file}.partial`
    const discard = (path: string) => Effect.ignore(fs.remove(path, { force: true }))
    // Made by us before SQLite opens it, so that it is never readable for others.
    yield* Effect.acquireRelease(
      Effect.zipRight(discard(partial), fs.writeFileString(partial, "", { flag: "wx", mode: 0o600 })),
      () => Effect.zipRight(discard(partial), discard(`${partial}-journal`))
    )
    const found = yield* copySnapshot(home.database, partial, report)
    if (found.application !== applicationId) {
      return yield* new BackupError({
        reason: "ForeignDatabase",
        path: home.database,
        detail: "not a database of this program"
      })
    }
    yield* syncToDisk(partial)
    const bytes = Number((yield* fs.stat(partial)).size)
    const contents = {
      format: 1 as const,
      createdAtMs: now,
      bytes,
      sha256: yield* hashFile(partial, bytes, report),
      pageBytes: found.pageBytes,
      generation: found.generation,
      sqliteVersion: found.sqliteVersion,
      tables: found.tables
    }
    const text = yield* BackupManifest.toText(contents)
    yield* Effect.gen(function*() {
      yield* fs.rename(partial, file)
      yield* syncToDisk(directory)
      yield* writeDurably(manifestFile, text)
      yield* syncToDisk(directory)
    }).pipe(
      Effect.onError(() => Effect.all([file, `${manifestFile}.partial`, manifestFile].map(discard))),
      Effect.uninterruptible
    )
    return { file, manifestFile, manifest: yield* BackupManifest.read(manifestFile) }
  })).pipe(Effect.catchTags(ioErrors(options.home)))

/**
 * Recomputes everything the manifest says and fails with the first thing that differs. `backup` is the path of the
 * backup, with or without the ending of one of its files.
 */
export const verify = (backup: string, options: Reporting = {}): Platformed<Backup, BackupError> =>
  Effect.gen(function*() {
    const { file, manifestFile } = yield* filesOf(backup)
    const manifest = yield* BackupManifest.read(manifestFile)
    yield* checkFile(file, manifest, options.onProgress ?? quiet)
    return { file, manifestFile, manifest }
  }).pipe(Effect.catchTags(ioErrors(backup)))

/**
 * Takes an old database out of use: its log is folded into it, and it is certain that nobody has it open. A connection
 * that outlived the swap would remove the new database's log when it closes. What is too damaged to open is let be.
 */
const retire = (file: string) => {
  const refusal = (cause: unknown) =>
    cause instanceof Sqlite.SqliteError && /^SQLITE_(BUSY|LOCKED)/.test(cause.code)
      ? new BackupError({ reason: "InUse", path: file, detail: "another process has the database open" })
      : "damaged"
  return Effect.acquireUseRelease(
    Effect.try({ try: () => new Sqlite(file, { timeout: 0, fileMustExist: true }), catch: refusal }),
    (db) => Effect.try({ try: () => void db.pragma("journal_mode = DELETE"), catch: refusal }),
    (db) => Effect.sync(() => db.close())
  ).pipe(Effect.catchAll((error) => error === "damaged" ? Effect.void : error))
}

/**
 * Puts a backup in the place of a home's database, or into a new home. Refuses a home whose service runs, a database
 * that is there already unless `force` says to replace it, and a backup that does not pass `verify` or was made by a
 * later version; then nothing of the home has changed.
 *
 * The copy is examined where it is staged, beside its target, and takes effect by one rename. A crash before leaves the
 * old database, a crash after it the new one: the next start, or restore, finishes what is left to do.
 */
export const restore = (
  options: { readonly home: string; readonly backup: string; readonly force?: boolean | undefined } & Reporting
): Platformed<Backup, BackupError | StartRefused> =>
  Effect.scoped(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const report = options.onProgress ?? quiet
    const home = yield* homeFiles(options.home)
    const { file, manifestFile } = yield* filesOf(options.backup)
    const manifest = yield* BackupManifest.read(manifestFile)
    if (manifest.generation > schemaGeneration) {
      return yield* new BackupError({
        reason: "NewerDatabase",
        path: file,
        detail: `made by generation ${manifest.generation}, this program knows ${schemaGeneration}`
      })
    }
    if (!(yield* fs.exists(file))) {
      return yield* new BackupError({ reason: "FileMissing", path: file, detail: "the file is not there" })
    }
    yield* fs.makeDirectory(home.root, { recursive: true, mode: 0o700 })
    yield* acquireInstanceLock(home.root)
    yield* finishRestore(home.root)
    const replaces = yield* fs.exists(home.database)
    if (replaces && options.force !== true) {
      return yield* new BackupError({
        reason: "DatabaseExists",
        path: home.database,
        detail: "the home has a database; only force replaces it"
      })
    }
    yield* Effect.acquireRelease(
      fs.copyFile(file, home.staged),
      () => Effect.ignore(fs.remove(home.staged, { force: true }))
    )
    yield* checkFile(home.staged, manifest, report)
    yield* fs.chmod(home.staged, 0o600)
    yield* syncToDisk(home.staged)
    if (replaces) yield* retire(home.database)
    yield* Effect.uninterruptible(Effect.gen(function*() {
      yield* fs.rename(home.staged, home.restored)
      yield* syncToDisk(home.root)
      yield* finishRestore(home.root)
    }))
    return { file, manifestFile, manifest }
  })).pipe(Effect.catchTags(ioErrors(options.home)))

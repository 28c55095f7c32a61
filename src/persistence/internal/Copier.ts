import { Effect, Option, Schema, Stream } from "effect"
import { createRequire } from "node:module"
import { Worker } from "node:worker_threads"
import { BackupError } from "../BackupError.ts"

/** What a database file holds, found out by reading all of it. */
const Findings = Schema.Struct({
  _tag: Schema.Literal("Findings"),
  /** `["ok"]`, else what SQLite's integrity check has to say. */
  integrity: Schema.Array(Schema.String),
  /** Rows that refer to a row that is not there. */
  danglingRows: Schema.Int,
  application: Schema.Int,
  generation: Schema.Int,
  pageBytes: Schema.Int,
  sqliteVersion: Schema.String,
  /** Rows of each table. */
  tables: Schema.Record({ key: Schema.String, value: Schema.Int })
})
type Findings = typeof Findings.Type

const Message = Schema.Union(
  Schema.Struct({
    _tag: Schema.Literal("Progress"),
    step: Schema.Literal("copying", "checking"),
    done: Schema.Int,
    of: Schema.Int
  }),
  Schema.Struct({ _tag: Schema.Literal("Failed"), message: Schema.String, code: Schema.String }),
  Findings
)

/**
 * Runs in a thread of its own, because SQLite's copy, its last fsync and its integrity check are synchronous and take
 * seconds on a large file. Text and not a module: it must start alike from TypeScript sources, a bundle and `dist/`.
 *
 * The read transaction around the copy pins one snapshot. Without it a backup from a second connection starts over at
 * every commit of the writer, and under steady load never ends.
 */
const program = `
const { parentPort, workerData } = require("node:worker_threads")
const Sqlite = require(workerData.driver)

const progress = (step, done, of) => parentPort.postMessage({ _tag: "Progress", step, done, of })

const copy = async (source, file) => {
  const from = new Sqlite(source, { readonly: true, fileMustExist: true })
  try {
    from.exec("BEGIN")
    from.prepare("SELECT COUNT(*) FROM sqlite_schema").get()
    const pageBytes = from.pragma("page_size", { simple: true })
    await from.backup(file, {
      progress: ({ totalPages, remainingPages }) => {
        progress("copying", (totalPages - remainingPages) * pageBytes, totalPages * pageBytes)
        return 256
      }
    })
  } finally {
    from.close()
  }
  const to = new Sqlite(file)
  try {
    // One self-contained file: a copy of a database in WAL mode would want side files wherever it is opened.
    to.pragma("journal_mode = DELETE")
  } finally {
    to.close()
  }
}

const examine = (file) => {
  progress("checking", 0, 1)
  const db = new Sqlite(file, { readonly: true, fileMustExist: true })
  try {
    const one = (sql) => db.prepare(sql).pluck().get()
    const integrity = db.prepare("PRAGMA integrity_check(20)").pluck().all()
    const names = db.prepare(
      "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT GLOB 'sqlite_*' ORDER BY name"
    ).pluck().all()
    const findings = {
      _tag: "Findings",
      integrity,
      danglingRows: one("SELECT COUNT(*) FROM pragma_foreign_key_check"),
      application: one("PRAGMA application_id"),
      generation: one("PRAGMA user_version"),
      pageBytes: one("PRAGMA page_size"),
      sqliteVersion: one("SELECT sqlite_version()"),
      tables: Object.fromEntries(names.map((name) => [name, one('SELECT COUNT(*) FROM "' + name.replaceAll('"', '""') + '"')]))
    }
    progress("checking", 1, 1)
    return findings
  } finally {
    db.close()
  }
}

const main = async () => {
  if (workerData.source !== undefined) await copy(workerData.source, workerData.file)
  return examine(workerData.file)
}

main().catch((error) => ({ _tag: "Failed", message: String(error.message), code: String(error.code) }))
  .then((message) => parentPort.postMessage(message))
`

const ioError = (file: string, detail: string) => new BackupError({ reason: "Io", path: file, detail })

/** What SQLite says of a file that is not, or not wholly, a database. */
const damaged = new Set(["SQLITE_NOTADB", "SQLITE_CORRUPT"])

const messages = (file: string, source: string | undefined) =>
  Stream.asyncPush<unknown, BackupError>((emit) =>
    Effect.acquireRelease(
      Effect.sync(() => {
        const driver = createRequire(import.meta.url).resolve("better-sqlite3")
        const worker = new Worker(program, { eval: true, workerData: { file, source, driver } })
        worker.on("message", (message) => {
          emit.single(message)
        })
        worker.on("error", (error) => {
          emit.fail(ioError(file, error instanceof Error ? error.message : String(error)))
        })
        worker.on("exit", () => {
          emit.end()
        })
        return worker
      }),
      (worker) => Effect.promise(() => worker.terminate())
    ), { bufferSize: "unbounded" })

/** How far a step has come, in bytes; while SQLite checks a file it does not say how far it is (0 of 1, then 1 of 1). */
export interface Progress {
  readonly step: "copying" | "hashing" | "checking"
  readonly done: number
  readonly of: number
}

export type Report = (progress: Progress) => Effect.Effect<void>

const findingsOf = (file: string, source: string | undefined, report: Report): Effect.Effect<Findings, BackupError> =>
  messages(file, source).pipe(
    Stream.mapEffect((message) => Effect.orDie(Schema.decodeUnknown(Message)(message))),
    Stream.runFoldEffect(Option.none<Findings>(), (found, message) => {
      switch (message._tag) {
        case "Progress":
          return Effect.as(report({ step: message.step, done: message.done, of: message.of }), found)
        case "Findings":
          return Effect.succeed(Option.some(message))
        case "Failed":
          return new BackupError({
            reason: damaged.has(message.code) ? "Corrupt" : "Io",
            path: file,
            detail: `${message.message} (${message.code})`
          })
      }
    }),
    Effect.flatMap(Effect.mapError(() => ioError(file, "the copying thread ended early"))),
    Effect.tap(({ danglingRows, integrity }) => {
      if (integrity.length !== 1 || integrity[0] !== "ok") {
        return new BackupError({ reason: "Corrupt", path: file, detail: integrity.join("; ") })
      }
      return danglingRows === 0 ? Effect.void : new BackupError({
        reason: "ForeignKeys",
        path: file,
        detail: `${danglingRows} rows refer to rows that are not there`
      })
    })
  )

/** Copies one consistent snapshot of a database that may be written to all the while, then examines the copy. */
export const copySnapshot = (source: string, file: string, report: Report) => findingsOf(file, source, report)

/** Reads the whole of a database that nobody writes to: pages, indexes, foreign keys, counts. */
export const examine = (file: string, report: Report) => findingsOf(file, undefined, report)

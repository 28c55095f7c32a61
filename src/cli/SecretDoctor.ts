import { FileSystem, Path } from "@effect/platform"
import type { PlatformError } from "@effect/platform/Error"
import { Clock, Effect, Layer, Stream } from "effect"
import { Spool } from "../audit/index.ts"
import { type PersistenceError, Texts } from "../persistence/index.ts"
import { SecretGuard, SecretProviders, SecretRef, Secrets, SecretScan } from "../secrets/index.ts"
import { CommandFailed } from "./CommandFailed.ts"
import type { SecretsDocument } from "./Documents.ts"
import { localOperator } from "./LocalOperator.ts"

type Finding = typeof SecretsDocument.Type["findings"][number]

/** Findings that are told; the others are counted. */
const maxFindings = 1_000

/** What is a secret at rest on purpose, and what SQLite keeps beside its database and shows through it. */
const left: ReadonlySet<string> = new Set([
  "admin-token",
  "audit/signing-key.pem",
  "audit/signing-key.next.pem",
  "smithers.db-wal",
  "smithers.db-shm"
])

const magic = "SQLite format 3\0"

const isDatabase = Effect.fnUntraced(function*(file: string) {
  const fs = yield* FileSystem.FileSystem
  const head = yield* Stream.runCollect(fs.stream(file, { bytesToRead: magic.length }))
  return Buffer.concat([...head]).toString("latin1") === magic
})

/** The regular files of a directory and all below it, by names relative to it; links are not followed. */
const filesOf = Effect.fnUntraced(function*(root: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const names = yield* fs.readDirectory(root, { recursive: true })
  return yield* Effect.filter(names.filter((name) => !left.has(name)).sort(), (name) => {
    const file = path.join(root, name)
    const isRegular = Effect.map(fs.stat(file), ({ type }) => type === "File")
    // What goes away meanwhile is not there any more.
    return Effect.orElseSucceed(
      Effect.zipWith(fs.realPath(file), isRegular, (real, regular) => real === file && regular),
      () => false
    )
  })
})

/** Looks for secrets in all that a home keeps: every text of its database, backups, and lines of its other files. */
export const examine = Effect.fn("SecretDoctor.examine")(function*(home: string, refs: ReadonlyArray<string>) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const { redact } = yield* SecretGuard.SecretGuard
  const secrets = yield* Secrets.Secrets
  const root = yield* Effect.mapError(fs.realPath(home), () => noHome(home))
  if (!(yield* Effect.orElseSucceed(fs.exists(path.join(root, "smithers.db")), () => false))) return yield* noHome(root)
  yield* Effect.forEach(refs, (ref) => Effect.flatMap(SecretRef.parse(ref), secrets.resolve), { discard: true })

  const scanned = { files: 0, texts: 0 }
  const findings: Array<Finding> = []
  let count = 0

  /** What names the place may itself hold a secret. */
  const note = (file: string, { found, kind, origin, path: within }: SecretScan.Found) => {
    count++
    if (findings.length === maxFindings) return
    findings.push(
      origin._tag === "Row"
        ? { file, table: origin.table, key: redact(origin.key), column: origin.column, path: within, kind, found }
        : { file, line: origin.line, kind, found }
    )
  }
  for (const name of yield* filesOf(root)) {
    const file = path.join(root, name)
    const shown = redact(name)
    const texts: Stream.Stream<SecretScan.Scanned, PersistenceError | PlatformError> = (yield* isDatabase(file))
      ? Stream.map(Texts.stream(file), ({ column, key, table, text }) => ({
        origin: { _tag: "Row", table, key, column },
        text
      }))
      : SecretScan.lines(shown, fs.stream(file))
    scanned.files++
    const looked = Stream.tap(texts, () => Effect.sync(() => scanned.texts++))
    yield* Stream.runForEach(SecretScan.scan(looked), (found) => Effect.sync(() => note(shown, found)))
  }
  const document: typeof SecretsDocument.Type = { home: root, scanned, count, findings }
  return document
}, Effect.scoped)

/** Leaves for the service's audit that somebody looked for secrets, and how many there are. */
export const noteScan = (home: string, { count, scanned }: typeof SecretsDocument.Type) =>
  Effect.flatMap(Clock.currentTimeMillis, (atMs) =>
    Spool.leave(home, {
      atMs,
      actor: localOperator,
      action: "secrets.scan",
      target: null,
      runId: null,
      outcome: count === 0 ? "ok" : "failed",
      reason: count === 0 ? null : `${count} found`,
      detail: { count, ...scanned }
    }))

const noHome = (home: string) =>
  new CommandFailed({
    outcome: "notFound",
    code: "NO_HOME",
    field: "SMITHERS_HOME",
    message: `${home} is not the home of a service.`,
    fix: "Start the service once, or set SMITHERS_HOME."
  })

/** Secrets of the operator's own environment and programs. */
export const layer = Secrets.layer.pipe(
  Layer.provideMerge(SecretGuard.layer),
  Layer.provide(SecretProviders.layerConfig)
)

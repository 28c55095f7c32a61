import { FileSystem, Path } from "@effect/platform"
import { Clock, Effect, Layer } from "effect"
import { Audit, AuditSink, AuditTrail, Checkpoints, Spool } from "../audit/index.ts"
import type { Actor } from "../model/index.ts"
import { Backup, Persistence, PersistenceConfig } from "../persistence/index.ts"
import { CommandFailed } from "./CommandFailed.ts"
import type { DrillDocument } from "./Documents.ts"

const auditAt = (home: string) =>
  AuditTrail.layer.pipe(
    Layer.provide(Checkpoints.layer),
    Layer.provide(Audit.layer),
    Layer.provide(Persistence.layer),
    Layer.provide(AuditSink.layerNone),
    Layer.provide(
      Layer.succeed(PersistenceConfig.PersistenceConfig, { home, synchronous: "normal", allowNetworkFileSystem: true })
    )
  )

/** The newest backup of a home that is finished: its manifest comes last. */
const newest = Effect.fnUntraced(function*(home: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const folder = path.join(path.resolve(home), "backups")
  const names = yield* Effect.orElseSucceed(fs.readDirectory(folder), () => [])
  const last = names.filter((name) => name.endsWith(".manifest.json")).sort().at(-1)
  if (last !== undefined) return path.join(folder, last)
  return yield* new CommandFailed({
    outcome: "notFound",
    code: "NO_BACKUP",
    message: `${folder} holds no finished backup.`,
    fix: "Make one with `smithers backup create`, or name one."
  })
})

/**
 * Restores a backup into a scratch home inside the home, checks it against its manifest, opens it as the service would,
 * verifies its audit, and removes it again. The service may run meanwhile.
 */
export const drill = Effect.fn("BackupDrill.drill")(function*(home: string, named: string | undefined, actor: Actor) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const backup = named ?? (yield* newest(home))
  const startedAtMs = yield* Clock.currentTimeMillis
  const examined = Effect.scoped(Effect.gen(function*() {
    const scratch = yield* fs.makeTempDirectoryScoped({ directory: path.resolve(home), prefix: "drill-" })
    const { file, manifest } = yield* Backup.restore({ home: scratch, backup })
    const entry = { actor, runId: null, outcome: "ok" as const, reason: null, detail: {} }
    yield* Spool.leave(scratch, { ...entry, atMs: startedAtMs, action: "backup.restore", target: file })
    const { verify } = yield* Layer.build(auditAt(scratch)).pipe(
      Effect.flatMap((context) => Effect.provide(AuditTrail.AuditTrail, context))
    )
    const { problem, rows } = yield* verify
    if (problem !== null) {
      return yield* new CommandFailed({
        outcome: "failed",
        code: `AUDIT_${problem.kind.toUpperCase()}`,
        message: `The audit of the backup: ${problem.detail}`
      })
    }
    return {
      file,
      createdAtMs: manifest.createdAtMs,
      sha256: manifest.sha256,
      tables: Object.keys(manifest.tables).length,
      rows: Object.values(manifest.tables).reduce((sum, count) => sum + count, 0),
      auditRows: rows,
      durationMs: (yield* Clock.currentTimeMillis) - startedAtMs
    } satisfies typeof DrillDocument.Type
  }))
  const note = (outcome: "ok" | "failed", reason: string | null, detail: Readonly<Record<string, string | number>>) =>
    Spool.leave(home, {
      actor,
      atMs: startedAtMs,
      action: "backup.drill",
      target: backup,
      runId: null,
      outcome,
      reason,
      detail
    })
  return yield* examined.pipe(
    Effect.tap(({ createdAtMs, durationMs, rows, sha256 }) =>
      note("ok", null, { sha256, rows, createdAtMs, durationMs })
    ),
    Effect.tapError(({ message }) => Effect.ignore(note("failed", message, {})))
  )
})

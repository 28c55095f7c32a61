import { Args, Command, Options } from "@effect/cli"
import { FileSystem } from "@effect/platform"
import { Clock, Effect, Option } from "effect"
import type { AuditDetail } from "../../model/index.ts"
import type { Backup } from "../../persistence/index.ts"
import { ConnectionConfig, layerConfig } from "../ConnectionConfig.ts"
import { BackupDocument, DrillDocument } from "../Documents.ts"
import { localOperator as operator } from "../LocalOperator.ts"
import * as Output from "../Output.ts"
import { local, provideOutput } from "../SharedOptions.ts"
import { fields, timestamp } from "../Table.ts"

/** The database driver is loaded by the commands that need it. */
const backups = Effect.map(Effect.promise(() => import("../../persistence/index.ts")), ({ Backup }) => Backup)

const spool = Effect.map(Effect.promise(() => import("../../audit/index.ts")), ({ Spool }) => Spool)

/** Leaves a row for the audit of a home, failures included, if there is such a home. */
const audited = <A extends Backup.Backup, E extends { readonly message: string }, R>(
  action: string,
  target: Option.Option<string>,
  work: Effect.Effect<A, E, R>
) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const { leave } = yield* spool
    const root = yield* home
    const atMs = yield* Clock.currentTimeMillis
    const note = (target: string | null, outcome: "ok" | "failed", reason: string | null, detail: AuditDetail) =>
      Effect.whenEffect(
        leave(root, { atMs, actor: operator, action, target, runId: null, outcome, reason, detail }),
        Effect.orElseSucceed(fs.exists(root), () => false)
      )
    return yield* work.pipe(
      Effect.tap(({ file, manifest }) =>
        note(file, "ok", null, { sha256: manifest.sha256, bytes: manifest.bytes, madeAtMs: manifest.createdAtMs })
      ),
      Effect.tapError(({ message }) => Effect.ignore(note(Option.getOrNull(target), "failed", message, {})))
    )
  })

const home = Effect.map(ConnectionConfig, (config) => config.home)

const nameArgument = Args.text({ name: "backup" }).pipe(
  Args.withDescription("Path of the backup, with or without the ending of one of its two files.")
)

/** One line that is overwritten, on a terminal. */
const showProgress = Effect.map(Output.Output, (output) => (progress: Backup.Progress) =>
  output.live && progress.of > 0
    ? output.draw(`\r${progress.step} ${Math.floor(progress.done / progress.of * 100)} %   `)
    : Effect.void)

const print = (done: string, { file, manifest, manifestFile }: Backup.Backup) =>
  Effect.flatMap(Output.Output, (output) =>
    Effect.zipRight(
      output.live ? output.draw("\r") : Effect.void,
      output.print(
        BackupDocument,
        {
          file,
          manifestFile,
          createdAtMs: manifest.createdAtMs,
          bytes: manifest.bytes,
          sha256: manifest.sha256,
          tables: manifest.tables
        },
        ({ bytes, createdAtMs, sha256, tables }) =>
          fields([
            [done, file],
            ["Made", timestamp(createdAtMs)],
            ["Size", `${bytes} bytes, ${Object.values(tables).reduce((sum, rows) => sum + rows, 0)} rows`],
            ["SHA-256", sha256]
          ])
      )
    ))

const createCommand = Command.make("create", {
  destination: Options.text("to").pipe(
    Options.withDescription("Path of the backup, without ending. Default: <home>/backups/smithers-<UTC time>."),
    Options.optional
  ),
  ...local
}, ({ destination }) =>
  Effect.gen(function*() {
    const { create } = yield* backups
    const made = yield* audited(
      "backup.create",
      destination,
      create({
        home: yield* home,
        destination: Option.getOrUndefined(destination),
        onProgress: yield* showProgress
      })
    )
    yield* print("Backup", made)
  })).pipe(
    Command.withDescription("Back up the home's database; the service may go on meanwhile."),
    provideOutput,
    Command.provide(layerConfig)
  )

const verifyCommand = Command.make(
  "verify",
  { backup: nameArgument, ...local },
  ({ backup }) =>
    Effect.gen(function*() {
      const { verify } = yield* backups
      const onProgress = yield* showProgress
      yield* print("Verified", yield* audited("backup.verify", Option.some(backup), verify(backup, { onProgress })))
    })
).pipe(
  Command.withDescription("Check a backup against its manifest."),
  provideOutput,
  Command.provide(layerConfig)
)

const restoreCommand = Command.make("restore", {
  backup: nameArgument,
  force: Options.boolean("force").pipe(Options.withDescription("Replace the database that the home has.")),
  ...local
}, ({ backup, force }) =>
  Effect.gen(function*() {
    const { restore } = yield* backups
    const restored = yield* audited(
      "backup.restore",
      Option.some(backup),
      restore({ home: yield* home, backup, force, onProgress: yield* showProgress })
    )
    yield* print("Restored", restored)
  })).pipe(
    Command.withDescription("Put a backup into SMITHERS_HOME, whose service must not run."),
    provideOutput,
    Command.provide(layerConfig)
  )

const drillCommand = Command.make("drill", {
  backup: Args.text({ name: "backup" }).pipe(
    Args.withDescription("Path of the backup. Default: the newest in <home>/backups."),
    Args.optional
  ),
  ...local
}, ({ backup }) =>
  Effect.gen(function*() {
    const { drill } = yield* Effect.promise(() => import("../BackupDrill.ts"))
    const output = yield* Output.Output
    const drilled = yield* drill(yield* home, Option.getOrUndefined(backup), operator)
    yield* output.print(DrillDocument, drilled, (found) =>
      fields([
        ["Restored", found.file],
        ["Made", timestamp(found.createdAtMs)],
        ["Whole", `${found.rows} rows of ${found.tables} tables, ${found.auditRows} of them of the audit, verified`],
        ["Took", `${found.durationMs} ms`]
      ]))
  })).pipe(
    Command.withDescription("Restore a backup into a scratch place, verify it there, and record that it can be done."),
    provideOutput,
    Command.provide(layerConfig)
  )

export const backupCommand = Command.make("backup").pipe(
  Command.withDescription("Backups of the home's database."),
  Command.withSubcommands([createCommand, verifyCommand, restoreCommand, drillCommand])
)

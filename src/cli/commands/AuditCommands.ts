import { Args, Command, Options } from "@effect/cli"
import { FileSystem } from "@effect/platform"
import { Context, Effect, Layer, Option, Stream } from "effect"
import { AuditCursor, type AuditFilter, type AuditRecord, type AuditVerification } from "../../model/index.ts"
import { CommandFailed } from "../CommandFailed.ts"
import { confirm } from "../Confirmation.ts"
import { Connection, layer as connectionLayer } from "../Connection.ts"
import {
  AuditDocument,
  AuditExportDocument,
  AuditKeyDocument,
  AuditPrunedDocument,
  AuditRollbackDocument,
  AuditVerificationDocument
} from "../Documents.ts"
import { toMillis } from "../DurationOption.ts"
import { Output } from "../Output.ts"
import { writePagedFile } from "../PagedFile.ts"
import { connected, provideConnection, provideOutput, yes } from "../SharedOptions.ts"
import { fields, table, timestamp } from "../Table.ts"
import { text } from "../TenantOptions.ts"
import { toTime } from "../TimeOption.ts"

/** The checks of an export are loaded by the command that needs them. */
const verifier = Effect.map(Effect.promise(() => import("../../audit/index.ts")), ({ verifyExport }) => verifyExport)

const filter = {
  org: text("org", "Only rows of this organization."),
  actor: text("actor", "Only of this user id, else token id, else role."),
  run: text("run", "Only those that concern this run."),
  action: text("action", "Only this action, as run.launch or token.issue."),
  since: text("since", "Only at this time (ISO 8601) or later."),
  until: text("until", "Only before this time (ISO 8601).")
}

type FilterOptions = { readonly [K in keyof typeof filter]: Option.Option<string> }

const filterOf = Effect.fnUntraced(function*({ action, actor, org, run, since, until }: FilterOptions) {
  return {
    orgId: Option.getOrUndefined(org),
    actor: Option.getOrUndefined(actor),
    runId: Option.getOrUndefined(run),
    action: Option.getOrUndefined(action),
    sinceMs: yield* toTime("--since", since),
    untilMs: yield* toTime("--until", until)
  } satisfies { readonly [K in keyof AuditFilter]: AuditFilter[K] | undefined }
})

const rowCells = ({ action, actor, atMs, id, outcome, reason, runId, target }: AuditRecord) => [
  String(id),
  timestamp(atMs),
  actor,
  action,
  target ?? "",
  runId ?? "",
  outcome,
  reason ?? ""
]

const listCommand = Command.make("list", {
  ...filter,
  limit: Options.integer("limit").pipe(Options.withDescription("At most so many."), Options.withDefault(50)),
  after: Options.integer("after").pipe(Options.withDescription("Only rows before this id."), Options.optional),
  ...connected
}, ({ after, limit, ...options }) =>
  Effect.gen(function*() {
    const { client } = yield* Connection
    const output = yield* Output
    const rows = yield* client["audit.list"]({
      ...yield* filterOf(options),
      limit,
      afterId: Option.getOrUndefined(after)
    })
    yield* output.print(
      AuditDocument,
      { rows },
      () => table(["ID", "TIME", "ACTOR", "ACTION", "TARGET", "RUN", "OUTCOME", "REASON"], rows.map(rowCells))
    )
  })).pipe(Command.withDescription("List who did what, newest first."), provideConnection)

const foundText = (found: AuditVerification): string =>
  fields([
    ["Audit", found.problem === null ? "in order" : `${found.problem.kind}: ${found.problem.detail}`],
    ["Log", found.log],
    ["Rows", found.rows === 0 ? "none" : `${found.rows}, ${found.firstId ?? ""} to ${found.lastId ?? ""}`],
    [
      "Signed",
      `through row ${found.signedThroughId}${found.signedAtMs === null ? "" : `, ${timestamp(found.signedAtMs)}`}`
    ],
    ["Checkpoints", String(found.statements)],
    ["Sealed", found.sealedThroughId === 0 ? null : `through row ${found.sealedThroughId}`],
    ["Restores", found.restores === 0 ? null : String(found.restores)],
    ["Keys", found.keyIds.join(" ")]
  ])

const reportFound = (found: AuditVerification) =>
  Effect.gen(function*() {
    const output = yield* Output
    yield* output.print(AuditVerificationDocument, found, foundText)
    if (found.problem === null) return
    const { detail, kind } = found.problem
    return yield* new CommandFailed({
      outcome: "failed",
      code: `AUDIT_${kind.toUpperCase()}`,
      message: detail,
      fix: "Keep the home as it is, and compare it with backups and with what the audit's sink has."
    })
  })

const unreadable = (field: string) => (cause: { readonly message: string }) =>
  new CommandFailed({ outcome: "notFound", code: "FILE_UNREADABLE", field, message: cause.message })

const verifyExportOf = Effect.fnUntraced(function*(file: string, key: string) {
  const fs = yield* FileSystem.FileSystem
  const verifyExport = yield* verifier
  const pem = yield* Effect.mapError(fs.readFileString(key), unreadable("--key"))
  const lines = fs.stream(file).pipe(Stream.decodeText(), Stream.splitLines, Stream.mapError(unreadable("export")))
  return yield* verifyExport(lines, pem)
})

const verifyCommand = Command.make("verify", {
  file: Args.text({ name: "export" }).pipe(
    Args.withDescription("An export in NDJSON, to be examined without the service. Default: the service's own audit."),
    Args.optional
  ),
  key: Options.text("key").pipe(
    Options.withDescription("Of an export: file of the public key (PEM) that the service handed out."),
    Options.optional
  ),
  ...connected
}, ({ file, key, ...connection }) =>
  Effect.scoped(Effect.gen(function*() {
    if (Option.isSome(file)) {
      if (Option.isSome(key)) return yield* reportFound(yield* verifyExportOf(file.value, key.value))
      return yield* new CommandFailed({
        outcome: "usage",
        code: "INVALID_INPUT",
        field: "--key",
        message: "An export is examined with the public key of the service that made it.",
        fix: "Give --key <home>/audit/public-key.pem, as it was handed out."
      })
    }
    const { client } = Context.get(yield* Layer.build(connectionLayer(connection)), Connection)
    yield* reportFound(yield* client["audit.verify"]({}))
  }))).pipe(
    Command.withDescription("Examine every row and checkpoint. Ends with 1 if something is wrong."),
    provideOutput
  )

const exportCommand = Command.make("export", {
  ...filter,
  format: Options.choice("format", ["ndjson", "csv", "ocsf"]).pipe(
    Options.withDescription("ndjson has the proofs; csv is for spreadsheets, ocsf (API Activity, 1.3.0) for a SIEM."),
    Options.withDefault("ndjson" as const)
  ),
  output: text("output", "File to write, which must not exist. Default: standard output."),
  resume: Options.boolean("resume").pipe(Options.withDescription("Go on with an --output that was cut off.")),
  ...connected
}, ({ format, output: file, resume, ...options }) =>
  Effect.gen(function*() {
    const { client } = yield* Connection
    const output = yield* Output
    const request = { ...yield* filterOf(options), format }
    if (Option.isNone(file)) {
      let cursor: AuditCursor | undefined
      do {
        const page = yield* client["audit.export"]({ ...request, cursor })
        yield* output.draw(page.text)
        cursor = page.next ?? undefined
      } while (cursor !== undefined)
      return
    }
    const target = file.value
    const rows = yield* writePagedFile({
      target,
      resume,
      request,
      cursor: AuditCursor,
      part: (cursor) => client["audit.export"]({ ...request, cursor })
    })
    yield* output.print(
      AuditExportDocument,
      { file: target, format, rows },
      () => `${rows} rows are in ${target}.`
    )
  })).pipe(Command.withDescription("Write the audit out, with proofs or for other tools."), provideConnection)

const rotateCommand = Command.make("rotate-key", connected, () =>
  Effect.gen(function*() {
    const { client } = yield* Connection
    const output = yield* Output
    const rotated = yield* client["audit.rotateKey"]({})
    yield* output.print(
      AuditKeyDocument,
      rotated,
      ({ keyId, previousKeyId, publicKey }) =>
        `Key ${keyId} signs from now on, signed by ${previousKeyId}.\n\n${publicKey}`
    )
  })).pipe(Command.withDescription("Sign with a new key, which the old one signs."), provideConnection)

const pruneCommand = Command.make("prune", {
  olderThan: Options.text("older-than").pipe(Options.withDescription("Age of what goes: 400d; at least 30d.")),
  yes,
  ...connected
}, ({ olderThan, yes }) =>
  Effect.gen(function*() {
    const { client } = yield* Connection
    const output = yield* Output
    const olderThanMs = (yield* toMillis("--older-than", Option.some(olderThan))) ?? 0
    yield* confirm(`Seal and remove every audit row older than ${olderThan}? Export them first.`, yes)
    const pruned = yield* client["audit.prune"]({ olderThanMs })
    yield* output.print(
      AuditPrunedDocument,
      pruned,
      ({ rows, throughId }) =>
        rows === 0 ? "Nothing is that old." : `${rows} rows up to ${throughId} are sealed and removed.`
    )
  })).pipe(
    Command.withDescription("Seal old rows, so that the rest can be verified, and remove them."),
    provideConnection
  )

const acknowledgeCommand = Command.make("acknowledge-rollback", {
  reason: Options.text("reason").pipe(
    Options.withDescription("Why the database is older than its checkpoints, up to 1000 characters. It is signed.")
  ),
  yes,
  ...connected
}, ({ reason, yes }) =>
  Effect.gen(function*() {
    const { client } = yield* Connection
    const output = yield* Output
    yield* confirm("Sign that the audit goes on from an older state? What was lost stays lost.", yes)
    const { acknowledged } = yield* client["audit.acknowledgeRollback"]({ reason })
    yield* output.print(AuditRollbackDocument, { reason, acknowledged }, () =>
      `Signed. Until now: ${acknowledged.detail}`)
  })).pipe(
    Command.withDescription(
      "Sign that the database is an older one, and why: after a power cut without full durability."
    ),
    provideConnection
  )

export const auditCommand = Command.make("audit").pipe(
  Command.withDescription("Who did what: an append-only, hash-chained, signed record."),
  Command.withSubcommands([
    listCommand,
    verifyCommand,
    exportCommand,
    rotateCommand,
    pruneCommand,
    acknowledgeCommand
  ])
)

import { Command, Options } from "@effect/cli"
import { Context, Effect, Layer } from "effect"
import { CommandFailed } from "../CommandFailed.ts"
import { Connection, layer as connectionLayer } from "../Connection.ts"
import { ConnectionConfig, layerConfig } from "../ConnectionConfig.ts"
import { DoctorDocument, SecretsDocument } from "../Documents.ts"
import { Output } from "../Output.ts"
import { connected, local, provideOutput } from "../SharedOptions.ts"
import { table } from "../Table.ts"

/** The database driver is loaded by the commands that need it. */
const doctor = Effect.promise(() => import("../SecretDoctor.ts"))

const text = ({ count, findings, scanned }: typeof SecretsDocument.Type): string => {
  const looked = `${scanned.texts} texts of ${scanned.files} files were looked at.`
  if (count === 0) return `No secret was found. ${looked}`
  const rows = findings.map((finding) => [
    "table" in finding ? `${finding.file} ${finding.table}` : finding.file,
    "table" in finding ? `${finding.key} ${finding.path}` : `line ${finding.line}`,
    finding.kind === "value" ? `value of ${finding.found}` : finding.found
  ])
  const more = count > findings.length ? `\n… and ${count - findings.length} more` : ""
  return `${table(["WHERE", "PLACE", "WHAT"], rows)}${more}\n${looked}`
}

const secretsCommand = Command.make("secrets", {
  refs: Options.text("ref").pipe(
    Options.withDescription("Look for the value of this secret too, e.g. env:API_KEY. May be given more than once."),
    Options.repeated
  ),
  ...local
}, ({ refs }) =>
  Effect.gen(function*() {
    const output = yield* Output
    const { home } = yield* ConnectionConfig
    const { examine, noteScan } = yield* doctor
    const found = yield* examine(home, refs)
    yield* noteScan(home, found)
    yield* output.print(SecretsDocument, found, text)
    if (found.count === 0) return
    return yield* new CommandFailed({
      outcome: "failed",
      code: "SECRETS_FOUND",
      message: found.count === 1 ? "A secret is stored." : `${found.count} secrets are stored.`,
      fix: "Revoke them where they were issued, then delete what holds them."
    })
  })).pipe(
    Command.withDescription(
      "Look for secrets in the home: each text of the database and its backups, and all other files. Ends with 1 if there is one."
    ),
    provideOutput,
    Command.provide(Layer.merge(layerConfig, Layer.unwrapEffect(Effect.map(doctor, ({ layer }) => layer))))
  )

const marks = { ok: "ok", warning: "warning", failed: "FAILED", unknown: "unknown" } as const

const checklistText = ({ findings }: typeof DoctorDocument.Type): string =>
  table(
    ["STATUS", "CHECK", "WHAT", "FIX"],
    findings.map(({ check, fix, status, what }) => [marks[status], check, what, fix ?? ""])
  )

export const doctorCommand = Command.make("doctor", connected, (connection) =>
  Effect.scoped(Effect.gen(function*() {
    const output = yield* Output
    const { client } = Context.get(yield* Layer.build(connectionLayer(connection)), Connection)
    const found = yield* client["doctor.examine"]({})
    yield* output.print(DoctorDocument, found, checklistText)
    if (found.ok) return
    const failed = found.findings.filter(({ status }) => status === "failed")
    return yield* new CommandFailed({
      outcome: "failed",
      code: "NOT_READY",
      message: `Not ready for a release: ${failed.map(({ check }) => check).join(", ")}.`
    })
  }))).pipe(
    provideOutput,
    Command.withDescription(
      "Go through the release checklist with the running service. Ends with 1 if something failed."
    ),
    Command.withSubcommands([secretsCommand])
  )

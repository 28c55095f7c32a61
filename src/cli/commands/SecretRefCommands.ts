import { Args, Command } from "@effect/cli"
import { Effect, Option } from "effect"
import { confirm } from "../Confirmation.ts"
import { RemovedDocument, SecretRefDocument, SecretRefsDocument } from "../Documents.ts"
import { connected, provideConnection, yes } from "../SharedOptions.ts"
import { fields, table, timestamp } from "../Table.ts"
import { desk, limit, org, project, text, word } from "../TenantOptions.ts"

const named = Args.text({ name: "name" }).pipe(Args.withDescription("Name of the secret."))

const refText = (row: typeof SecretRefDocument.Type): string =>
  fields([
    ["Name", row.name],
    ["Organization", row.orgId],
    ["Project", row.projectId],
    ["Provider", row.provider],
    ["Reference", row.ref],
    ["Created by", row.createdBy],
    ["Created", timestamp(row.createdAtMs)],
    ["Rotated", row.rotatedAtMs === null ? null : timestamp(row.rotatedAtMs)]
  ])

const refSet = Command.make("set", {
  org,
  name: named,
  provider: word("provider", "The secret manager: vault, aws-secrets-manager."),
  ref: word("ref", "Where it keeps the secret: vault://…, arn:…. Never the secret itself."),
  project,
  createdBy: text("created-by", "Who added it."),
  ...connected
}, ({ createdBy, name, org, project, provider, ref }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    const row = yield* client["secretRefs.set"]({
      orgId: org,
      projectId: Option.getOrUndefined(project),
      name,
      provider,
      ref,
      createdBy: Option.getOrUndefined(createdBy)
    })
    yield* output.print(SecretRefDocument, row, refText)
  })).pipe(Command.withDescription("Add a reference of a secret, or rotate it. Values are refused."), provideConnection)

const refShow = Command.make(
  "show",
  { org, name: named, project, ...connected },
  ({ name, org, project }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      yield* output.print(
        SecretRefDocument,
        yield* client["secretRefs.get"]({ orgId: org, projectId: Option.getOrUndefined(project), name }),
        refText
      )
    })
).pipe(Command.withDescription("Show where a secret is kept."), provideConnection)

const refList = Command.make("list", {
  org,
  project: text("project", "Only those of this project."),
  limit,
  after: text("after", "Only those behind this <projectId or __org__>/<name>."),
  ...connected
}, ({ after, limit, org, project }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    const refs = yield* client["secretRefs.list"]({
      orgId: org,
      projectId: Option.getOrUndefined(project),
      limit,
      after: Option.getOrUndefined(after)
    })
    yield* output.print(SecretRefsDocument, { refs }, () =>
      refs.length === 0 ? "No references." : table(
        ["PROJECT", "NAME", "PROVIDER", "REFERENCE", "ROTATED"],
        refs.map((row) => [
          row.projectId ?? "(all)",
          row.name,
          row.provider,
          row.ref,
          row.rotatedAtMs === null ? "" : timestamp(row.rotatedAtMs)
        ])
      ))
  })).pipe(Command.withDescription("List where the secrets of an organization are kept."), provideConnection)

const refRemove = Command.make(
  "remove",
  { org, name: named, project, yes, ...connected },
  ({ name, org, project, yes }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      yield* confirm(`Remove the reference ${name} of ${org}?`, yes)
      const answer = yield* client["secretRefs.remove"]({
        orgId: org,
        projectId: Option.getOrUndefined(project),
        name
      })
      yield* output.print(RemovedDocument, answer, () => `The reference ${name} is removed.`)
    })
).pipe(Command.withDescription("Remove a reference; the secret stays where it is."), provideConnection)

export const secretRefCommand = Command.make("secret-ref").pipe(
  Command.withDescription("Where the secrets of organizations and projects are kept, never what they are."),
  Command.withSubcommands([refSet, refList, refShow, refRemove])
)

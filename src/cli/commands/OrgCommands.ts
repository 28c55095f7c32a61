import { Command, Options } from "@effect/cli"
import { Effect, Option, Schema } from "effect"
import { CommandFailed } from "../CommandFailed.ts"
import { confirm } from "../Confirmation.ts"
import {
  DeletedOrgDocument,
  OrgAuditDocument,
  OrgDocument,
  OrgExportDocument,
  OrgsDocument,
  OrgVerdictDocument
} from "../Documents.ts"
import { writePagedFile } from "../PagedFile.ts"
import { connected, provideConnection, yes } from "../SharedOptions.ts"
import { fields, table, timestamp } from "../Table.ts"
import {
  after,
  changes,
  changesOf,
  countsText,
  desk,
  id,
  limit,
  metadata,
  metadataOf,
  named,
  org,
  since,
  slug,
  spanOf,
  text,
  until
} from "../TenantOptions.ts"

const orgText = (row: typeof OrgDocument.Type): string =>
  fields([["Id", row.orgId], ["Slug", row.slug], ["Name", row.name], ["Created", timestamp(row.createdAtMs)]])

const orgCreate = Command.make("create", {
  slug,
  name: named,
  id,
  metadata,
  ...connected
}, ({ id, metadata, name, slug }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    const row = yield* client["orgs.create"]({
      orgId: Option.getOrUndefined(id),
      slug,
      name,
      metadata: yield* metadataOf(metadata)
    })
    yield* output.print(OrgDocument, row, orgText)
  })).pipe(Command.withDescription("Make an organization."), provideConnection)

const orgShow = Command.make("show", { org, ...connected }, ({ org }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    yield* output.print(OrgDocument, yield* client["orgs.get"]({ orgId: org }), orgText)
  })).pipe(Command.withDescription("Show an organization."), provideConnection)

const orgList = Command.make("list", { limit, after, ...connected }, ({ after, limit }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    const orgs = yield* client["orgs.list"]({ limit, after: Option.getOrUndefined(after) })
    yield* output.print(OrgsDocument, { orgs }, () =>
      orgs.length === 0 ? "No organizations." : table(
        ["ORG", "SLUG", "NAME", "CREATED"],
        orgs.map(({ createdAtMs, name, orgId, slug }) => [orgId, slug, name, timestamp(createdAtMs)])
      ))
  })).pipe(Command.withDescription("List organizations by id."), provideConnection)

const orgUpdate = Command.make(
  "update",
  { org, ...changes, ...connected },
  ({ org, ...given }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      const row = yield* client["orgs.update"]({ orgId: org, ...yield* changesOf(given) })
      yield* output.print(OrgDocument, row, orgText)
    })
).pipe(Command.withDescription("Change an organization; what is not given stays as it is."), provideConnection)

const orgDelete = Command.make("delete", { org, yes, ...connected }, ({ org, yes }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    yield* confirm(`Delete ${org} with its projects, usage, limits, references and audit?`, yes)
    const answer = yield* client["orgs.delete"]({ orgId: org })
    yield* output.print(DeletedOrgDocument, answer, ({ deleted }) =>
      `${org} is deleted. With it: ${countsText(deleted)}.`)
  })).pipe(Command.withDescription("Delete an organization with everything it has."), provideConnection)

const orgExport = Command.make("export", {
  org,
  output: text("output", "File to write, which must not exist. Default: standard output."),
  resume: Options.boolean("resume").pipe(Options.withDescription("Go on with an --output that was cut off.")),
  since,
  until,
  ...connected
}, ({ org, output: file, resume, ...time }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    const request = { orgId: org, ...yield* spanOf(time) }
    if (Option.isNone(file)) {
      let cursor: string | undefined
      do {
        const part = yield* client["orgs.export"]({ ...request, cursor })
        yield* output.draw(part.text)
        cursor = part.next ?? undefined
      } while (cursor !== undefined)
      return
    }
    const target = file.value
    const records = yield* writePagedFile({
      target,
      resume,
      request,
      cursor: Schema.String,
      part: (cursor) =>
        Effect.map(
          client["orgs.export"]({ ...request, cursor }),
          ({ next, records, text }) => ({ next, rows: records, text })
        )
    })
    yield* output.print(
      OrgExportDocument,
      { file: target, records },
      () => `${records} records of ${org} are in ${target}.`
    )
  })).pipe(
    Command.withDescription(
      "Write an organization out with everything it has, as NDJSON; times are of usage and audit."
    ),
    provideConnection
  )

const orgAudit = Command.make("audit", {
  org,
  project: text("project", "Only events of this project."),
  actor: text("actor", "Only those that this user or service caused."),
  action: text("action", "Only this action, as project.create."),
  since,
  until,
  limit,
  after: Options.integer("after").pipe(Options.withDescription("Only events behind this id."), Options.optional),
  ...connected
}, ({ action, actor, after, limit, org, project, ...time }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    const events = yield* client["orgAudit.list"]({
      orgId: org,
      projectId: Option.getOrUndefined(project),
      actorId: Option.getOrUndefined(actor),
      action: Option.getOrUndefined(action),
      ...yield* spanOf(time),
      limit,
      afterId: Option.getOrUndefined(after)
    })
    yield* output.print(OrgAuditDocument, { events }, () =>
      events.length === 0 ? "No events." : table(
        ["ID", "TIME", "ACTOR", "ACTION", "TARGET", "PROJECT"],
        events.map((row) => [
          String(row.id),
          timestamp(row.occurredAtMs),
          row.actorId ?? "",
          row.action,
          row.targetId ?? "",
          row.projectId ?? ""
        ])
      ))
  })).pipe(Command.withDescription("What was done in an organization, oldest first."), provideConnection)

const orgVerify = Command.make("verify", { org, ...connected }, ({ org }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    const verdict = yield* client["orgAudit.verify"]({ orgId: org })
    yield* output.print(OrgVerdictDocument, verdict, (verdict) =>
      verdict.intact
        ? `${verdict.events} events are in order. The last hash is ${verdict.lastHash}.`
        : `Event ${verdict.badId} is not what was written; ${verdict.events} before it are in order.`)
    if (verdict.intact) return
    return yield* new CommandFailed({
      outcome: "failed",
      code: "AUDIT_ALTERED",
      message: `Event ${verdict.badId} of ${org} is not what was written.`,
      fix: "Keep the home as it is, and compare it with backups and exports."
    })
  })).pipe(
    Command.withDescription("Examine every event of an organization's audit. Ends with 1 if something is wrong."),
    provideConnection
  )

export const orgCommand = Command.make("org").pipe(
  Command.withDescription("Organizations: the tenants of the service."),
  Command.withSubcommands([orgCreate, orgList, orgShow, orgUpdate, orgDelete, orgExport, orgAudit, orgVerify])
)

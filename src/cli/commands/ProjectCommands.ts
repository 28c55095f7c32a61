import { Args, Command } from "@effect/cli"
import { Effect, Option } from "effect"
import { confirm } from "../Confirmation.ts"
import {
  DeletedProjectDocument,
  ProjectDocument,
  ProjectsDocument,
  ProjectTeamDocument,
  ProjectTeamsDocument,
  RemovedDocument
} from "../Documents.ts"
import { connected, provideConnection, yes } from "../SharedOptions.ts"
import { fields, table, timestamp } from "../Table.ts"
import {
  after,
  changes,
  changesOf,
  desk,
  id,
  limit,
  metadata,
  metadataOf,
  named,
  org,
  role,
  slug,
  text
} from "../TenantOptions.ts"

const projectArgument = Args.text({ name: "projectId" }).pipe(Args.withDescription("Id of the project."))
const team = Args.text({ name: "teamId" }).pipe(Args.withDescription("Id of the team."))

const projectText = (row: typeof ProjectDocument.Type): string =>
  fields([
    ["Id", row.projectId],
    ["Organization", row.orgId],
    ["Slug", row.slug],
    ["Name", row.name],
    ["Created", timestamp(row.createdAtMs)]
  ])

const projectCreate = Command.make("create", {
  org,
  slug,
  name: named,
  id,
  metadata,
  ...connected
}, ({ id, metadata, name, org, slug }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    const row = yield* client["projects.create"]({
      orgId: org,
      projectId: Option.getOrUndefined(id),
      slug,
      name,
      metadata: yield* metadataOf(metadata)
    })
    yield* output.print(ProjectDocument, row, () => `Project ${row.projectId} of ${org} is made.`)
  })).pipe(Command.withDescription("Make a project."), provideConnection)

const projectList = Command.make(
  "list",
  { org, limit, after, ...connected },
  ({ after, limit, org }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      const projects = yield* client["projects.list"]({ orgId: org, limit, after: Option.getOrUndefined(after) })
      yield* output.print(ProjectsDocument, { projects }, () =>
        projects.length === 0 ? "No projects." : table(
          ["PROJECT", "SLUG", "NAME", "CREATED"],
          projects.map(({ createdAtMs, name, projectId, slug }) => [projectId, slug, name, timestamp(createdAtMs)])
        ))
    })
).pipe(Command.withDescription("List the projects of an organization by id."), provideConnection)

const projectShow = Command.make(
  "show",
  { org, project: projectArgument, ...connected },
  ({ org, project }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      yield* output.print(
        ProjectDocument,
        yield* client["projects.get"]({ orgId: org, projectId: project }),
        projectText
      )
    })
).pipe(Command.withDescription("Show a project."), provideConnection)

const projectUpdate = Command.make(
  "update",
  { org, project: projectArgument, ...changes, ...connected },
  ({ org, project, ...given }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      const row = yield* client["projects.update"]({ orgId: org, projectId: project, ...yield* changesOf(given) })
      yield* output.print(ProjectDocument, row, projectText)
    })
).pipe(Command.withDescription("Change a project; what is not given stays as it is."), provideConnection)

const projectDelete = Command.make(
  "delete",
  { org, project: projectArgument, yes, ...connected },
  ({ org, project, yes }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      yield* confirm(`Delete project ${project} with its team grants, limits and references? Its usage stays.`, yes)
      const answer = yield* client["projects.delete"]({ orgId: org, projectId: project })
      yield* output.print(DeletedProjectDocument, answer, () => `Project ${project} of ${org} is deleted.`)
    })
).pipe(Command.withDescription("Delete a project; its usage stays."), provideConnection)

const projectGrant = Command.make(
  "grant",
  { org, project: projectArgument, team, role, ...connected },
  ({ org, project, role, team }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      const row = yield* client["projectTeams.set"]({ orgId: org, projectId: project, teamId: team, role })
      yield* output.print(ProjectTeamDocument, row, () => `Team ${team} is ${role} in project ${project}.`)
    })
).pipe(Command.withDescription("Give a team a role in a project, or change it."), provideConnection)

const projectGrants = Command.make("grants", {
  org,
  project: text("project", "Only those of this project."),
  team: text("team", "Only those of this team."),
  limit,
  after: text("after", "Only those behind this <projectId>/<teamId>."),
  ...connected
}, ({ after, limit, org, project, team }) =>
  Effect.gen(function*() {
    const { client, output } = yield* desk
    const grants = yield* client["projectTeams.list"]({
      orgId: org,
      projectId: Option.getOrUndefined(project),
      teamId: Option.getOrUndefined(team),
      limit,
      after: Option.getOrUndefined(after)
    })
    yield* output.print(ProjectTeamsDocument, { grants }, () =>
      grants.length === 0 ? "No grants." : table(
        ["PROJECT", "TEAM", "ROLE", "SINCE"],
        grants.map(({ createdAtMs, projectId, role, teamId }) => [projectId, teamId, role, timestamp(createdAtMs)])
      ))
  })).pipe(Command.withDescription("List what teams may do in projects."), provideConnection)

const projectUngrant = Command.make(
  "ungrant",
  { org, project: projectArgument, team, ...connected },
  ({ org, project, team }) =>
    Effect.gen(function*() {
      const { client, output } = yield* desk
      const answer = yield* client["projectTeams.remove"]({ orgId: org, projectId: project, teamId: team })
      yield* output.print(RemovedDocument, answer, () => `Team ${team} has no role in project ${project} any more.`)
    })
).pipe(Command.withDescription("Take a team's role in a project away."), provideConnection)

export const projectCommand = Command.make("project").pipe(
  Command.withDescription("Projects of an organization."),
  Command.withSubcommands([
    projectCreate,
    projectList,
    projectShow,
    projectUpdate,
    projectDelete,
    projectGrant,
    projectGrants,
    projectUngrant
  ])
)

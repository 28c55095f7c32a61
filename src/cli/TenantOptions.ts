import { Args, Options } from "@effect/cli"
import { Effect, Option, Schema } from "effect"
import { CommandFailed } from "./CommandFailed.ts"
import { Connection } from "./Connection.ts"
import { Output } from "./Output.ts"
import { toTime } from "./TimeOption.ts"

// What the commands of tenants have in common.

export const org = Args.text({ name: "orgId" }).pipe(Args.withDescription("Id of the organization."))
export const text = (name: string, description: string) =>
  Options.text(name).pipe(Options.withDescription(description), Options.optional)
export const word = (name: string, description: string) => Options.text(name).pipe(Options.withDescription(description))
export const slug = word("slug", "Short name: a-z 0-9 -, unique.")
export const named = word("name", "Name for people.")
export const id = text("id", "Its id; a random one unless given.")
export const role = word("role", "owner, admin, member, auditor, viewer, or a word of your own.")
export const limit = Options.integer("limit").pipe(
  Options.withDescription("At most so many."),
  Options.withDefault(50)
)
export const after = text("after", "Only those behind the one with this id.")
export const project = text("project", "Of this project; else of the whole organization.")
export const metric = word("metric", "What is measured: steps, agent_runtime_ms, …")
export const unit = text("unit", "In which unit; count unless given.")
export const metadata = text("metadata", "A JSON object to remember with it.")

export const since = text("since", "Only at this time (ISO 8601) or later.")
export const until = text("until", "Only at this time (ISO 8601) or earlier.")

/** Both ends of a span of time. */
export const spanOf = (given: { readonly since: Option.Option<string>; readonly until: Option.Option<string> }) =>
  Effect.all({ sinceMs: toTime("--since", given.since), untilMs: toTime("--until", given.until) })

const decodeMetadata = Schema.decodeUnknown(
  Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.Unknown }))
)

/** `--metadata`, if it is given. */
export const metadataOf = (given: Option.Option<string>) =>
  Option.match(given, {
    onNone: () => Effect.succeed(undefined),
    onSome: (json) =>
      Effect.mapError(
        decodeMetadata(json),
        () =>
          new CommandFailed({
            outcome: "usage",
            code: "INVALID_INPUT",
            field: "--metadata",
            message: "--metadata is not a JSON object.",
            fix: `Give it as '{"name": "value"}'.`
          })
      )
  })

/** What is changed; what is not given stays as it is. */
export const changes = {
  slug: text("slug", "Another short name."),
  name: text("name", "Another name for people."),
  metadata
}

export const changesOf = (given: { readonly [K in keyof typeof changes]: Option.Option<string> }) =>
  Effect.map(metadataOf(given.metadata), (metadata) => ({
    slug: Option.getOrUndefined(given.slug),
    name: Option.getOrUndefined(given.name),
    metadata
  }))

interface SeriesOptions {
  readonly org: string
  readonly project: Option.Option<string>
  readonly metric: string
  readonly unit: Option.Option<string>
}

export const seriesOf = ({ metric, org, project, unit }: SeriesOptions) => ({
  orgId: org,
  projectId: Option.getOrUndefined(project),
  metric,
  unit: Option.getOrUndefined(unit)
})

/** The service and what is printed. */
export const desk = Effect.all({ client: Effect.map(Connection, ({ client }) => client), output: Output })

export const countsText = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts).filter(([, count]) => count > 0).map(([what, count]) => `${count} ${what}`).join(", ")

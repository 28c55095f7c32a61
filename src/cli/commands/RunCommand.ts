import { Args, Command, Options } from "@effect/cli"
import { FileSystem } from "@effect/platform"
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Effect, Option, Schema, Stream } from "effect"
import { type EventRow } from "../../gateway/contract.ts"
import { CommandFailed } from "../CommandFailed.ts"
import { Connection } from "../Connection.ts"
import { RunDocument } from "../Documents.ts"
import { eventLine, nodeName } from "../EventLine.ts"
import { Output } from "../Output.ts"
import * as Progress from "../Progress.ts"
import { followedEvents } from "../RunEvents.ts"
import { connected, provideConnection } from "../SharedOptions.ts"
import { ofState } from "../Style.ts"
import { prettyJson } from "../Table.ts"

const InputText = Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.Unknown }))

/** `--input` as JSON, `@file`, or `-` for standard input. */
const readInput = Effect.fnUntraced(function*(text: string) {
  const fs = yield* FileSystem.FileSystem
  const refused = (message: string, fix: string) =>
    new CommandFailed({ outcome: "usage", code: "INVALID_INPUT", field: "--input", message, fix })
  const source = text === "-"
    ? NodeStream.stdin.pipe(
      Stream.decodeText(),
      Stream.mkString,
      Effect.mapError(() => refused("Standard input cannot be read.", "Give the JSON itself, or @file."))
    )
    : text.startsWith("@")
    ? Effect.mapError(
      fs.readFileString(text.slice(1)),
      (cause) => refused(`${text.slice(1)} cannot be read: ${cause.message}`, "Check the path after the @.")
    )
    : Effect.succeed(text)
  return yield* Effect.flatMap(source, (json) =>
    Effect.mapError(
      Schema.decodeUnknown(InputText)(json),
      () => refused("--input is not a JSON object.", `Give it as '{"name": "value"}', @file or - for standard input.`)
    ))
})

/** Shows what happens until the run has ended, then how it ended; a run that did not finish fails the command. */
const follow = Effect.fnUntraced(function*(runId: string) {
  const { client } = yield* Connection
  const output = yield* Output
  const progress = yield* Progress.make

  const show = (row: EventRow) =>
    output.json ? output.print(RunDocument, { type: "event", ...row }, () => eventLine(row)) : progress.show(row)
  const hint = (row: EventRow) =>
    row.event === "ApprovalRequested"
      ? Effect.zipRight(
        progress.break,
        output.say(`It waits for a decision: smithers approve ${runId} ${nodeName(row) ?? ""}`)
      )
      : Effect.void
  const isLast = ({ event }: EventRow) =>
    ["RunFinished", "RunFailed", "RunCancelled", "RunQuarantined", "ReplayDiverged"].includes(event)

  yield* followedEvents(client, runId, 0).pipe(
    Stream.tap((row) => Effect.zipRight(show(row), hint(row))),
    Stream.takeUntil(isLast),
    Stream.runDrain
  )
  const run = yield* client.getRun({ runId })
  yield* output.print(RunDocument, { type: "ended", run }, () =>
    [
      `Run ${runId} ${ofState(run.status)(run.status)}.`,
      ...(run.output === null || run.output === undefined ? [] : [prettyJson(run.output)])
    ].join("\n"))
  if (run.status !== "finished" && run.status !== "continued") {
    return yield* new CommandFailed({
      outcome: "failed",
      code: "RUN_NOT_FINISHED",
      message: `Run ${runId} is ${run.status}${run.error === null ? "" : `: ${run.error.name}: ${run.error.message}`}${
        run.hold === null ? "" : `, held: ${run.hold.reason}`
      }`,
      fix: `\`smithers show ${runId}\` tells more.`
    })
  }
})

export const runCommand = Command.make("run", {
  workflow: Args.text({ name: "workflow" }).pipe(Args.withDescription("Key of the workflow; see `workflows list`.")),
  input: Options.text("input").pipe(
    Options.withDescription("The input: a JSON object, @file, or - for standard input."),
    Options.withDefault("{}")
  ),
  runId: Options.text("run-id").pipe(
    Options.withDescription("Id of the run. Default: a UUID. An id that exists is a conflict."),
    Options.optional
  ),
  idempotencyKey: Options.text("idempotency-key").pipe(
    Options.withDescription("The same key again answers the run that it started first."),
    Options.optional
  ),
  org: Options.text("org").pipe(
    Options.withDescription("The organization that it runs for. Default: the token's; none of an operator's."),
    Options.optional
  ),
  project: Options.text("project").pipe(
    Options.withDescription("The project of it. Default: the token's, if it has one."),
    Options.optional
  ),
  follow: Options.boolean("follow").pipe(
    Options.withAlias("f"),
    Options.withDescription("Show progress until the run has ended; exit code 1 if it did not finish.")
  ),
  ...connected
}, (options) =>
  Effect.gen(function*() {
    const { client } = yield* Connection
    const output = yield* Output
    const launched = yield* client.launchRun({
      workflow: options.workflow,
      input: yield* readInput(options.input),
      ...Option.match(options.org, { onNone: () => ({}), onSome: (orgId) => ({ orgId }) }),
      ...Option.match(options.project, { onNone: () => ({}), onSome: (projectId) => ({ projectId }) }),
      options: {
        ...Option.match(options.runId, { onNone: () => ({}), onSome: (runId) => ({ runId }) }),
        ...Option.match(options.idempotencyKey, {
          onNone: () => ({}),
          onSome: (idempotencyKey) => ({ idempotencyKey })
        }),
        startedBy: { harness: "smithers-cli" }
      }
    })
    yield* output.print(RunDocument, { type: "launched", ...launched }, ({ type: _, ...run }) =>
      "runId" in run
        ? `Run ${run.runId} of ${launched.workflow}${launched.existing ? " existed already" : " has started"}.`
        : "")
    if (options.follow) {
      yield* follow(launched.runId)
    }
  })).pipe(
    Command.withDescription("Launch a workflow."),
    provideConnection
  )

import { Args, Command, Options } from "@effect/cli"
import { Clock, Effect, Option, Schema, Stream } from "effect"
import { CancelRun, DeleteRun, PauseRun, ResumeRun, RetryTask, type RunDetail } from "../../gateway/contract.ts"
import { RunStatus } from "../../model/index.ts"
import { CommandFailed } from "../CommandFailed.ts"
import { confirm } from "../Confirmation.ts"
import { Connection } from "../Connection.ts"
import { EventDocument, PsDocument, ShowDocument } from "../Documents.ts"
import { eventLine } from "../EventLine.ts"
import { Output } from "../Output.ts"
import { payloadText } from "../ReviewText.ts"
import { followedEvents, storedEvents } from "../RunEvents.ts"
import { connected, provideConnection, yes } from "../SharedOptions.ts"
import { ofState } from "../Style.ts"
import { fields, prettyJson, span, table, timestamp } from "../Table.ts"

const runIdArgument = Args.text({ name: "runId" }).pipe(Args.withDescription("Id of the run."))
const nodeIdArgument = Args.text({ name: "nodeId" }).pipe(Args.withDescription("Id of the node."))

const parseStatus = (text: string) =>
  Effect.mapError(
    Schema.decodeUnknown(RunStatus)(text),
    () =>
      new CommandFailed({
        outcome: "usage",
        code: "INVALID_INPUT",
        field: "--status",
        message: `--status "${text}" is not a status.`,
        fix: `Give one of ${RunStatus.literals.join(", ")}.`
      })
  )

export const psCommand = Command.make("ps", {
  status: Options.text("status").pipe(
    Options.withDescription(`Only runs of this status: ${RunStatus.literals.join(", ")}.`),
    Options.optional
  ),
  workflow: Options.text("workflow").pipe(Options.withDescription("Only runs of this workflow."), Options.optional),
  org: Options.text("org").pipe(Options.withDescription("Only runs of this organization."), Options.optional),
  project: Options.text("project").pipe(
    Options.withDescription("Only runs of this project; an operator says --org, too."),
    Options.optional
  ),
  limit: Options.integer("limit").pipe(Options.withDescription("At most so many."), Options.withDefault(50)),
  ...connected
}, ({ limit, org, project, status, workflow }) =>
  Effect.gen(function*() {
    const { client } = yield* Connection
    const output = yield* Output
    const runs = yield* client.listRuns({
      filter: {
        limit,
        status: Option.getOrUndefined(yield* Effect.transposeMapOption(status, parseStatus)),
        workflow: Option.getOrUndefined(workflow),
        orgId: Option.getOrUndefined(org),
        projectId: Option.getOrUndefined(project)
      }
    })
    const now = yield* Clock.currentTimeMillis
    yield* output.print(PsDocument, { runs }, () =>
      runs.length === 0 ? "No runs." : table(
        ["RUN", "WORKFLOW", "STATUS", "AGE"],
        runs.map((run) => [
          run.runId,
          run.workflowKey,
          run.hold === null
            ? ofState(run.status)(run.status)
            : `${run.status} (${run.hold.kind})`,
          span(now - run.createdAtMs)
        ])
      ))
  })).pipe(Command.withDescription("List runs, newest first."), provideConnection)

const blockedText = ({ runState: { blocked } }: RunDetail): string | null => {
  switch (blocked?.kind) {
    case undefined:
      return null
    case "approval":
      return `approval of ${blocked.nodeId}, since ${blocked.requestedAt}`
    case "event":
      return `event for ${blocked.nodeId}`
    case "timer":
      return `timer of ${blocked.nodeId}, until ${blocked.wakeAt}`
  }
}

const section = (title: string, text: string): ReadonlyArray<string> => text === "" ? [] : ["", title, text]

const showText = ({ approvals, nodes, run }: typeof ShowDocument.Type): string =>
  [
    fields([
      ["Run", run.runId],
      ["Workflow", run.workflowKey],
      ["Status", ofState(run.status)(run.status)],
      ["Waits for", blockedText(run)],
      ["Held", run.hold === null ? null : `${run.hold.kind}: ${run.hold.reason}`],
      ["Created", timestamp(run.createdAtMs)],
      ["Finished", run.finishedAtMs === null ? null : timestamp(run.finishedAtMs)],
      ["Error", run.error === null ? null : `${run.error.name}: ${run.error.message}`]
    ]),
    ...section(
      "Nodes",
      nodes.length === 0 ? "" : table(
        ["NODE", "KIND", "STATE", "ATTEMPT", "ERROR"],
        nodes.map((node) => [
          node.iteration === 0 ? node.nodeId : `${node.nodeId} #${node.iteration}`,
          node.kind,
          ofState(node.state)(node.cached ? `${node.state} (cached)` : node.state),
          String(node.lastAttempt),
          node.error === null ? "" : `${node.error.name}: ${node.error.message}`
        ])
      )
    ),
    ...approvals.flatMap((approval) =>
      section(
        `Waits for your decision: smithers approve ${run.runId} ${approval.nodeId}` +
          (approval.iteration === 0 ? "" : ` --iteration ${approval.iteration}`),
        `${approval.requestTitle}\n${payloadText(approval)}\nsha256 ${approval.payloadSha256}`
      )
    ),
    ...section("Input", prettyJson(run.input)),
    ...section("Output", run.output === null || run.output === undefined ? "" : prettyJson(run.output))
  ].join("\n")

export const showCommand = Command.make(
  "show",
  { runId: runIdArgument, ...connected },
  ({ runId }) =>
    Effect.gen(function*() {
      const { client } = yield* Connection
      const output = yield* Output
      const run = yield* client.getRun({ runId })
      const [nodes, approvals] = yield* Effect.all([
        client.listNodeStates({ runId }),
        client.listApprovals({ filter: { runId } })
      ])
      yield* output.print(
        ShowDocument,
        { run, nodes, approvals },
        showText
      )
    })
).pipe(
  Command.withDescription("Show a run: its status, what it waits for, its nodes, its error or output."),
  provideConnection
)

export const eventsCommand = Command.make("events", {
  runId: runIdArgument,
  after: Options.integer("after").pipe(
    Options.withDescription("Only events with a greater sequence number."),
    Options.withDefault(0)
  ),
  follow: Options.boolean("follow").pipe(
    Options.withAlias("f"),
    Options.withDescription("Go on with new events until interrupted.")
  ),
  ...connected
}, ({ after, follow, runId }) =>
  Effect.gen(function*() {
    const { client } = yield* Connection
    const output = yield* Output
    yield* client.getRun({ runId })
    const events = follow ? followedEvents(client, runId, after) : storedEvents(client, runId, after)
    yield* Stream.runForEach(events, (row) => output.print(EventDocument, row, () => eventLine(row)))
  })).pipe(Command.withDescription("Write the events of a run, in order."), provideConnection)

export const cancelCommand = Command.make(
  "cancel",
  { runId: runIdArgument, ...connected },
  ({ runId }) =>
    Effect.gen(function*() {
      const { client } = yield* Connection
      const output = yield* Output
      const answer = yield* client.cancelRun({ runId })
      yield* output.print(CancelRun.successSchema, answer, ({ status }) => `Run ${runId}: ${status}.`)
    })
).pipe(Command.withDescription("Cancel a run, a running task included."), provideConnection)

export const pauseCommand = Command.make(
  "pause",
  { runId: runIdArgument, ...connected },
  ({ runId }) =>
    Effect.gen(function*() {
      const { client } = yield* Connection
      const output = yield* Output
      const answer = yield* client.pauseRun({ runId })
      yield* output.print(PauseRun.successSchema, answer, () => `Run ${runId} pauses when the tasks at work are done.`)
    })
).pipe(Command.withDescription("Start no further task of a run."), provideConnection)

export const resumeCommand = Command.make(
  "resume",
  { runId: runIdArgument, ...connected },
  ({ runId }) =>
    Effect.gen(function*() {
      const { client } = yield* Connection
      const output = yield* Output
      const answer = yield* client.resumeRun({ runId })
      if (answer.status === "already_terminal") {
        return yield* new CommandFailed({
          outcome: "conflict",
          code: "RUN_NOT_ACTIVE",
          message: `Run ${runId} has ended.`,
          fix: "A failed node can be executed again: `smithers retry`."
        })
      }
      yield* output.print(ResumeRun.successSchema, answer, () => `Run ${runId} goes on.`)
    })
).pipe(Command.withDescription("Go on with a paused or held run."), provideConnection)

export const retryCommand = Command.make("retry", {
  runId: runIdArgument,
  nodeId: nodeIdArgument,
  iteration: Options.integer("iteration").pipe(
    Options.withDescription("Which turn of a loop, from 0."),
    Options.withDefault(0)
  ),
  only: Options.boolean("only").pipe(
    Options.withDescription("Leave the other failed and cancelled nodes of the run as they are.")
  ),
  ...connected
}, ({ iteration, nodeId, only, runId }) =>
  Effect.gen(function*() {
    const { client } = yield* Connection
    const output = yield* Output
    const answer = yield* client.retryTask({ runId, nodeId, iteration, resetDependents: !only })
    yield* output.print(
      RetryTask.successSchema,
      answer,
      ({ resetNodes }) => `Run ${runId} executes again: ${resetNodes.join(", ")}.`
    )
  })).pipe(Command.withDescription("Execute a failed node again."), provideConnection)

const deleteCommand = Command.make(
  "delete",
  { runId: runIdArgument, yes, ...connected },
  ({ runId, yes }) =>
    Effect.gen(function*() {
      const { client } = yield* Connection
      const output = yield* Output
      yield* confirm(`Delete run ${runId} and everything that belongs to it?`, yes)
      const answer = yield* client["runs.delete"]({ runId })
      yield* output.print(DeleteRun.successSchema, answer, () => `Run ${runId} is deleted.`)
    })
).pipe(Command.withDescription("Delete an ended run and everything that belongs to it."), provideConnection)

export const runsCommand = Command.make("runs").pipe(
  Command.withDescription("Administration of runs."),
  Command.withSubcommands([deleteCommand])
)

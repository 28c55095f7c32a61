import { Args, Command, Options } from "@effect/cli"
import { Clock, Effect, Option } from "effect"
import { type CacheEntryRow, CacheExplanation, PurgeCache } from "../../gateway/contract.ts"
import { CommandFailed } from "../CommandFailed.ts"
import { confirm } from "../Confirmation.ts"
import { Connection } from "../Connection.ts"
import { CacheDocument } from "../Documents.ts"
import { toMillis } from "../DurationOption.ts"
import { Output } from "../Output.ts"
import { connected, provideConnection, yes } from "../SharedOptions.ts"
import { dim, ofState } from "../Style.ts"
import { fields, span, table, timestamp } from "../Table.ts"

const filter = {
  workflow: Options.text("workflow").pipe(Options.withDescription("Only results of this workflow."), Options.optional),
  task: Options.text("task").pipe(Options.withDescription("Only of this task id or policy key."), Options.optional),
  tag: Options.text("tag").pipe(Options.withDescription("Only with this tag."), Options.optional),
  run: Options.text("run").pipe(Options.withDescription("Only those that this run stored."), Options.optional),
  olderThan: Options.text("older-than").pipe(
    Options.withDescription("Only stored longer ago than 30m, 24h, 7d."),
    Options.optional
  )
}

interface FilterOptions {
  readonly workflow: Option.Option<string>
  readonly task: Option.Option<string>
  readonly tag: Option.Option<string>
  readonly run: Option.Option<string>
  readonly olderThan: Option.Option<string>
}

const filterOf = ({ olderThan, run, tag, task, workflow }: FilterOptions) =>
  Effect.map(toMillis("--older-than", olderThan), (olderThanMs) => ({
    workflow: Option.getOrUndefined(workflow),
    task: Option.getOrUndefined(task),
    tag: Option.getOrUndefined(tag),
    runId: Option.getOrUndefined(run),
    olderThanMs
  }))

const expiryText = ({ expiresAtMs }: CacheEntryRow, now: number): string =>
  expiresAtMs === null ? "never" : expiresAtMs <= now ? "expired" : span(expiresAtMs - now)

const listCommand = Command.make("list", {
  ...filter,
  limit: Options.integer("limit").pipe(Options.withDescription("At most so many."), Options.withDefault(50)),
  ...connected
}, ({ limit, ...options }) =>
  Effect.gen(function*() {
    const { client } = yield* Connection
    const output = yield* Output
    const entries = yield* client["cache.list"]({ ...yield* filterOf(options), limit })
    const now = yield* Clock.currentTimeMillis
    yield* output.print(CacheDocument, { entries }, () =>
      entries.length === 0 ? "No cached results." : table(
        ["KEY", "SCOPE", "WORKFLOW", "TASK", "TAGS", "BYTES", "HITS", "AGE", "EXPIRES IN", "RUN"],
        entries.map((entry) => [
          entry.key.slice(0, 12),
          entry.scope,
          entry.workflow ?? "",
          entry.task,
          entry.tags.join(" "),
          String(entry.bytes),
          String(entry.hits),
          span(now - entry.createdAtMs),
          expiryText(entry, now),
          entry.runId ?? ""
        ])
      ))
  })).pipe(Command.withDescription("List cached results, newest first."), provideConnection)

const saidText = (said: NonNullable<CacheExplanation["said"]>): string => {
  if (said.type === "CacheMiss") {
    return `miss (${said.data.reason}): ${said.data.detail}${
      said.data.stored ? "" : " Its result was not to be stored."
    }`
  }
  const { ageMs, producer, savedMs, shared } = said.data
  const from = `node ${producer.nodeId} of run ${producer.runId ?? "-"} by ${producer.writer}`
  return shared === true
    ? `hit: the result of ${from}, for which it waited`
    : `hit: the result of ${from}, ${ageMs} ms old; saved ${savedMs} ms`
}

const nearestText = (entry: CacheEntryRow | null): string | null =>
  entry === null ? null : `${entry.key.slice(0, 12)}, of node ${entry.nodeId} of run ${entry.runId ?? "-"}`

const explanationText = ({ iteration, nodeId, notCached, now, runId, said }: CacheExplanation): string => {
  const node = iteration === 0 ? nodeId : `${nodeId} #${iteration}`
  if (said === null) return `${node} of run ${runId} has looked nothing up: it has no cache policy, or has not begun.`
  return [
    fields([
      ["Node", `${node} of run ${runId}, attempt ${said.attempt}`],
      ["Then", `${timestamp(said.atMs)}  ${saidText(said)}`],
      ["Not stored", notCached],
      ["Now", now === null ? null : `${now.verdict}: ${now.reason}`],
      ["Key", now?.key ?? null],
      ["Nearest", nearestText(now?.nearest ?? null)]
    ]),
    ...(now === null || now.parts.every(({ same }) => same) ? [] : [
      "",
      table(
        ["", "PART", "ASKED", "STORED"],
        now.parts.map(({ asked, name, same, stored }) => {
          const shown = same ? dim : ofState("failed")
          return [shown(same ? "=" : "≠"), name, shown(asked ?? "-"), shown(stored ?? "-")]
        })
      )
    ])
  ].join("\n")
}

const explainCommand = Command.make("explain", {
  runId: Args.text({ name: "runId" }).pipe(Args.withDescription("Id of the run.")),
  nodeId: Args.text({ name: "nodeId" }).pipe(Args.withDescription("Id of the node.")),
  iteration: Options.integer("iteration").pipe(
    Options.withDescription("Which turn of a loop, from 0."),
    Options.withDefault(0)
  ),
  ...connected
}, ({ iteration, nodeId, runId }) =>
  Effect.gen(function*() {
    const { client } = yield* Connection
    const output = yield* Output
    const explanation = yield* client["cache.explain"]({ runId, nodeId, iteration })
    yield* output.print(CacheExplanation, explanation, explanationText)
  })).pipe(Command.withDescription("Say why a node used a cached result or did not."), provideConnection)

const purgeCommand = Command.make("purge", {
  ...filter,
  all: Options.boolean("all").pipe(Options.withDescription("Everything; needed when nothing says which.")),
  dryRun: Options.boolean("dry-run").pipe(Options.withDescription("Only say how much it would be.")),
  yes,
  ...connected
}, ({ all, dryRun, yes, ...options }) =>
  Effect.gen(function*() {
    const { client } = yield* Connection
    const output = yield* Output
    const which = yield* filterOf(options)
    if (!all && Object.values(which).every((value) => value === undefined)) {
      return yield* new CommandFailed({
        outcome: "usage",
        code: "INVALID_INPUT",
        field: "--all",
        message: "Nothing says which results to remove.",
        fix: "Give --workflow, --task, --tag, --run or --older-than, or --all for everything."
      })
    }
    if (!dryRun && output.live && !yes) {
      const { bytes, entries } = yield* client["cache.purge"]({ ...which, dryRun: true })
      yield* confirm(`Remove ${entries} cached results of ${bytes} bytes?`, false)
    }
    const answer = yield* client["cache.purge"]({ ...which, dryRun })
    yield* output.print(
      PurgeCache.successSchema,
      answer,
      ({ bytes, entries }) => `${entries} cached results of ${bytes} bytes ${dryRun ? "would be" : "are"} removed.`
    )
  })).pipe(Command.withDescription("Remove cached results."), provideConnection)

export const cacheCommand = Command.make("cache").pipe(
  Command.withDescription("Results that tasks share."),
  Command.withSubcommands([listCommand, explainCommand, purgeCommand])
)

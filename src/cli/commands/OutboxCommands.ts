import { Args, Command, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import type { OutboxBatchRow } from "../../gateway/contract.ts"
import { confirm } from "../Confirmation.ts"
import { Connection } from "../Connection.ts"
import { OutboxDocument, OutboxDroppedDocument, OutboxRetriedDocument } from "../Documents.ts"
import { Output } from "../Output.ts"
import { connected, provideConnection, yes } from "../SharedOptions.ts"
import { ofState } from "../Style.ts"
import { table, timestamp } from "../Table.ts"

const ids = Args.integer({ name: "id" }).pipe(
  Args.withDescription("Ids of dead letters, as `outbox list` shows them."),
  Args.between(1, 1_000)
)

const rowOf = ({ attempts, channel, error, id, messages, nextAtMs, orgId, state }: OutboxBatchRow) => [
  String(id),
  channel,
  orgId === "" ? "-" : orgId,
  String(messages),
  state === "dead" ? ofState("failed")("dead") : "due",
  String(attempts),
  state === "dead" ? "-" : timestamp(nextAtMs),
  error ?? "-"
]

const listCommand = Command.make("list", {
  state: Options.choice("state", ["due", "dead"]).pipe(
    Options.withDescription("Only those still tried (due), or given up (dead)."),
    Options.optional
  ),
  channel: Options.choice("channel", ["audit", "billing"]).pipe(
    Options.withDescription("Only of this channel."),
    Options.optional
  ),
  org: Options.text("org").pipe(Options.withDescription("Only of this organization."), Options.optional),
  after: Options.integer("after").pipe(
    Options.withDescription("Only those behind the one with this id."),
    Options.optional
  ),
  limit: Options.integer("limit").pipe(Options.withDescription("At most so many."), Options.withDefault(50)),
  ...connected
}, ({ after, channel, limit, org, state }) =>
  Effect.gen(function*() {
    const { client } = yield* Connection
    const output = yield* Output
    const batches = yield* client["outbox.list"]({
      state: Option.getOrUndefined(state),
      channel: Option.getOrUndefined(channel),
      orgId: Option.getOrUndefined(org),
      after: Option.getOrUndefined(after),
      limit
    })
    yield* output.print(OutboxDocument, { batches }, () =>
      batches.length === 0
        ? "Nothing is waiting for another attempt."
        : table(["ID", "CHANNEL", "ORG", "MESSAGES", "STATE", "ATTEMPTS", "NEXT", "ERROR"], batches.map(rowOf)))
  })).pipe(Command.withDescription("List batches that are not delivered yet."), provideConnection)

const retryCommand = Command.make("retry", { ids, ...connected }, ({ ids }) =>
  Effect.gen(function*() {
    const { client } = yield* Connection
    const output = yield* Output
    const answer = yield* client["outbox.retry"]({ ids })
    yield* output.print(OutboxRetriedDocument, answer, ({ retried }) =>
      `${retried} dead ${retried === 1 ? "letter is" : "letters are"} delivered again.`)
  })).pipe(Command.withDescription("Deliver dead letters again."), provideConnection)

const dropCommand = Command.make("drop", { ids, yes, ...connected }, ({ ids, yes }) =>
  Effect.gen(function*() {
    const { client } = yield* Connection
    const output = yield* Output
    yield* confirm(`Remove ${ids.length} dead letters with their messages?`, yes)
    const answer = yield* client["outbox.drop"]({ ids })
    yield* output.print(OutboxDroppedDocument, answer, ({ dropped }) =>
      `${dropped} dead ${dropped === 1 ? "letter is" : "letters are"} removed.`)
  })).pipe(Command.withDescription("Remove dead letters for good."), provideConnection)

export const outboxCommand = Command.make("outbox").pipe(
  Command.withDescription("Deliveries of audit and usage to webhooks."),
  Command.withSubcommands([listCommand, retryCommand, dropCommand])
)

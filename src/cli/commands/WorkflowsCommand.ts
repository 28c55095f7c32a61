import { Command } from "@effect/cli"
import { Effect } from "effect"
import { Connection } from "../Connection.ts"
import { WorkflowsDocument } from "../Documents.ts"
import { Output } from "../Output.ts"
import { connected, provideConnection } from "../SharedOptions.ts"
import { table } from "../Table.ts"

const listCommand = Command.make("list", connected, () =>
  Effect.gen(function*() {
    const { client } = yield* Connection
    const output = yield* Output
    const workflows = yield* client.listWorkflows({})
    yield* output.print(WorkflowsDocument, { workflows }, () =>
      workflows.length === 0 ? "No workflows are loaded." : table(
        ["WORKFLOW", "DESCRIPTION"],
        workflows.map(({ description, key, readableName }) => [key, description ?? readableName ?? ""])
      ))
  })).pipe(Command.withDescription("List the workflows that can be launched."), provideConnection)

export const workflowsCommand = Command.make("workflows").pipe(
  Command.withDescription("The loaded workflows."),
  Command.withSubcommands([listCommand])
)

import { Args, Command, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import { CommandFailed } from "../CommandFailed.ts"
import { Connection } from "../Connection.ts"
import { exactDiff, oversizedText, shownDiffs } from "../DiffText.ts"
import { DiffDocument } from "../Documents.ts"
import { Output } from "../Output.ts"
import { connected, provideConnection } from "../SharedOptions.ts"

export const diffCommand = Command.make("diff", {
  runId: Args.text({ name: "runId" }).pipe(Args.withDescription("Id of the run.")),
  nodeId: Args.text({ name: "nodeId" }).pipe(
    Args.withDescription("Id of the node whose sandbox changed something. Default: all of the run."),
    Args.optional
  ),
  iteration: Options.integer("iteration").pipe(
    Options.withDescription("Which turn of a loop, from 0."),
    Options.withDefault(0)
  ),
  ...connected
}, ({ iteration, nodeId, runId }) =>
  Effect.gen(function*() {
    const { client } = yield* Connection
    const output = yield* Output
    const diff = yield* Option.match(nodeId, {
      onNone: () => client.getRunDiff({ runId }),
      onSome: (nodeId) => client.getNodeDiff({ runId, nodeId, iteration })
    })
    if (output.json) return yield* output.print(DiffDocument, diff, () => "")
    if ("status" in diff) {
      return yield* new CommandFailed({
        outcome: "failed",
        code: "DIFF_TOO_LARGE",
        message: oversizedText(diff)
      })
    }
    // What goes into a file or another program is left exactly as it is.
    yield* output.live ? output.say(shownDiffs(diff)) : output.draw(exactDiff(diff))
  })).pipe(Command.withDescription("Write what sandboxes changed, as a unified diff."), provideConnection)

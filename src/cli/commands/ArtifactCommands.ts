import { Args, Command, Options } from "@effect/cli"
import * as NodeSink from "@effect/platform-node/NodeSink"
import { Effect, Option, Stream } from "effect"
import { CommandFailed } from "../CommandFailed.ts"
import { Connection } from "../Connection.ts"
import { ArtifactDocument, ArtifactsDocument } from "../Documents.ts"
import { Output } from "../Output.ts"
import { connected, provideConnection } from "../SharedOptions.ts"
import { table } from "../Table.ts"
import { compared, writeWhole } from "../WholeFile.ts"

const run = Args.text({ name: "runId" }).pipe(Args.withDescription("Id of the run."))

const listCommand = Command.make("list", {
  run,
  limit: Options.integer("limit").pipe(
    Options.withDescription("At most so many, up to 1000."),
    Options.withDefault(100)
  ),
  after: Options.text("after").pipe(Options.withDescription("Only names behind this one."), Options.optional),
  ...connected
}, ({ after, limit, run }) =>
  Effect.gen(function*() {
    const { client } = yield* Connection
    const output = yield* Output
    const artifacts = yield* client.listArtifacts({ runId: run, limit, after: Option.getOrUndefined(after) })
    yield* output.print(ArtifactsDocument, { artifacts }, () =>
      artifacts.length === 0
        ? "No artifacts."
        : table(["NAME", "BYTES"], artifacts.map(({ bytes, name }) => [name, String(bytes)])))
  })).pipe(Command.withDescription("List what a run left, by name."), provideConnection)

const closed = new CommandFailed({ outcome: "failed", code: "CLOSED", message: "Nobody reads the standard output." })
const standardOutput = NodeSink.fromWritable(() => process.stdout, () => closed, { endOnDone: false })

const getCommand = Command.make("get", {
  run,
  name: Args.text({ name: "name" }).pipe(Args.withDescription("Name of the artifact, as list shows it.")),
  output: Options.text("output").pipe(
    Options.withDescription("File to write, which must not exist; - (default): standard output."),
    Options.withDefault("-")
  ),
  ...connected
}, ({ name, output: target, run }) =>
  Effect.scoped(Effect.gen(function*() {
    const { client } = yield* Connection
    const output = yield* Output
    const { bytes, content, sha256 } = yield* client.downloadArtifact({ runId: run, name })
    const right = compared(content, sha256, () =>
      new CommandFailed({
        outcome: "failed",
        code: "ARTIFACT_ALTERED",
        message: `What came is not the ${name} that run ${run} left.`
      }))
    if (target === "-") {
      // Nobody reads on (`… | head`): there is nothing left to do.
      return yield* Effect.catchIf(
        Stream.run(right, standardOutput),
        (error) => error === closed,
        () => Effect.interrupt
      )
    }
    yield* writeWhole(target, right)
    yield* output.print(
      ArtifactDocument,
      { file: target, name, bytes, sha256 },
      () => `${name} of run ${run} is in ${target} (${bytes} bytes, sha256 ${sha256}).`
    )
  }))).pipe(Command.withDescription("Write an artifact of a run out, compared with its hash."), provideConnection)

export const artifactsCommand = Command.make("artifacts").pipe(
  Command.withDescription("What runs left for people and other programs."),
  Command.withSubcommands([listCommand, getCommand])
)

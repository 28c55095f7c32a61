import { Args, Command, Options } from "@effect/cli"
import { Clock, Effect, Option, Schema } from "effect"
import { type SandboxProof, SandboxRuntimeName } from "../../gateway/contract.ts"
import { CommandFailed } from "../CommandFailed.ts"
import { Connection } from "../Connection.ts"
import { ProofDocument, SandboxesDocument } from "../Documents.ts"
import { Output } from "../Output.ts"
import { connected, provideConnection } from "../SharedOptions.ts"
import { ofState } from "../Style.ts"
import { span, table } from "../Table.ts"
import { visible } from "../Visible.ts"

const decodeRuntime = Schema.decodeUnknown(SandboxRuntimeName)

const parseRuntime = (text: string) =>
  Effect.mapError(decodeRuntime(text), () =>
    new CommandFailed({
      outcome: "usage",
      code: "INVALID_INPUT",
      field: "--runtime",
      message: `--runtime "${text}" is not a runtime.`,
      fix: `Give one of ${SandboxRuntimeName.literals.join(", ")}.`
    }))

const proofText = ({ controls, runtime }: SandboxProof): string =>
  `${runtime}, asked for everything:\n` +
  table(
    ["CONTROL", "ASKED", "ENFORCED", "EVIDENCE"],
    controls.map(({ asked, control, enforced, evidence }) => [
      control,
      asked ? "yes" : "no",
      enforced ? ofState("finished")("yes") : ofState(asked ? "failed" : "pending")("NO"),
      visible(evidence)
    ])
  )

const verifyCommand = Command.make("verify", {
  runtime: Options.text("runtime").pipe(
    Options.withDescription("bubblewrap, docker, podman, process or remote. Default: the configured one."),
    Options.optional
  ),
  image: Options.text("image").pipe(
    Options.withDescription("Image for a container engine; perl must be in it."),
    Options.optional
  ),
  ...connected
}, ({ image, runtime }) =>
  Effect.gen(function*() {
    const { client } = yield* Connection
    const output = yield* Output
    const proof = yield* client["sandbox.verify"]({
      runtime: Option.getOrUndefined(yield* Effect.transposeMapOption(runtime, parseRuntime)),
      image: Option.getOrUndefined(image)
    })
    yield* output.print(ProofDocument, proof, proofText)
    const broken = proof.controls.filter(({ asked, enforced }) => asked && !enforced)
    if (broken.length > 0) {
      return yield* new CommandFailed({
        outcome: "failed",
        code: "CONTROL_NOT_ENFORCED",
        message: `${proof.runtime} does not enforce ${broken.map(({ control }) => control).join(", ")}.`,
        fix: "A task that asks for it fails before it runs."
      })
    }
  })).pipe(
    Command.withDescription("Prove from inside a sandbox what its runtime enforces; exit code 1 if something is not."),
    provideConnection
  )

const listCommand = Command.make("list", {
  runId: Args.text({ name: "runId" }).pipe(Args.withDescription("Id of the run.")),
  ...connected
}, ({ runId }) =>
  Effect.gen(function*() {
    const { client } = yield* Connection
    const output = yield* Output
    const sandboxes = yield* client["sandboxes.list"]({ runId })
    const now = yield* Clock.currentTimeMillis
    yield* output.print(SandboxesDocument, { sandboxes }, () =>
      sandboxes.length === 0 ? "No sandboxes." : table(
        ["SANDBOX", "ATTEMPT", "RUNTIME", "STATUS", "CONTROLS PROVED", "CHANGED FILES", "AGE", "ERROR"],
        sandboxes.map((row) => [
          row.sandboxId,
          String(row.attempt),
          row.runtime,
          ofState(row.status)(row.status),
          row.proof === null ? "none" : String(row.proof.controls.filter(({ enforced }) => enforced).length),
          row.patchCount === null ? "" : String(row.patchCount),
          span(now - row.createdAtMs),
          visible(row.error ?? "").replaceAll("\n", " ")
        ])
      ))
  })).pipe(Command.withDescription("List the sandboxes of a run, oldest first."), provideConnection)

export const sandboxCommand = Command.make("sandbox").pipe(
  Command.withDescription("Where commands that nobody trusts are executed."),
  Command.withSubcommands([verifyCommand, listCommand])
)

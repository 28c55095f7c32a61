import { Args, Command, Options } from "@effect/cli"
import { Effect, Option } from "effect"
import { type ApprovalRow } from "../../gateway/contract.ts"
import { CommandFailed } from "../CommandFailed.ts"
import { confirm } from "../Confirmation.ts"
import { Connection } from "../Connection.ts"
import { DecisionDocument } from "../Documents.ts"
import { Output } from "../Output.ts"
import { payloadText, selectionOf } from "../ReviewText.ts"
import { connected, provideConnection, yes } from "../SharedOptions.ts"
import { fields } from "../Table.ts"

/** The one approval that is meant; says what there is if it is not this. */
const findApproval = Effect.fnUntraced(
  function*(runId: string, nodeId: string, iteration: Option.Option<number>) {
    const { client } = yield* Connection
    yield* client.getRun({ runId })
    const pending = yield* client.listApprovals({ filter: { runId } })
    const [first, second] = pending.filter((approval) =>
      approval.nodeId === nodeId && Option.getOrElse(iteration, () => approval.iteration) === approval.iteration
    )
    if (first !== undefined && second !== undefined) {
      return yield* new CommandFailed({
        outcome: "usage",
        code: "AMBIGUOUS",
        field: "--iteration",
        message: `Several iterations of ${nodeId} wait for approval.`,
        fix: "Say which one: --iteration <n>."
      })
    }
    if (first !== undefined) return first
    const nodes = yield* client.listNodeStates({ runId })
    const exists = nodes.some((node) => node.nodeId === nodeId)
    return yield* new CommandFailed({
      outcome: exists ? "conflict" : "notFound",
      code: exists ? "NOT_WAITING" : "NOT_FOUND",
      message: exists
        ? `Node ${nodeId} of run ${runId} is not waiting for approval.`
        : `Run ${runId} has no node ${nodeId}.`,
      fix: pending.length === 0
        ? "The run waits for no approval."
        : `It waits for: ${pending.map((approval) => approval.nodeId).join(", ")}.`
    })
  }
)

const approvalText = (approval: ApprovalRow): string =>
  [
    fields([
      ["Asked", approval.requestTitle],
      ["", approval.requestSummary],
      ["Owner", approval.owner],
      ["SHA-256", approval.payloadSha256]
    ]),
    payloadText(approval)
  ].join("\n")

const decisionCommand = (name: "approve" | "deny", description: string) =>
  Command.make(name, {
    runId: Args.text({ name: "runId" }).pipe(Args.withDescription("Id of the run.")),
    nodeId: Args.text({ name: "nodeId" }).pipe(Args.withDescription("Id of the node that waits.")),
    iteration: Options.integer("iteration").pipe(
      Options.withDescription("Which turn of a loop, from 0. Default: the one that waits."),
      Options.optional
    ),
    note: Options.text("note").pipe(Options.withDescription("Kept with the decision."), Options.optional),
    accept: Options.text("accept").pipe(
      Options.withDescription(
        "Of a review of files: accept this one, as <path> or <path>:1,3 for some hunks. Repeatable."
      ),
      Options.repeated
    ),
    sha256: Options.text("sha256").pipe(
      Options.withDescription("Decide only if this is the hash of what is asked, as `show` gave it before."),
      Options.optional
    ),
    yes,
    ...connected
  }, (options) =>
    Effect.gen(function*() {
      const { client } = yield* Connection
      const output = yield* Output
      const approval = yield* findApproval(options.runId, options.nodeId, options.iteration)
      if (Option.isSome(options.sha256) && options.sha256.value !== approval.payloadSha256) {
        return yield* new CommandFailed({
          outcome: "conflict",
          code: "PAYLOAD_CHANGED",
          field: "--sha256",
          message: `What ${options.nodeId} asks now has the SHA-256 ${approval.payloadSha256}, not the given one.`,
          fix: `Look at it again: \`smithers show ${options.runId}\`.`
        })
      }
      if (name === "deny" && options.accept.length > 0) {
        return yield* new CommandFailed({
          outcome: "usage",
          code: "INVALID_INPUT",
          field: "--accept",
          message: "Denying accepts nothing.",
          fix: "Accept a part with `smithers approve --accept`; the rest is rejected."
        })
      }
      const selection = options.accept.length === 0 ? undefined : yield* selectionOf(approval, options.accept)
      yield* output.say(approvalText(approval))
      yield* confirm(name === "approve" ? "Approve this?" : "Deny this?", options.yes)
      const decision = yield* client.submitApproval({
        runId: approval.runId,
        nodeId: approval.nodeId,
        iteration: approval.iteration,
        approved: name === "approve",
        payloadSha256: approval.payloadSha256,
        ...(selection !== undefined && { decision: { value: selection } }),
        ...Option.match(options.note, { onNone: () => ({}), onSome: (note) => ({ note }) })
      })
      yield* output.print(
        DecisionDocument,
        { approval, decision },
        () => `${approval.nodeId} of run ${approval.runId} is ${decision.approved ? "approved" : "denied"}.`
      )
    })).pipe(Command.withDescription(description), provideConnection)

export const approveCommand = decisionCommand("approve", "Approve what a run asks; shows it first.")
export const denyCommand = decisionCommand("deny", "Deny what a run asks; shows it first.")

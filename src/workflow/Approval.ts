import type { WorkflowEngine } from "@effect/workflow"
import { Effect, Schema } from "effect"
import { ApprovalGate, ApprovalPaths, Step } from "../engine/index.ts"
import type { ApprovalOutcome } from "../model/index.ts"

/** Annotates a workflow with the places where it asks, and who answers for them. */
export const Paths = ApprovalPaths

export type Request = ApprovalGate.ApprovalRequest

/** Somebody said no. Put it into the `error` schema of the workflow. */
export class ApprovalDenied extends Schema.TaggedError<ApprovalDenied>()("ApprovalDenied", {
  nodeId: Schema.String,
  decidedBy: Schema.String,
  note: Schema.NullOr(Schema.String)
}) {
  override get message(): string {
    return `${this.nodeId} was denied by ${this.decidedBy}${this.note === null ? "" : `: ${this.note}`}`
  }
}

/**
 * Asks a person and waits for the answer, however long it takes: the run is parked and holds no memory meanwhile. The
 * decision binds to the SHA-256 of `payload`, which is what the approver is shown; pass the very value that will be used.
 */
export const ask = (
  options: Request
): Effect.Effect<ApprovalOutcome, never, WorkflowEngine.WorkflowInstance> =>
  ApprovalGate.request(options, Step.here(ask))

/** Like `ask`, and fails with `ApprovalDenied` when the answer is no. */
export const request = (
  options: Request
): Effect.Effect<ApprovalOutcome, ApprovalDenied, WorkflowEngine.WorkflowInstance> =>
  Effect.flatMap(ApprovalGate.request(options, Step.here(request)), (outcome) =>
    outcome.approved
      ? Effect.succeed(outcome)
      : new ApprovalDenied({ nodeId: options.id, decidedBy: outcome.decidedBy, note: outcome.note }))

import { Schema } from "effect"

/** No workflow module with this name is loaded. */
export class WorkflowNotFound extends Schema.TaggedError<WorkflowNotFound>()("WorkflowNotFound", {
  workflow: Schema.String
}) {
  override get message(): string {
    return `Unknown workflow: ${this.workflow}`
  }
}

/** A value is outside what is accepted: names the field and the bound. Nothing was written. */
export class InvalidInput extends Schema.TaggedError<InvalidInput>()("InvalidInput", {
  field: Schema.String,
  problem: Schema.String
}) {
  override get message(): string {
    return `${this.field}: ${this.problem}`
  }
}

/** The tenant has reached a hard limit: nothing is launched for it until there is room. Nothing was written. */
export class QuotaExceeded extends Schema.TaggedError<QuotaExceeded>()("QuotaExceeded", {
  orgId: Schema.String,
  projectId: Schema.NullOr(Schema.String),
  metric: Schema.String,
  unit: Schema.String,
  limit: Schema.Number,
  used: Schema.Number
}) {
  override get message(): string {
    return `The limit of ${this.limit} ${this.unit} of ${this.metric} is reached (${this.used} used)`
  }
}

/** The run is not in a state that allows the operation. Nothing was written. */
export class RunConflict extends Schema.TaggedError<RunConflict>()("RunConflict", {
  runId: Schema.String,
  reason: Schema.Literal("Exists", "NotActive", "Active", "NotFailed", "OrgDeleted"),
  status: Schema.NullOr(Schema.String)
}) {
  override get message(): string {
    switch (this.reason) {
      case "Exists":
        return `Run ${this.runId} exists already`
      case "NotActive":
        return `Run ${this.runId} is not active (${this.status})`
      case "Active":
        return `Run ${this.runId} is active (${this.status})`
      case "NotFailed":
        return `Only failed and cancelled nodes can be retried (this one is ${this.status})`
      case "OrgDeleted":
        return `Run ${this.runId} would be one of an organization that was deleted`
    }
  }
}

/** The run has no such node. */
export class NodeNotFound extends Schema.TaggedError<NodeNotFound>()("NodeNotFound", {
  runId: Schema.String,
  nodeId: Schema.String,
  iteration: Schema.Int
}) {
  override get message(): string {
    return `Run ${this.runId} has no node ${this.nodeId} (iteration ${this.iteration})`
  }
}

/** The decision was not taken. `status` is what was decided before, if anything was. */
export class DecisionRefused extends Schema.TaggedError<DecisionRefused>()("DecisionRefused", {
  runId: Schema.String,
  nodeId: Schema.String,
  iteration: Schema.Int,
  reason: Schema.Literal("AlreadyDecided", "NotWaiting", "NotAllowed", "PayloadChanged"),
  status: Schema.NullOr(Schema.Literal("approved", "denied"))
}) {
  override get message(): string {
    switch (this.reason) {
      case "AlreadyDecided":
        return `Node ${this.nodeId} was already ${this.status}.`
      case "NotWaiting":
        return `Node ${this.nodeId} is not waiting for approval.`
      case "NotAllowed":
        return `You may not decide node ${this.nodeId}.`
      case "PayloadChanged":
        return `What node ${this.nodeId} asks to approve is not what was shown to you.`
    }
  }
}

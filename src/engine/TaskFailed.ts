import { Schema } from "effect"

/**
 * A task did not succeed and its error schema does not say how: what went wrong, redacted, without the payload.
 * It is a defect of the workflow body unless the task's `error` schema includes it.
 */
export class TaskFailed extends Schema.TaggedError<TaskFailed>()("TaskFailed", {
  nodeId: Schema.String,
  reason: Schema.Literal(
    "Failed",
    "Defect",
    "TimedOut",
    "HeartbeatLost",
    "OutcomeUnknown",
    "OutputInvalid",
    "OutputTooLarge",
    "SecretRefused"
  ),
  /** Name of the underlying error, e.g. its `_tag`. */
  cause: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `Task ${this.nodeId}: ${this.reason} (${this.cause}): ${this.detail}`
  }
}

/** Two steps of one run carry the same id and iteration: a mistake in the workflow, named with both places. */
export class DuplicateNode extends Schema.TaggedError<DuplicateNode>()("DuplicateNode", {
  nodeId: Schema.String,
  iteration: Schema.Int,
  first: Schema.String,
  second: Schema.String
}) {
  override get message(): string {
    return `Node ${this.nodeId} (iteration ${this.iteration}) is used twice: ${this.first} and ${this.second}`
  }
}

import { Schema } from "effect"

/** There is no run of this id. */
export class RunNotFound extends Schema.TaggedError<RunNotFound>()("RunNotFound", { runId: Schema.String }) {
  override get message(): string {
    return `Run not found: ${this.runId}`
  }
}

/** The run was taken over by a later epoch: whoever holds the older one must write nothing more. */
export class StaleEpoch extends Schema.TaggedError<StaleEpoch>()("StaleEpoch", {
  runId: Schema.String,
  epoch: Schema.Int
}) {
  override get message(): string {
    return `Run ${this.runId} is no longer owned under epoch ${this.epoch}`
  }
}

/** A run of this id, or of this workflow and idempotency key, is there already. */
export class RunExists extends Schema.TaggedError<RunExists>()("RunExists", { runId: Schema.String }) {
  override get message(): string {
    return `Run ${this.runId} exists already`
  }
}

/** The run is no longer in the state that the change started from; nothing was written. */
export class RunChanged extends Schema.TaggedError<RunChanged>()("RunChanged", { runId: Schema.String }) {
  override get message(): string {
    return `Run ${this.runId} has changed meanwhile`
  }
}

/** The node has its result already. */
export class NodeCompleted extends Schema.TaggedError<NodeCompleted>()("NodeCompleted", {
  runId: Schema.String,
  nodeId: Schema.String,
  iteration: Schema.Int
}) {
  override get message(): string {
    return `Node ${this.nodeId} of run ${this.runId} has its result already`
  }
}

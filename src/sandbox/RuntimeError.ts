import { Schema } from "effect"

/** A policy or a request to run something is outside its bounds; nothing was started. */
export class PolicyInvalid extends Schema.TaggedError<PolicyInvalid>()("PolicyInvalid", {
  /** The path of the field, for instance `volumes.0.source`. */
  field: Schema.String,
  /** What it must be. */
  bound: Schema.String
}) {
  override get message(): string {
    return `${this.field}: ${this.bound}`
  }
}

/** A control that was asked for is not one this runtime enforces, so nothing was run under it. */
export class ControlNotEnforced extends Schema.TaggedError<ControlNotEnforced>()("ControlNotEnforced", {
  runtime: Schema.String,
  control: Schema.String,
  reason: Schema.Literal(
    /** The runtime has no means for it here. */
    "Unsupported",
    /** It has, but a probe or a look from outside showed that the control does not hold. */
    "Unproved"
  ),
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.runtime} does not enforce ${this.control}: ${this.detail}`
  }
}

/** The runtime does not work on this machine, or is not allowed in this environment. */
export class RuntimeUnavailable extends Schema.TaggedError<RuntimeUnavailable>()("RuntimeUnavailable", {
  runtime: Schema.String,
  reason: Schema.Literal("Missing", "NotWorking", "Forbidden", "Unknown", "Busy"),
  /** What is missing, and what to do about it. */
  detail: Schema.String
}) {
  override get message(): string {
    return `The sandbox runtime ${this.runtime} cannot be used: ${this.detail}`
  }
}

/** The sandbox could not be set up, or its workspace could not be taken over; the workspace is as it was. */
export class RuntimeFailed extends Schema.TaggedError<RuntimeFailed>()("RuntimeFailed", {
  runtime: Schema.String,
  reason: Schema.Literal(
    "Spawn",
    "Setup",
    "WorkspaceUnreadable",
    "WorkspaceTooLarge",
    "WorkspaceNotReplaced",
    /** A worker stopped, or was not heard of any more: whether the command ended is not known. */
    "WorkerLost"
  ),
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.runtime}: ${this.reason}: ${this.detail}`
  }
}

import { Schema } from "effect"
import { Versions } from "./ChangeRefused.ts"

/** A sandbox did not come to a result, or its result was refused. Nothing of it has been applied. */
export class SandboxFailed extends Schema.TaggedError<SandboxFailed>()("SandboxFailed", {
  sandboxId: Schema.String,
  reason: Schema.Literal(
    /** A field of the request is outside its bounds; `detail` names both. */
    "InvalidRequest",
    /** The runtime does not work here, is forbidden, or has no place left. */
    "Unavailable",
    /** A control that was asked for is not enforced. */
    "NotEnforced",
    /** A secret could not be resolved. */
    "Secret",
    /** The sandbox could not be set up, or our own files could not be read or written. */
    "Setup",
    /** The command ended with another code than 0. */
    "ExitCode",
    "TimedOut",
    /** Killed at a limit of memory, disk or output, or by somebody else. */
    "Killed",
    /** The command said itself that it failed or was cancelled. */
    "Reported",
    /** What it left behind breaks a rule of bundles. */
    "Refused",
    /** Its outputs do not fit the output schema. */
    "OutputInvalid",
    /** A decision about its changes cannot be carried out. */
    "Decision",
    /** The target is not what the changes were made on any more; `versions` shows base, current and produced. */
    "Stale",
    /** There is no such change set. */
    "Unknown"
  ),
  detail: Schema.String,
  versions: Schema.optionalWith(Schema.Array(Versions), { default: () => [] })
}) {
  override get message(): string {
    return `Sandbox ${this.sandboxId} (${this.reason}): ${this.detail}`
  }
}

/** Somebody rejected all changes of a sandbox. */
export class ReviewRejected extends Schema.TaggedError<ReviewRejected>()("ReviewRejected", {
  sandboxId: Schema.String,
  decidedBy: Schema.String,
  note: Schema.NullOr(Schema.String)
}) {
  override get message(): string {
    return `${this.decidedBy} rejected the changes of ${this.sandboxId}${this.note === null ? "" : `: ${this.note}`}`
  }
}

import { Schema } from "effect"

/** What a worker sent is not acceptable; nothing of it was taken over. */
export class WorkerRefused extends Schema.TaggedError<WorkerRefused>()("WorkerRefused", {
  reason: Schema.Literal(
    /** There is no such job, it has ended, or it belongs to another token. */
    "UnknownJob",
    /** Something else has to come before this: the proof, an earlier piece, the upload of a file. */
    "OutOfOrder",
    /** A bound is exceeded. */
    "TooLarge",
    /** The content does not have its hash, or the result no meaning. */
    "Corrupt",
    /** As many workers as may be are there already. */
    "Busy"
  ),
  field: Schema.String,
  /** What would have been allowed. */
  bound: Schema.String
}) {
  override get message(): string {
    return `${this.field}: ${this.bound}`
  }
}

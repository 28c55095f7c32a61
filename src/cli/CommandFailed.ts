import { Schema } from "effect"

/** How a command can end, and the exit code that says so. */
export const exitCodes = {
  /** Done; of a followed run: it finished. */
  ok: 0,
  /** The operation failed; of a followed run: it failed or was cancelled. */
  failed: 1,
  /** The command line, an input or a setting is not acceptable. Nothing was done. */
  usage: 2,
  /** No service answers at the address. */
  unreachable: 3,
  /** The token is missing, not valid, or may not do this. */
  forbidden: 4,
  /** There is no such run, node, workflow, token or file. */
  notFound: 5,
  /** The state of things does not allow it: decided already, run exists already, home in use. */
  conflict: 6,
  /** Interrupted by a signal before it was done. */
  interrupted: 130
} as const

/** What every failure of a command is reported as: one sentence, and where it helps the field and the fix. */
export class CommandFailed extends Schema.TaggedError<CommandFailed>()("CommandFailed", {
  outcome: Schema.Literal("failed", "usage", "unreachable", "forbidden", "notFound", "conflict"),
  /** For programs: a wire code, or the name of the error. */
  code: Schema.String,
  message: Schema.String,
  /** What was wrong about the input: an option, a setting, a member of a request. */
  field: Schema.optional(Schema.String),
  fix: Schema.optional(Schema.String)
}) {
  get exitCode(): number {
    return exitCodes[this.outcome]
  }
}

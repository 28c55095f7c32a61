import type { SqlError } from "@effect/sql"
import { Effect, ParseResult, Schema } from "effect"

/** The database could not do what it was asked. Nothing of the refused unit was written, unless the reason is `CommitUnknown`. */
export class PersistenceError extends Schema.TaggedError<PersistenceError>()("PersistenceError", {
  operation: Schema.String,
  reason: Schema.Literal("Sql", "Constraint", "Busy", "Full", "CommitUnknown", "Decode", "Closed"),
  cause: Schema.optional(Schema.Defect)
}) {
  override get message(): string {
    const cause = this.cause instanceof Error ? `: ${this.cause.message}` : ""
    return `${this.operation}: ${this.reason}${cause}`
  }

  /** Turns what a read can fail with into this error; a domain error left unhandled does not compile. */
  static refail = (operation: string) =>
    Effect.mapError((cause: SqlError.SqlError | ParseResult.ParseError) =>
      new PersistenceError({ operation, reason: ParseResult.isParseError(cause) ? "Decode" : "Sql", cause })
    )
}

/** The service must not start on this database, for the reason given. */
export class StartRefused extends Schema.TaggedError<StartRefused>()("StartRefused", {
  reason: Schema.Literal(
    "InstanceLocked",
    "PragmaMismatch",
    "SqliteVersion",
    "NodeVersion",
    "NetworkFileSystem",
    "NewerDatabase",
    "ForeignDatabase",
    "MigrationsPending",
    "MigrationFailed",
    "Open"
  ),
  detail: Schema.String,
  fix: Schema.String
}) {
  override get message(): string {
    return `${this.detail} ${this.fix}`
  }
}

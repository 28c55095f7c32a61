import { Schema } from "effect"

/** The repository is not one that this workflow may read. */
export class RepositoryRefused extends Schema.TaggedError<RepositoryRefused>()("RepositoryRefused", {
  repo: Schema.String,
  reason: Schema.Literal("NotFound", "NotARepository", "OutsideAllowedRoots", "NoWorkTree")
}) {
  override get message(): string {
    switch (this.reason) {
      case "NotFound":
        return `repo: there is no ${this.repo}`
      case "NotARepository":
        return `repo: ${this.repo} is not the top folder of a git repository`
      case "NoWorkTree":
        return `repo: ${this.repo} has no files checked out, so there is no CHANGELOG.md to change`
      case "OutsideAllowedRoots":
        return `repo: ${this.repo} is outside of the directories in SMITHERS_REPO_ROOTS`
    }
  }
}

/** The repository has no such commit. */
export class RefNotFound extends Schema.TaggedError<RefNotFound>()("RefNotFound", {
  field: Schema.Literal("from", "to"),
  ref: Schema.String
}) {
  override get message(): string {
    return `${this.field}: ${this.ref} names no commit of this repository`
  }
}

/** More history than one set of notes can be made of; nothing was collected. */
export class RangeTooLarge extends Schema.TaggedError<RangeTooLarge>()("RangeTooLarge", {
  limit: Schema.Int,
  unit: Schema.Literal("commits", "characters")
}) {
  override get message(): string {
    return `The range has more than ${this.limit} ${this.unit}; choose a later \`from\``
  }
}

/** There is nothing to write about. */
export class EmptyRange extends Schema.TaggedError<EmptyRange>()("EmptyRange", {
  from: Schema.NullOr(Schema.String),
  to: Schema.String,
  merges: Schema.Int
}) {
  override get message(): string {
    const start = this.from === null ? "the root" : this.from
    return this.merges === 0
      ? `No commit is reachable from ${this.to} and not from ${start}`
      : `Between ${start} and ${this.to} there are only merges (${this.merges})`
  }
}

/** Git did not do what it was asked. */
export class GitFailed extends Schema.TaggedError<GitFailed>()("GitFailed", {
  operation: Schema.String,
  reason: Schema.Literal("NotExecuted", "TimedOut", "ExitCode", "Unreadable"),
  detail: Schema.String
}) {
  override get message(): string {
    return `git ${this.operation} (${this.reason}): ${this.detail}`
  }
}

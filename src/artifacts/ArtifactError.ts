import { Schema } from "effect"

/** An input that no artifact store takes; nothing was written and nobody was asked. */
export class ArtifactRefused extends Schema.TaggedError<ArtifactRefused>()("ArtifactRefused", {
  field: Schema.Literal("name", "content", "runId", "orgId", "after", "limit"),
  bound: Schema.String
}) {
  override get message(): string {
    return `${this.field}: ${this.bound}`
  }
}

/**
 * The store did not do it.
 *
 * - `NotFound`: there is no such artifact
 * - `Exists`: there is one already, and only a new one was wanted; it stays as it is
 * - `Altered`: the content is not the one that was put, or nothing says what was put; it is not handed over
 * - `Refused`: the store will not, and asking again does not help: credentials, bucket, region; a link or another
 *   artifact in the way
 * - `Unavailable`: no answer, or one that says "later", however often it was asked; a put may have taken place
 */
export class ArtifactFailed extends Schema.TaggedError<ArtifactFailed>()("ArtifactFailed", {
  reason: Schema.Literal("NotFound", "Exists", "Altered", "Refused", "Unavailable"),
  /** Where the artifact would be. */
  place: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `Artifact ${this.place} (${this.reason}): ${this.detail}`
  }
}

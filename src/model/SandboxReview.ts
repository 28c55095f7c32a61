import { Schema } from "effect"

/** One file that a command in a sandbox has changed, as a reviewer is shown it. */
export const ReviewedFile = Schema.Struct({
  path: Schema.String,
  operation: Schema.Literal("add", "modify", "delete", "rename"),
  /** Of a rename: where the file was. */
  from: Schema.NullOr(Schema.String),
  content: Schema.Literal("same", "text", "binary", "large"),
  added: Schema.Int,
  removed: Schema.Int,
  /** They are numbered from 1, as they come in `diff`. */
  hunks: Schema.Int,
  /** SHA-256 before and after; null: no file. */
  base: Schema.NullOr(Schema.String),
  produced: Schema.NullOr(Schema.String),
  /** As git shows it; null when the review would become too large with it. */
  diff: Schema.NullOr(Schema.String)
})
export type ReviewedFile = typeof ReviewedFile.Type

/** What somebody is asked about who reviews the changes of a sandbox: the payload of that approval. */
export const SandboxReview = Schema.Struct({
  /** Digest of exactly these changes. */
  changeSet: Schema.String,
  baseRef: Schema.String,
  /** The directory that accepted changes go to. */
  target: Schema.String,
  files: Schema.Array(ReviewedFile)
})
export type SandboxReview = typeof SandboxReview.Type

import { Schema } from "effect"

/** Our own files cannot be read or written, or are not what we wrote. `path` is the file or the content's hash. */
export class BundleFailed extends Schema.TaggedError<BundleFailed>()("BundleFailed", {
  reason: Schema.Literal(
    /** The operating system refused; `detail` begins with its error code. */
    "Io",
    /** No content with this hash is stored. */
    "BlobMissing",
    /** The stored content does not have its hash; it is removed, so that storing it again mends it. */
    "BlobCorrupt",
    /** More than one blob may have. */
    "BlobTooLarge"
  ),
  path: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.reason}: ${this.path}: ${this.detail}.`
  }
}

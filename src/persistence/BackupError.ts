import { Schema } from "effect"

/** A backup could not be made, is not what its manifest says, or must not be put in place. `path` is the file it is about. */
export class BackupError extends Schema.TaggedError<BackupError>()("BackupError", {
  reason: Schema.Literal(
    /** The home has no database to back up. */
    "NoDatabase",
    /** Something lies at the destination already. */
    "AlreadyExists",
    "ManifestMissing",
    /** Not a manifest of this version, or not one at all. */
    "ManifestUnreadable",
    /** The manifest does not carry its own checksum. */
    "ManifestAltered",
    "FileMissing",
    /** Shorter or longer than the manifest says. */
    "SizeDiffers",
    /** As long as it should be, but not the same bytes. */
    "ContentDiffers",
    /** SQLite finds damage in it. */
    "Corrupt",
    "ForeignKeys",
    /** The tables or their row counts are not those of the manifest. */
    "CountsDiffer",
    /** Made by a later version than this. */
    "NewerDatabase",
    /** Not a database of this program. */
    "ForeignDatabase",
    /** The home to restore into has a database, and `force` was not asked for. */
    "DatabaseExists",
    /** Another process has the database open that is to be replaced. */
    "InUse",
    /** A restore was cut off; the next start of the service finishes it. */
    "RestorePending",
    "Io"
  ),
  path: Schema.String,
  detail: Schema.String
}) {
  override get message(): string {
    return `${this.reason}: ${this.path}: ${this.detail}.`
  }
}

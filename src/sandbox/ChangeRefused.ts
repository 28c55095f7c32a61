import { Schema } from "effect"
import { FileVersion } from "./Tree.ts"

/** The three versions of a file whose base has moved on. Texts are cut at 65,536 characters; null for what is no text. */
export const Versions = Schema.Struct({
  path: Schema.String,
  /** What the change was made on; null when there was no such file. */
  base: Schema.NullOr(FileVersion),
  /** What is there now; null when nothing is, or no file. */
  current: Schema.NullOr(FileVersion),
  /** What the change would make of it; null when it would remove it. */
  produced: Schema.NullOr(FileVersion),
  texts: Schema.Struct({
    base: Schema.NullOr(Schema.String),
    current: Schema.NullOr(Schema.String),
    produced: Schema.NullOr(Schema.String)
  })
})
export type Versions = typeof Versions.Type

/** A decision cannot be carried out. Nothing of the target has changed, except after `RecoveryBlocked`. */
export class ChangeRefused extends Schema.TaggedError<ChangeRefused>()("ChangeRefused", {
  reason: Schema.Literal(
    /** The decision names a file that is not in the change set, or names one twice. */
    "UnknownPath",
    /** The decision names a hunk that the file does not have, or one twice, or none. */
    "UnknownHunk",
    /** The change has no hunks to choose from: an addition, a deletion, a binary or large file, a mere renaming. */
    "NoHunks",
    /** Two accepted changes, or an accepted and a rejected one, cannot both hold: a file where a directory must be. */
    "Conflict",
    /** The decision is about another change set. */
    "OtherChangeSet",
    /** The target is not what the changes were made on any more; `versions` has the first 20 files. */
    "Stale",
    /** No absolute path of a directory that lies in another one. */
    "Target",
    /** Another application to this target is under way, or was cut off: `recover` first. */
    "Busy",
    /** Somebody put something where an interrupted application has to put the old file back; both are kept. */
    "RecoveryBlocked"
  ),
  path: Schema.String,
  detail: Schema.String,
  versions: Schema.Array(Versions)
}) {
  override get message(): string {
    return `${this.reason}: ${this.path}: ${this.detail}.`
  }
}

export const refuseChange = (
  reason: ChangeRefused["reason"],
  path: string,
  detail: string,
  versions: ReadonlyArray<Versions> = []
): ChangeRefused => new ChangeRefused({ reason, path, detail, versions })

import { FileSystem } from "@effect/platform"
import { Effect, Schema } from "effect"
import { createHash } from "node:crypto"
import { BackupError } from "./BackupError.ts"

/** What a backup is, written beside it; a backup without its manifest is an unfinished one. */
export const BackupManifest = Schema.Struct({
  format: Schema.Literal(1),
  createdAtMs: Schema.Int,
  bytes: Schema.Int,
  /** SHA-256 (hex) of the database file. */
  sha256: Schema.String,
  pageBytes: Schema.Int,
  /** The schema generation of the program that wrote the database. */
  generation: Schema.Int,
  sqliteVersion: Schema.String,
  /** Rows of each table. */
  tables: Schema.Record({ key: Schema.String, value: Schema.Int }),
  /** SHA-256 (hex) of the text of this file with an empty string in this place: finds accidents, not forgers. */
  manifestSha256: Schema.String
})
export type BackupManifest = typeof BackupManifest.Type

const ManifestText = Schema.parseJson(BackupManifest, { space: 2 })

const sha256 = (text: string) => createHash("sha256").update(text).digest("hex")

const sealLine = (sha: string) => `"manifestSha256": "${sha}"`

/** The text of the file, sealed. */
export const toText = (contents: Omit<BackupManifest, "manifestSha256">): Effect.Effect<string> =>
  Schema.encode(ManifestText)({ ...contents, manifestSha256: "" }).pipe(
    Effect.map((unsealed) => unsealed.replace(sealLine(""), sealLine(sha256(unsealed)))),
    Effect.orDie
  )

/** Reads a manifest and refuses one whose seal is broken. */
export const read = Effect.fnUntraced(function*(file: string) {
  const fs = yield* FileSystem.FileSystem
  if (!(yield* fs.exists(file))) {
    return yield* new BackupError({ reason: "ManifestMissing", path: file, detail: "the manifest is not there" })
  }
  const text = yield* fs.readFileString(file)
  const manifest = yield* Effect.mapError(
    Schema.decode(ManifestText)(text),
    (cause) => new BackupError({ reason: "ManifestUnreadable", path: file, detail: cause.message })
  )
  if (sha256(text.replace(sealLine(manifest.manifestSha256), sealLine(""))) !== manifest.manifestSha256) {
    return yield* new BackupError({ reason: "ManifestAltered", path: file, detail: "its own checksum does not fit" })
  }
  return manifest
})

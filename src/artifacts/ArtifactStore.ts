import { Context, Effect, Layer } from "effect"
import { ArtifactFailed, type ArtifactRefused } from "./ArtifactError.ts"
import type { ArtifactKey, Owner } from "./ArtifactKey.ts"

/** An artifact that is stored. */
export interface Stored {
  readonly name: string
  readonly bytes: number
  /** SHA-256 of the content, lower-case hexadecimal, recorded when it was put. */
  readonly sha256: string
  /** Absolute path of the file, or `s3://bucket/key`. */
  readonly location: string
}

/** An artifact as a listing shows it. */
export interface Listed {
  readonly name: string
  readonly bytes: number
}

/** `ArtifactRefused`: the input is not possible. `ArtifactFailed`: the store did not do it. */
type Errors = ArtifactRefused | ArtifactFailed

/**
 * What runs leave for people and other programs: contents under the name of their run. Who calls says whose they are;
 * authors of workflows have `Artifacts`, which reaches the artifacts of the own run and no others.
 */
export class ArtifactStore extends Context.Tag("smithers-orchestrator/artifacts/ArtifactStore")<ArtifactStore, {
  /**
   * Stores the content, at most `SMITHERS_ARTIFACTS_MAX_BYTES`, whole or not at all, and replaces what was there. Twice is
   * the same as once.
   */
  readonly put: (key: ArtifactKey, content: Uint8Array) => Effect.Effect<Stored, Errors>
  /** The whole content, compared with the hash that was recorded. */
  readonly get: (key: ArtifactKey) => Effect.Effect<Stored & { readonly content: Uint8Array }, Errors>
  /** What was recorded; that the content is still the same is only seen by `get`. */
  readonly stat: (key: ArtifactKey) => Effect.Effect<Stored, Errors>
  /** Artifacts of a run whose names come after `after`, in the order of the bytes of their names; 100 unless said, up to 1,000. */
  readonly list: (
    owner: Owner,
    page?: { readonly after?: string | undefined; readonly limit?: number | undefined }
  ) => Effect.Effect<ReadonlyArray<Listed>, Errors>
  /** Succeeds as well when there is none. */
  readonly remove: (key: ArtifactKey) => Effect.Effect<void, Errors>
  /** Where it is or would be, for people. Asks nobody. */
  readonly place: (key: ArtifactKey) => Effect.Effect<string, ArtifactRefused>
}>() {}

const nowhere = (what: string) =>
  new ArtifactFailed({ reason: "Refused", place: what, detail: "there are no artifacts within a sandbox" })

/** Within a sandbox: refuses everything. What a sandbox leaves is its bundle. */
export const layerNone = Layer.succeed(
  ArtifactStore,
  ArtifactStore.of({
    put: ({ name }) => nowhere(name),
    get: ({ name }) => nowhere(name),
    stat: ({ name }) => nowhere(name),
    list: ({ runId }) => nowhere(runId),
    remove: ({ name }) => nowhere(name),
    place: ({ name }) => Effect.succeed(name)
  })
)

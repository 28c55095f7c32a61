import { Context, Effect, Layer, type Scope, type Stream } from "effect"
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

export interface PutOptions {
  /** Only if there is none of this name: `Exists` otherwise, for all but one of those who put at the same time. */
  readonly ifAbsent?: boolean | undefined
}

/** An artifact whose content has not been read yet. */
export interface Opened extends Stored {
  /**
   * The content, once, as fast as it is read. Its last piece comes when the whole was compared with the recorded hash:
   * what is not the same fails with `Altered` before its end, when most of it may have been handed over.
   */
  readonly content: Stream.Stream<Uint8Array, ArtifactFailed>
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
   * the same as once, unless it is to be new.
   */
  readonly put: (key: ArtifactKey, content: Uint8Array, options?: PutOptions) => Effect.Effect<Stored, Errors>
  /**
   * The same of a content that comes in pieces, in memory that does not grow with it: it is written to a draft in the home,
   * which becomes the artifact when it is whole, and goes when it is too long, fails, or is interrupted.
   */
  readonly putStream: <E, R>(
    key: ArtifactKey,
    content: Stream.Stream<Uint8Array, E, R>,
    options?: PutOptions
  ) => Effect.Effect<Stored, Errors | E, R>
  /** The whole content, compared with the hash that was recorded. */
  readonly get: (key: ArtifactKey) => Effect.Effect<Stored & { readonly content: Uint8Array }, Errors>
  /** The content in pieces, in memory that does not grow with it, while the scope is open. */
  readonly getStream: (key: ArtifactKey) => Effect.Effect<Opened, Errors, Scope.Scope>
  /** What was recorded; that the content is still the same is only seen by `get`. */
  readonly stat: (key: ArtifactKey) => Effect.Effect<Stored, Errors>
  /** Artifacts of a run whose names come after `after`, in the order of the bytes of their names; 100 unless said, up to 1,000. */
  readonly list: (
    owner: Owner,
    page?: { readonly after?: string | undefined; readonly limit?: number | undefined }
  ) => Effect.Effect<ReadonlyArray<Listed>, Errors>
  /** Succeeds as well when there is none. */
  readonly remove: (key: ArtifactKey) => Effect.Effect<void, Errors>
  /** Removes all artifacts of a run, page by page; answers how many. What fails may have removed some of them. */
  readonly removeAll: (owner: Owner) => Effect.Effect<number, Errors>
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
    putStream: ({ name }) => nowhere(name),
    get: ({ name }) => nowhere(name),
    getStream: ({ name }) => nowhere(name),
    stat: ({ name }) => nowhere(name),
    list: ({ runId }) => nowhere(runId),
    remove: ({ name }) => nowhere(name),
    removeAll: ({ runId }) => nowhere(runId),
    place: ({ name }) => Effect.succeed(name)
  })
)

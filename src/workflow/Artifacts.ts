import { Effect, type Stream } from "effect"
import { ArtifactStore } from "../artifacts/index.ts"
import { Step } from "../engine/index.ts"

export { ArtifactFailed, ArtifactRefused } from "../artifacts/index.ts"

/** What a workflow that leaves artifacts requires; the service provides it to every module. */
export const { ArtifactStore: Service } = ArtifactStore

/** Those of the run that this code is the body, or a task, of; there are no others for it. */
const own = Effect.map(Step.currentRun, ({ runId, tenant }) => ({ runId, tenant }))

const named = (name: string) => Effect.map(own, (owner) => ({ ...owner, name }))

/**
 * Stores an artifact of this run, text in UTF-8 or bytes, whole or not at all, and replaces what was there: use it within a
 * task, which may happen twice. `name` is a relative path like `report/index.html`, of at most 400 bytes; no part of it begins with
 * a dot. At most `SMITHERS_ARTIFACTS_MAX_BYTES`. With `ifAbsent` it fails with `Exists` when there is one of this name: in a
 * task that happens a second time that may be its own.
 */
export const put = (name: string, content: string | Uint8Array, options?: ArtifactStore.PutOptions) =>
  Effect.flatMap(
    Effect.all([Service, named(name)]),
    ([store, key]) => store.put(key, typeof content === "string" ? new TextEncoder().encode(content) : content, options)
  )

/**
 * The same of a content that comes in pieces, in memory that does not grow with it. When it is too long, fails or is
 * interrupted, nothing of it is kept.
 */
export const putStream = <E, R>(
  name: string,
  content: Stream.Stream<Uint8Array, E, R>,
  options?: ArtifactStore.PutOptions
) => Effect.flatMap(Effect.all([Service, named(name)]), ([store, key]) => store.putStream(key, content, options))

/** An artifact of this run, its content compared with the hash that was recorded when it was put. */
export const get = (name: string) =>
  Effect.flatMap(Effect.all([Service, named(name)]), ([store, key]) => store.get(key))

/**
 * The same with its content in pieces, read once while the scope is open. Another content fails with `Altered` only before
 * its last piece: what is done with the others has to be undone then.
 */
export const getStream = (name: string) =>
  Effect.flatMap(Effect.all([Service, named(name)]), ([store, key]) => store.getStream(key))

/** Size and recorded hash of an artifact of this run. */
export const stat = (name: string) =>
  Effect.flatMap(Effect.all([Service, named(name)]), ([store, key]) => store.stat(key))

/** Names and sizes of this run's artifacts in the order of their names, those after `after`; 100 unless said, up to 1,000. */
export const list = (page: { readonly after?: string; readonly limit?: number } = {}) =>
  Effect.flatMap(Effect.all([Service, own]), ([store, owner]) => store.list(owner, page))

/** Removes an artifact of this run, if it is there. */
export const remove = (name: string) =>
  Effect.flatMap(Effect.all([Service, named(name)]), ([store, key]) => store.remove(key))

/** Where an artifact of this run is or would be, for people. */
export const place = (name: string) =>
  Effect.flatMap(Effect.all([Service, named(name)]), ([store, key]) => store.place(key))

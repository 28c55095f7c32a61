import { FileSystem, Path } from "@effect/platform"
import { Clock, Duration, Effect, Option, Schedule, Schema } from "effect"
import { RunStore } from "../../journal/index.ts"
import { RunId } from "../../model/index.ts"
import { Persistence } from "../../persistence/index.ts"
import { BlobStore } from "../BlobStore.ts"
import { SandboxStore } from "../SandboxStore.ts"

const every = "1 hour"

/** A sandbox may execute for a day and needs its base until it has ended: nothing younger than two days is removed. */
const youngestRemoved = Duration.days(2)

const isRunId = Schema.is(RunId)

/** What is left behind by processes that died, by runs that are deleted, and by bases of which nothing came. */
export const makeHousekeeping = Effect.fnUntraced(function*(root: string) {
  const persistence = yield* Persistence.Persistence
  const runs = yield* RunStore.RunStore
  const store = yield* SandboxStore
  const blobs = yield* BlobStore
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const removed = (place: string) => Effect.ignore(fs.remove(place, { recursive: true, force: true }))

  /** What a process that died was executing has no process any more: bubblewrap and the engines end theirs with us. */
  const recover = Effect.gen(function*() {
    for (const key of yield* store.open) {
      const now = yield* Clock.currentTimeMillis
      const end = { status: "failed", resultBytes: null, patchCount: null, changeSet: null } as const
      yield* persistence.write(store.end(key, { ...end, error: "The process of the service died." }, now))
      yield* removed(path.join(root, key.runId, key.sandboxId, "work"))
    }
  })

  const sweep = Effect.fn("Sandbox.sweep")(function*() {
    let folders = 0
    for (const name of yield* Effect.orElseSucceed(fs.readDirectory(root), (): ReadonlyArray<string> => [])) {
      if (!isRunId(name) || Option.isSome(yield* runs.find(name))) continue
      yield* removed(path.join(root, name))
      folders += 1
    }
    const swept = yield* blobs.sweep({
      isReferenced: store.isReferenced,
      olderThanMs: Duration.toMillis(youngestRemoved)
    })
    return { folders, ...swept }
  })

  const forever = sweep().pipe(
    Effect.catchAllCause((cause) => Effect.logWarning("Sandboxes that are gone could not be swept", cause)),
    Effect.repeat(Schedule.spaced(every))
  )

  return { recover, sweep: sweep(), forever }
})

import { Effect, Either, Layer } from "effect"
import type { PersistenceError } from "../persistence/index.ts"
import { ArtifactFailed } from "./ArtifactError.ts"
import type { Owner } from "./ArtifactKey.ts"
import { ArtifactStore } from "./ArtifactStore.ts"
import { type Removal, Removals } from "./Removals.ts"

/** What the store refused or could not do is tried again. */
const retryEvery = "1 hour"

/** Runs in a row for which the store did not answer, before a sweep ends. */
const giveUpAfter = 5

const make = Effect.gen(function*() {
  const store = yield* ArtifactStore
  const removals = yield* Removals
  /** One removal at a time: what is looked at within it is still to go. */
  const turn = yield* Effect.makeSemaphore(1)

  const carryOut = (removal: Removal) =>
    store.removeAll(removal.owner).pipe(
      // A run of such an id has never had any.
      Effect.catchTag("ArtifactRefused", () => Effect.succeed(0)),
      Effect.zipLeft(removals.done(removal))
    )

  /** Answers whether nothing is left to go; the first failure is told. */
  const sweep = Effect.gen(function*() {
    let failed = 0
    let unanswered = 0
    let last = 0
    for (;;) {
      const page = yield* removals.after(last)
      if (page.length === 0) break
      for (const { id, owner } of page) {
        last = id
        // Somebody with a new run of this id may have come first.
        const still = Effect.map(removals.of(owner.runId), (all) => all.filter((each) => each.id === id))
        const outcome = yield* Effect.either(
          turn.withPermits(1)(Effect.flatMap(still, Effect.forEach(carryOut)))
        )
        if (Either.isRight(outcome)) {
          unanswered = 0
          continue
        }
        const error = outcome.left
        if (failed++ === 0) {
          yield* Effect.logWarning("Artifacts of a removed run could not be removed yet", error).pipe(
            Effect.annotateLogs({ runId: owner.runId })
          )
        }
        // Nobody is there: the others would not fare better.
        const isUnanswered = error._tag === "ArtifactFailed" && error.reason === "Unavailable"
        unanswered = isUnanswered ? unanswered + 1 : 0
        if (unanswered === giveUpAfter) return false
      }
    }
    return failed === 0
  })

  const keepHouse = Effect.gen(function*() {
    yield* removals.changed.await
    removals.changed.unsafeClose()
    const done = yield* Effect.catchAllCause(
      sweep,
      (cause) => Effect.as(Effect.logError("Artifacts of removed runs could not be looked for", cause), false)
    )
    if (done) return
    yield* Effect.timeoutOption(removals.changed.await, retryEvery)
    removals.changed.unsafeOpen()
  })
  yield* Effect.forkScoped(Effect.forever(keepHouse))

  /** What an earlier run of this id left is gone before anything is done for this one. */
  const ready = ({ runId, tenant }: Owner): Effect.Effect<void, ArtifactFailed> => {
    const failed = (error: PersistenceError) =>
      new ArtifactFailed({ reason: "Unavailable", place: runId, detail: error.message })
    const own = Effect.mapError(removals.of(runId), failed)
    const clear = Effect.flatMap(own, (still) =>
      Effect.forEach(
        still.filter(({ owner }) => owner.tenant?.orgId === tenant?.orgId),
        (removal) => carryOut(removal).pipe(Effect.catchTag("PersistenceError", failed)),
        { discard: true }
      ))
    return Effect.flatMap(own, ({ length }) => length === 0 ? Effect.void : turn.withPermits(1)(clear))
  }

  return ArtifactStore.of({
    put: (key, content, options) => Effect.zipRight(ready(key), store.put(key, content, options)),
    putStream: (key, content, options) => Effect.zipRight(ready(key), store.putStream(key, content, options)),
    get: (key) => Effect.zipRight(ready(key), store.get(key)),
    getStream: (key) => Effect.zipRight(ready(key), store.getStream(key)),
    stat: (key) => Effect.zipRight(ready(key), store.stat(key)),
    list: (owner, page) => Effect.zipRight(ready(owner), store.list(owner, page)),
    remove: (key) => Effect.zipRight(ready(key), store.remove(key)),
    removeAll: store.removeAll,
    place: store.place
  })
})

/**
 * The artifacts of a store go with their runs: after the commit that removes a run, what it left is removed, oldest first,
 * at once, and after every start. What fails is tried again every hour, and holds up nobody. A new run of the same id finds nothing of
 * the old one.
 */
export const layer = Layer.scoped(ArtifactStore, make)

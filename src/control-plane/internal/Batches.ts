import { Deferred, Effect, FiberId } from "effect"
import type { Persistence, PersistenceError, Write } from "../../persistence/index.ts"

/** Larger ones would hold the writer up. */
const maxItems = 1_000

interface Batch<A, B> {
  readonly items: Array<A>
  readonly answers: Deferred.Deferred<ReadonlyArray<B>, PersistenceError>
}

/**
 * Joins what is handed in at once into one unit of a few statements, made when the writer takes it, so that many callers
 * share the price of a unit as they share the commit. A unit that fails fails for all of its callers; what is wrong with
 * one item is said in its answer. A caller that is interrupted leaves its item behind, which is then carried out; the
 * first one of a batch cannot be, until the commit.
 */
export const batched = <A, B>(
  { submit }: Persistence.Persistence["Type"],
  unitOf: (items: ReadonlyArray<A>) => Write.Write<ReadonlyArray<B>>
) => {
  let open: Batch<A, B> | undefined
  const lead = (batch: Batch<A, B>) =>
    submit(() => {
      if (open === batch) open = undefined
      return unitOf(batch.items)
    }).pipe(
      Effect.flatMap(({ answer }) => answer),
      Effect.exit,
      Effect.tap((exit) => Deferred.done(batch.answers, exit)),
      Effect.flatten,
      Effect.uninterruptible
    )
  return (item: A): Effect.Effect<B, PersistenceError> =>
    Effect.suspend(() => {
      if (open !== undefined && open.items.length < maxItems) {
        const { answers, items } = open
        const index = items.push(item) - 1
        return Effect.map(Deferred.await(answers), (all) => all[index]!)
      }
      open = { items: [item], answers: Deferred.unsafeMake(FiberId.none) }
      return Effect.map(lead(open), (all) => all[0]!)
    })
}

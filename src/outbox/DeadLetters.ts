import { Clock, Context, Effect, Layer, Number } from "effect"
import { Audit } from "../audit/index.ts"
import { type Actor, Bounds } from "../model/index.ts"
import { Persistence, type PersistenceError, Write } from "../persistence/index.ts"
import * as Outbox from "./Outbox.ts"
import type { Channel } from "./OutboxConfig.ts"

/** The outbox for its operator. What changes is audited in the commit that changes it. */
export class DeadLetters extends Context.Tag("smithers-orchestrator/outbox/DeadLetters")<DeadLetters, {
  /** Batches by id, after the id `after`: those that are tried (`due`), those that were given up (`dead`), or both. */
  readonly list: (query: {
    readonly state?: "due" | "dead" | undefined
    readonly channel?: Channel | undefined
    readonly orgId?: string | undefined
    readonly after?: number | undefined
    readonly limit: number
  }) => Effect.Effect<ReadonlyArray<Outbox.BatchSummary>, PersistenceError>
  /** What was given up, by channel; nothing of channels without any. */
  readonly dead: Effect.Effect<ReadonlyArray<Outbox.DeadCount>, PersistenceError>
  /**
   * Offers dead batches again, under the id they had, as long and as often as a new one; ahead of what waits in their lanes, behind what
   * was delivered since. Answers how many there were: an id that is not of a dead batch is passed over.
   */
  readonly retry: (ids: ReadonlyArray<number>, actor: Actor) => Effect.Effect<number, PersistenceError>
  /** Removes dead batches with their messages, for good. Answers how many there were. */
  readonly drop: (ids: ReadonlyArray<number>, actor: Actor) => Effect.Effect<number, PersistenceError>
}>() {}

const make = Effect.gen(function*() {
  const outbox = yield* Outbox.Outbox
  const audit = yield* Audit.Audit
  const persistence = yield* Persistence.Persistence

  const changing = Effect.fnUntraced(function*(
    action: string,
    ids: ReadonlyArray<number>,
    actor: Actor,
    change: (nowMs: number) => Write.Write<number>
  ) {
    const atMs = yield* Clock.currentTimeMillis
    const entry = audit.append({
      atMs,
      actor,
      action,
      target: ids.join(","),
      runId: null,
      outcome: "ok",
      reason: null,
      detail: {}
    })
    const [changed] = yield* persistence.write(Write.all([change(atMs), entry]))
    return changed
  })

  return DeadLetters.of({
    list: (query) =>
      outbox.list({ ...query, limit: Number.clamp(query.limit, { minimum: 0, maximum: Bounds.pageRows }) }),
    dead: outbox.dead,
    retry: Effect.fn("DeadLetters.retry")((ids, actor) =>
      changing("outbox.retry", ids, actor, (nowMs) => outbox.revive(ids, nowMs))
    ),
    drop: Effect.fn("DeadLetters.drop")((ids, actor) => changing("outbox.drop", ids, actor, () => outbox.drop(ids)))
  })
})

export const layer = Layer.effect(DeadLetters, make)

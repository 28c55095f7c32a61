import { Cause, Clock, Duration, Effect, Exit, FiberSet, Layer, Option, Random, Schedule } from "effect"
import { Audit } from "../audit/index.ts"
import { systemActor } from "../model/index.ts"
import { Persistence, Write } from "../persistence/index.ts"
import * as Outbox from "./Outbox.ts"
import { OutboxConfig } from "./OutboxConfig.ts"
import { AuditRowSink, BillingSink } from "./Sinks.ts"

/** Deliveries at once to those who take what they are offered, and to those who did not take the last one. */
const atOnce = { healthy: 32, ailing: 8 }

const firstDelayMs = 1_000
const longestDelayMs = 15 * 60_000

/** Doubles from a second to a quarter of an hour; somewhere in the upper half of that, so that lanes do not march in step. */
const delayMs = (attempts: number) =>
  Effect.map(
    Random.next,
    (random) =>
      Math.round(Math.min(longestDelayMs, firstDelayMs * 2 ** Math.min(attempts - 1, 30)) * (0.5 + random / 2))
  )

const errorOf = (cause: Cause.Cause<{ readonly message: string }>): string =>
  Option.match(Cause.failureOption(cause), {
    onNone: () => "The sink failed in a way it should not.",
    onSome: ({ message }) => message.slice(0, 1_024)
  })

/**
 * Delivers what the outbox holds, one fiber a lane, as long as the layer lives.
 *
 * A lane sleeps until it is stirred or its next attempt is due; but for what other processes store, nothing is polled. Its batches are offered in order, and
 * one that is not taken holds up its own lane only. After `maxAttempts` or `maxAge` it becomes a dead letter, which is
 * audited, and the next one has its turn. A delivery whose end could not be recorded, because the process died, is
 * offered again under the same id.
 */
const make = Effect.gen(function*() {
  const outbox = yield* Outbox.Outbox
  const audit = yield* Audit.Audit
  const persistence = yield* Persistence.Persistence
  const { maxAge, maxAttempts } = yield* OutboxConfig
  const sinks = { audit: yield* AuditRowSink, billing: yield* BillingSink }
  const healthy = yield* Effect.makeSemaphore(atOnce.healthy)
  const ailing = yield* Effect.makeSemaphore(atOnce.ailing)
  const fibers = yield* FiberSet.make()
  /** Lanes with a fiber; whether one got something meanwhile. */
  const active = new Map<string, { stirred: boolean }>()

  type Lane = Effect.Effect.Success<typeof outbox.lanes>[number]
  type Batch = NonNullable<Effect.Effect.Success<ReturnType<typeof outbox.next>>>

  const offer = ({ attempts, body, channel, deliveryId, messages, orgId }: Batch) =>
    (attempts === 0 ? healthy : ailing).withPermits(1)(Effect.exit(sinks[channel].deliver({
      id: deliveryId,
      channel,
      orgId: orgId === "" ? null : orgId,
      messages,
      body,
      attempt: attempts + 1
    })))

  const noteFailure = Effect.fnUntraced(function*(batch: Batch, error: string) {
    const attempts = batch.attempts + 1
    const nowMs = yield* Clock.currentTimeMillis
    const dead = attempts >= maxAttempts || nowMs - batch.sinceAtMs >= Duration.toMillis(maxAge)
    const nextAtMs = nowMs + (yield* delayMs(attempts))
    const note = outbox.failed(batch.id, { attempts, nextAtMs, error, dead })
    if (!dead) return yield* persistence.write(note)
    yield* Effect.logWarning(`Delivery ${batch.deliveryId} is a dead letter after ${attempts} attempts: ${error}`)
    yield* persistence.write(Write.discard([
      note,
      // Names no organization as its own: a row that goes to the outbox might become a dead letter itself.
      audit.append({
        atMs: nowMs,
        actor: systemActor,
        action: "outbox.dead",
        target: batch.deliveryId,
        runId: null,
        outcome: "failed",
        reason: error,
        detail: { channel: batch.channel, orgId: batch.orgId, messages: batch.messages, attempts }
      })
    ]))
  })

  /** Delivers one batch, or waits until it may be tried; false when the lane is empty. */
  const step = Effect.fnUntraced(function*(lane: Lane) {
    const batch = yield* outbox.next(lane)
    if (batch === undefined) return false
    const waitMs = batch.nextAtMs - (yield* Clock.currentTimeMillis)
    if (waitMs > 0) yield* Effect.sleep(waitMs)
    const exit = yield* offer(batch)
    if (Exit.isSuccess(exit)) yield* outbox.delivered(batch.id)
    else yield* noteFailure(batch, errorOf(exit.cause))
    return true
  })

  const work = (lane: Lane, key: string, state: { stirred: boolean }) =>
    Effect.gen(function*() {
      for (;;) {
        state.stirred = false
        const more = yield* Effect.catchAll(
          step(lane),
          (error) => Effect.zipRight(Effect.logError("The outbox could not be read or written", error), patience)
        )
        if (more || state.stirred) continue
        active.delete(key)
        return
      }
    })

  const start = (lane: Lane) =>
    Effect.suspend(() => {
      const key = `${lane.channel} ${lane.orgId}`
      const state = active.get(key)
      if (state !== undefined) {
        state.stirred = true
        return Effect.void
      }
      const fresh = { stirred: false }
      active.set(key, fresh)
      return FiberSet.run(fibers, work(lane, key, fresh))
    })

  const startAll = (lanes: ReadonlyArray<Lane>) => Effect.forEach(lanes, start, { discard: true })

  yield* Effect.flatMap(outbox.lanes, startAll)
  yield* Effect.forkScoped(Effect.forever(Effect.flatMap(outbox.stirred, startAll)))
  if (!outbox.isOpen("billing")) return
  // Nothing tells this process of what another one has stored.
  yield* Effect.flatMap(outbox.arrived, startAll).pipe(
    Effect.catchAll((error) => Effect.logError("The outbox could not be read", error)),
    Effect.repeat(Schedule.spaced("5 seconds")),
    Effect.forkScoped
  )
})

const patience = Effect.as(Effect.sleep("1 minute"), true)

export const layer = Layer.scopedDiscard(make)

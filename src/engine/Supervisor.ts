import { Clock, Effect, Layer, Schedule } from "effect"
import { Journal } from "../journal/index.ts"
import { Persistence } from "../persistence/index.ts"
import { EngineConfig } from "./EngineConfig.ts"
import { Runner } from "./Runner.ts"
import { type Timer, TimerStore } from "./TimerStore.ts"

/** Timers fired in one go. */
const timerBatch = 256

/** Longest single sleep: `setTimeout` overflows at 24.8 days. */
const longestSleepMs = 24 * 60 * 60 * 1_000

const make = Effect.gen(function*() {
  const config = yield* EngineConfig
  const runner = yield* Runner
  const timers = yield* TimerStore
  const journal = yield* Journal.Journal
  const persistence = yield* Persistence.Persistence

  const fireTimers = Effect.gen(function*() {
    runner.timersChanged.unsafeClose()
    const next = yield* timers.next(timerBatch)
    const now = yield* Clock.currentTimeMillis
    const due = next.filter(({ firesAtMs }) => firesAtMs <= now)
    const fire = (timer: Timer) =>
      Effect.flatMap(
        runner.complete({ ...timer, kind: "timer", outputJson: timerExit }, [
          timers.remove(timer),
          journal.append({
            runId: timer.runId,
            type: "TimerFired",
            timestampMs: now,
            nodeId: timer.nodeId,
            iteration: timer.iteration
          })
        ]),
        // Nobody waits for it any more.
        (fired) => fired ? Effect.void : persistence.write(timers.remove(timer))
      )
    yield* Effect.forEach(due, fire, { concurrency: "unbounded", discard: true })
    if (due.length === timerBatch) return
    const upcoming = next[due.length]
    const wait = upcoming === undefined
      ? Effect.never
      : Effect.sleep(Math.min(upcoming.firesAtMs - now, longestSleepMs))
    yield* Effect.raceFirst(runner.timersChanged.await, wait)
  })

  const report = Effect.catchAllCause((cause) => Effect.logError("The supervisor failed and goes on.", cause))
  yield* Effect.forkScoped(Effect.forever(Effect.zipRight(
    report(Effect.retry(fireTimers, Schedule.spaced("5 seconds"))),
    Effect.yieldNow()
  )))
  yield* Effect.forkScoped(Effect.repeat(report(runner.lookAfter), Schedule.spaced(config.supervisorInterval)))
})

/** The exit of a clock of `@effect/workflow`: success with nothing. */
const timerExit = `{"_tag":"Success"}`

/**
 * Looks after the runs of the service: takes up unfinished ones at start and whenever nobody executes them, fires timers,
 * and says which runs are alive. A run that is taken up again and again without a finished step is quarantined by `Runner`.
 * Provide it after the workflows are registered.
 */
export const layer = Layer.scopedDiscard(make)

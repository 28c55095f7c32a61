import { SqlSchema } from "@effect/sql"
import { Context, Effect, Layer, Option, Schema } from "effect"
import { Persistence, PersistenceError, Write } from "../persistence/index.ts"
import { migrations } from "./migrations.ts"

/** A point in time that a node waits for. */
export interface Timer {
  readonly runId: string
  readonly nodeId: string
  readonly iteration: number
  readonly firesAtMs: number
}

/** Rows of timers; every change is a unit. */
export class TimerStore extends Context.Tag("smithers-orchestrator/engine/TimerStore")<
  TimerStore,
  {
    readonly create: (timer: Timer) => Write.Write<unknown>
    readonly remove: (timer: Omit<Timer, "firesAtMs">) => Write.Write<number>
    readonly cancelAll: (runId: string) => Write.Write<number>
    /** The earliest one of a run. */
    readonly ofRun: (runId: string) => Effect.Effect<Timer | undefined, PersistenceError>
    /** The earliest ones, whether due or not. */
    readonly next: (limit: number) => Effect.Effect<ReadonlyArray<Timer>, PersistenceError>
  }
>() {}

const TimerRow = Schema.Struct({
  runId: Schema.String,
  nodeId: Schema.String,
  iteration: Schema.Int,
  firesAtMs: Schema.Int
})

const make = Effect.gen(function*() {
  const persistence = yield* Persistence.Persistence
  yield* persistence.migrate(migrations)
  const { sql } = persistence
  const selectNext = SqlSchema.findAll({
    Request: Schema.Int,
    Result: TimerRow,
    execute: (limit) =>
      sql`SELECT run_id AS "runId", node_id AS "nodeId", iteration, fires_at_ms AS "firesAtMs"
        FROM _smithers_timers ORDER BY fires_at_ms LIMIT ${limit}`
  })
  const selectOfRun = SqlSchema.findOne({
    Request: Schema.String,
    Result: TimerRow,
    execute: (runId) =>
      sql`SELECT run_id AS "runId", node_id AS "nodeId", iteration, fires_at_ms AS "firesAtMs"
        FROM _smithers_timers WHERE run_id = ${runId} ORDER BY fires_at_ms LIMIT 1`
  })
  return TimerStore.of({
    ofRun: (runId) =>
      selectOfRun(runId).pipe(Effect.map(Option.getOrUndefined), PersistenceError.refail("TimerStore.ofRun")),
    create: (timer) =>
      Write.run(
        `INSERT INTO _smithers_timers (run_id, node_id, iteration, fires_at_ms) VALUES (?, ?, ?, ?)
          ON CONFLICT (run_id, node_id, iteration) DO NOTHING`,
        [timer.runId, timer.nodeId, timer.iteration, timer.firesAtMs]
      ),
    remove: (timer) =>
      Write.run(
        "DELETE FROM _smithers_timers WHERE run_id = ? AND node_id = ? AND iteration = ?",
        [timer.runId, timer.nodeId, timer.iteration]
      ),
    cancelAll: (runId) => Write.run("DELETE FROM _smithers_timers WHERE run_id = ?", [runId]),
    next: (limit) => selectNext(limit).pipe(PersistenceError.refail("TimerStore.next"))
  })
})

/** Timers in the one database; the journal's tables must be there first. */
export const layer = Layer.effect(TimerStore, make)

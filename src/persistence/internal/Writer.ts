import type { Database, Statement as Prepared } from "better-sqlite3"
import { Clock, Deferred, Effect, Exit, FiberId, Metric, MetricBoundaries } from "effect"
import { Bounds } from "../../model/index.ts"
import { PersistenceError } from "../PersistenceError.ts"
import type { Statement, StatementResult, Write } from "../Write.ts"

/** Most units that one transaction takes, so that the event loop is given back in between. */
const maxBatch = 1_024

/** How long an operator's own tool may hold the database's write lock before units fail as `Busy`. */
const busyRetries = 200
const busyPause = "25 millis"

interface Pending {
  readonly write: Write<unknown, unknown>
  readonly resume: (exit: Exit.Exit<unknown, unknown>) => void
}

/** Thrown inside a batch by a guard that matched no row. */
class Aborted {
  readonly error: unknown
  constructor(error: unknown) {
    this.error = error
  }
}

const queueDepth = Metric.gauge("smithers_persistence_queue_depth", {
  description: "Write units waiting for the group-commit writer"
})
const batchSize = Metric.histogram(
  "smithers_persistence_batch_units",
  MetricBoundaries.exponential({ start: 1, factor: 2, count: 12 }),
  "Write units in one commit"
)
const commitMicros = Metric.histogram(
  "smithers_persistence_commit_micros",
  MetricBoundaries.exponential({ start: 50, factor: 2, count: 16 }),
  "Microseconds from BEGIN to the end of COMMIT"
)

const sqliteCode = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : ""

const toError = (cause: unknown): PersistenceError => {
  const code = sqliteCode(cause)
  return new PersistenceError({
    operation: "write",
    reason: code.startsWith("SQLITE_CONSTRAINT") ? "Constraint" : code.startsWith("SQLITE_BUSY") ? "Busy" : "Sql",
    cause
  })
}

/** One turn of the event loop: every fiber that is ready has run when it is over. */
const macrotask = Effect.async<void>((resume) => {
  const handle = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(handle))
})

/**
 * The group-commit writer: the only code that opens a transaction on the write connection.
 *
 * One fiber takes everything that is waiting, executes it in one transaction and answers everybody. A batch is first
 * executed without savepoints; only when a unit of it fails is the batch undone and repeated with one savepoint a unit,
 * so that the failing unit fails alone and the usual case pays nothing for it.
 */
export const makeWriter = (db: Database) =>
  Effect.gen(function*() {
    const prepared = new Map<string, Prepared>()
    let pending: Array<Pending> = []
    let closed = false
    const work = Effect.unsafeMakeLatch(false)
    const space = Effect.unsafeMakeLatch(true)
    const begin = db.prepare("BEGIN IMMEDIATE")
    const commit = db.prepare("COMMIT")
    const rollback = db.prepare("ROLLBACK")
    const savepoint = db.prepare("SAVEPOINT unit")
    const release = db.prepare("RELEASE unit")
    const rollbackTo = db.prepare("ROLLBACK TO unit")

    const execute = (statement: Statement): StatementResult => {
      let stmt = prepared.get(statement.text)
      if (stmt === undefined) {
        stmt = db.prepare(statement.text)
        prepared.set(statement.text, stmt)
      }
      const result: StatementResult = stmt.reader
        ? { rows: stmt.all(statement.params) as StatementResult["rows"], changes: 0 }
        : { rows: [], changes: stmt.run(statement.params).changes }
      if (statement.otherwise !== undefined && result.changes === 0 && result.rows.length === 0) {
        throw new Aborted(statement.otherwise())
      }
      return result
    }

    const undo = () => {
      if (db.inTransaction) rollback.run()
    }

    type Done = { readonly unit: Pending; readonly results: ReadonlyArray<StatementResult> }
    type Refused = { readonly unit: Pending; readonly exit: Exit.Exit<never, unknown> }
    type Outcome =
      | { readonly _tag: "Committed"; readonly done: ReadonlyArray<Done>; readonly refused: ReadonlyArray<Refused> }
      | { readonly _tag: "Busy"; readonly cause: unknown }
      | { readonly _tag: "Failed"; readonly error: PersistenceError }

    const refuse = (unit: Pending, thrown: unknown): Refused => ({
      unit,
      exit: Exit.fail(thrown instanceof Aborted ? thrown.error : toError(thrown))
    })

    const attempt = (batch: ReadonlyArray<Pending>, isolated: boolean): Outcome | "Repeat" => {
      const done: Array<Done> = []
      const refused: Array<Refused> = []
      try {
        begin.run()
      } catch (cause) {
        return sqliteCode(cause).startsWith("SQLITE_BUSY")
          ? { _tag: "Busy", cause }
          : { _tag: "Failed", error: toError(cause) }
      }
      for (const unit of batch) {
        try {
          if (isolated) savepoint.run()
          done.push({ unit, results: unit.write.statements.map(execute) })
          if (isolated) release.run()
        } catch (thrown) {
          if (!isolated) {
            undo()
            return "Repeat"
          }
          // A full disk or an I/O error ends the whole transaction inside SQLite: then nobody's unit is kept.
          if (!db.inTransaction) return { _tag: "Failed", error: toError(thrown) }
          rollbackTo.run()
          release.run()
          refused.push(refuse(unit, thrown))
        }
      }
      try {
        commit.run()
      } catch (cause) {
        undo()
        return sqliteCode(cause).startsWith("SQLITE_BUSY")
          ? { _tag: "Busy", cause }
          : { _tag: "Failed", error: new PersistenceError({ operation: "commit", reason: "CommitUnknown", cause }) }
      }
      return { _tag: "Committed", done, refused }
    }

    const commitBatch = (batch: ReadonlyArray<Pending>): Outcome => {
      const first = attempt(batch, false)
      if (first !== "Repeat") return first
      const second = attempt(batch, true)
      return second === "Repeat" ? { _tag: "Failed", error: toError(new Error("unreachable")) } : second
    }

    const answer = (outcome: Exclude<Outcome, { _tag: "Busy" }>, batch: ReadonlyArray<Pending>) => {
      if (outcome._tag === "Failed") {
        for (const unit of batch) unit.resume(Exit.fail(outcome.error))
        return
      }
      for (const { results, unit } of outcome.done) {
        // A hook or a decoder that throws is a defect of its owner; the commit stands and the others are answered.
        try {
          for (const hook of unit.write.committed) hook(results, 0)
          unit.resume(Exit.succeed(unit.write.decode(results, 0)))
        } catch (defect) {
          unit.resume(Exit.die(defect))
        }
      }
      for (const { exit, unit } of outcome.refused) unit.resume(exit)
    }

    const flush = Effect.gen(function*() {
      const batch = pending.length > maxBatch ? pending.splice(0, maxBatch) : pending
      if (batch === pending) pending = []
      if (pending.length < Bounds.writeQueueUnits) space.unsafeOpen()
      if (pending.length === 0) work.unsafeClose()
      const started = yield* Clock.currentTimeNanos
      let outcome = commitBatch(batch)
      for (let retry = 0; outcome._tag === "Busy" && retry < busyRetries; retry++) {
        yield* Effect.sleep(busyPause)
        outcome = commitBatch(batch)
      }
      if (outcome._tag === "Busy") outcome = { _tag: "Failed", error: toError(outcome.cause) }
      const ended = yield* Clock.currentTimeNanos
      answer(outcome, batch)
      yield* Metric.set(queueDepth, pending.length)
      yield* Metric.update(batchSize, batch.length)
      yield* Metric.update(commitMicros, Number(ended - started) / 1_000)
    })

    const loop = Effect.forever(Effect.zipRight(work.await, Effect.zipRight(macrotask, Effect.uninterruptible(flush))))

    yield* Effect.acquireRelease(
      Effect.forkDaemon(loop),
      (fiber) =>
        Effect.gen(function*() {
          closed = true
          while (pending.length > 0) yield* flush
          yield* fiber.interruptAsFork(fiber.id())
          yield* fiber.await
        })
    )

    const enqueue = (unit: Pending) => {
      pending.push(unit)
      if (pending.length >= Bounds.writeQueueUnits) space.unsafeClose()
      work.unsafeOpen()
    }

    const closedError = new PersistenceError({ operation: "write", reason: "Closed" })

    const submit = <A, E>(unit: Write<A, E>): Effect.Effect<Effect.Effect<A, E | PersistenceError>> =>
      Effect.suspend(() => {
        if (closed) return Effect.succeed(Effect.fail(closedError))
        if (pending.length >= Bounds.writeQueueUnits) return Effect.zipRight(space.await, submit(unit))
        const answered = Deferred.unsafeMake<A, E | PersistenceError>(FiberId.none)
        enqueue({
          write: unit,
          // The writer answers with the unit's own A and E; the queue holds units of every type.
          resume: (exit) => Deferred.unsafeDone(answered, exit as Exit.Exit<A, E | PersistenceError>)
        })
        return Effect.succeed(Deferred.await(answered))
      })

    const write = <A, E>(unit: Write<A, E>): Effect.Effect<A, E | PersistenceError> =>
      Effect.uninterruptible(Effect.flatten(Effect.interruptible(submit(unit))))

    return { write, submit }
  })

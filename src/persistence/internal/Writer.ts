import type { Database, Statement as Prepared } from "better-sqlite3"
import { Effect, Exit, Fiber, Metric, MetricBoundaries } from "effect"
import { Bounds } from "../../model/index.ts"
import { PersistenceError } from "../PersistenceError.ts"
import type { Statement, StatementResult, Write } from "../Write.ts"

/** A transaction takes no more units than this, and no further one after so many milliseconds: the event loop goes on. */
const maxBatch = 1_024
const maxBatchMillis = 20

/** How long an operator's own tool may hold the database's write lock before the units of a batch fail as `Busy`. */
const busyRetries = 200
const busyPause = "25 millis"

/** A unit that was handed over; one caller may await its answer. */
export interface Submitted<A, E> {
  /** The unit's answer, after its commit. */
  readonly answer: Effect.Effect<A, E>
  /** Takes the unit back if no batch has taken it yet; answers whether it did. Then nobody awaits `answer`. */
  readonly withdraw: () => boolean
}

/** A unit in the queue, which holds units of every type: the writer answers each with its own A and E. */
class Pending<A, E> implements Submitted<A, E | PersistenceError> {
  state: "queued" | "taken" | "withdrawn" = "queued"
  private readonly make: () => Write<A, E>
  private made: Write<A, E> | undefined
  private exit: Exit.Exit<unknown, unknown> | undefined
  private listener: ((exit: Exit.Exit<unknown, unknown>) => void) | undefined

  constructor(make: () => Write<A, E>, listener?: (exit: Exit.Exit<A, E | PersistenceError>) => void) {
    this.make = make
    this.listener = listener as typeof this.listener
  }

  /** Made when a batch takes it: many a unit is withdrawn before. */
  get write(): Write<A, E> {
    return this.made ??= this.make()
  }

  resume(exit: Exit.Exit<unknown, unknown>): void {
    this.exit = exit
    this.listener?.(exit)
  }

  get answer(): Effect.Effect<A, E | PersistenceError> {
    return Effect.async<A, E | PersistenceError>((resume) => {
      // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off -- the exit that the writer made of this very unit
      const answer = (exit: Exit.Exit<unknown, unknown>) => resume(exit as Exit.Exit<A, E | PersistenceError>)
      if (this.exit === undefined) this.listener = answer
      else answer(this.exit)
    })
  }

  withdraw(): boolean {
    if (this.state !== "queued") return false
    this.state = "withdrawn"
    return true
  }
}

type Queued = Pending<unknown, unknown>

/** Thrown inside a batch by a guard that matched no row. */
class Aborted {
  readonly error: unknown
  constructor(error: unknown) {
    this.error = error
  }
}

interface Done {
  readonly unit: Queued
  readonly results: ReadonlyArray<StatementResult>
}

interface Refused {
  readonly unit: Queued
  readonly exit: Exit.Exit<never, unknown>
}

interface Busy {
  readonly batch: ReadonlyArray<Queued>
  readonly first: Outcome
  readonly started: bigint
}

type Outcome =
  | {
    readonly _tag: "Committed"
    readonly done: ReadonlyArray<Done>
    readonly refused: ReadonlyArray<Refused>
    /** Units that the time did not suffice for; they are first in the next batch. */
    readonly rest: ReadonlyArray<Queued>
  }
  /** Another process holds the write lock; nothing happened. */
  | { readonly _tag: "Busy"; readonly cause: unknown }
  /** The units cannot be committed in this way together; nothing happened. Never the outcome of a single unit. */
  | { readonly _tag: "Split" }
  | { readonly _tag: "Failed"; readonly error: PersistenceError }

const queueDepth = Metric.gauge("smithers_persistence_queue_depth", {
  description: "Write units waiting for the group-commit writer, without those of the batch in work"
})
const batchSize = Metric.histogram(
  "smithers_persistence_batch_units",
  MetricBoundaries.exponential({ start: 1, factor: 2, count: 12 }),
  "Write units in one commit"
)
const commitMicros = Metric.histogram(
  "smithers_persistence_commit_micros",
  MetricBoundaries.exponential({ start: 50, factor: 2, count: 16 }),
  "Microseconds from BEGIN to the end of COMMIT, with repetitions and waits for the write lock"
)

const sqliteCode = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : ""

const isBusy = (cause: unknown) => sqliteCode(cause).startsWith("SQLITE_BUSY")
const isConstraint = (cause: unknown) => sqliteCode(cause).startsWith("SQLITE_CONSTRAINT")
const isFull = (cause: unknown) => sqliteCode(cause) === "SQLITE_FULL"

const toError = (cause: unknown): PersistenceError =>
  new PersistenceError({
    operation: "write",
    reason: isConstraint(cause) ? "Constraint" : isBusy(cause) ? "Busy" : isFull(cause) ? "Full" : "Sql",
    cause
  })

/**
 * The group-commit writer: the only code that opens a transaction on the write connection.
 *
 * Once in a turn of the event loop, when every fiber that is ready has run, it takes everything that is waiting, executes it
 * in one transaction and answers everybody. A batch is first
 * executed without savepoints; only when a unit of it fails is the batch undone and repeated with one savepoint a unit,
 * so that the failing unit fails alone and the usual case pays nothing for it. What even a savepoint cannot separate
 * (a full disk ends the whole transaction, a deferred constraint speaks up at COMMIT) is committed unit by unit.
 *
 * `try`/`catch` and a callback instead of Effect: a batch is one synchronous call, so that nothing else can run inside the
 * transaction, and neither its statements nor its turn pay an interpreter; one fiber has the patience for a lock. `onCommit` is called after every commit, before anybody is answered.
 */
export const makeWriter = (db: Database, onCommit: () => void) =>
  Effect.gen(function*() {
    const clock = yield* Effect.clock
    const prepared = new Map<string, Prepared>()
    let pending: Array<Queued> = []
    /** So many units at the head of the queue have to be committed one by one. */
    let single = 0
    let closed = false
    let retriesLeft = busyRetries
    /** A batch that finds the database locked by another process, until it is through. */
    let busy: Busy | undefined
    const wait = Effect.unsafeMakeLatch(false)
    const drained = Effect.unsafeMakeLatch(false)
    /** Effects that no batch may run beside. */
    let held = 0
    let scheduled: NodeJS.Immediate | undefined
    const space = Effect.unsafeMakeLatch(true)
    const turn = Effect.unsafeMakeSemaphore(1)
    const begin = db.prepare("BEGIN IMMEDIATE")
    const commit = db.prepare("COMMIT")
    const rollback = db.prepare("ROLLBACK")
    const savepoint = db.prepare("SAVEPOINT unit")
    const release = db.prepare("RELEASE unit")
    const rollbackTo = db.prepare("ROLLBACK TO unit")

    const execute = (statement: Statement, before: ReadonlyArray<StatementResult>): StatementResult => {
      const params = typeof statement.params === "function" ? statement.params(before, 0) : statement.params
      let stmt = prepared.get(statement.text)
      if (stmt === undefined) {
        stmt = db.prepare(statement.text)
        prepared.set(statement.text, stmt)
      }
      const result: StatementResult = stmt.reader
        ? { rows: stmt.all(params) as StatementResult["rows"], changes: 0 }
        : { rows: [], changes: stmt.run(params).changes }
      if (statement.otherwise !== undefined && result.changes === 0 && result.rows.length === 0) {
        throw new Aborted(statement.otherwise())
      }
      return result
    }

    const undo = () => {
      if (db.inTransaction) rollback.run()
    }

    const refuse = (unit: Queued, thrown: unknown): Refused => ({
      unit,
      exit: Exit.fail(thrown instanceof Aborted ? thrown.error : toError(thrown))
    })

    const attempt = (batch: ReadonlyArray<Queued>, isolated: boolean): Outcome => {
      const done: Array<Done> = []
      const refused: Array<Refused> = []
      try {
        undo()
        begin.run()
      } catch (cause) {
        return isBusy(cause) ? { _tag: "Busy", cause } : { _tag: "Failed", error: toError(cause) }
      }
      const until = clock.unsafeCurrentTimeMillis() + maxBatchMillis
      let next = 0
      for (; next < batch.length; next++) {
        if (next > 0 && clock.unsafeCurrentTimeMillis() >= until) break
        const unit = batch[next]!
        const results: Array<StatementResult> = []
        try {
          if (isolated) savepoint.run()
          for (const statement of unit.write.statements) results.push(execute(statement, results))
          if (isolated) release.run()
          done.push({ unit, results })
        } catch (thrown) {
          // A lost compare-and-set is an everyday matter: as the first statement it changed nothing, so nothing is undone.
          const unchanged = thrown instanceof Aborted && results.length === 0
          if (!unchanged && batch.length === 1) {
            undo()
            return { _tag: "Committed", done: [], refused: [refuse(unit, thrown)], rest: [] }
          }
          if (!unchanged && (!isolated || !db.inTransaction)) {
            undo()
            return { _tag: "Split" }
          }
          if (isolated) {
            rollbackTo.run()
            release.run()
          }
          refused.push(refuse(unit, thrown))
        }
      }
      try {
        commit.run()
      } catch (cause) {
        undo()
        if (isBusy(cause)) return { _tag: "Busy", cause }
        if (!isConstraint(cause) && !isFull(cause)) {
          return {
            _tag: "Failed",
            error: new PersistenceError({ operation: "commit", reason: "CommitUnknown", cause })
          }
        }
        return batch.length > 1 ? { _tag: "Split" } : { _tag: "Failed", error: toError(cause) }
      }
      return { _tag: "Committed", done, refused, rest: batch.slice(next) }
    }

    const commitBatch = (batch: ReadonlyArray<Queued>): Outcome => {
      const together = attempt(batch, false)
      return together._tag === "Split" ? attempt(batch, true) : together
    }

    /** A hook or a decoder that throws is a defect of its owner: the commit stands and everybody else is served. */
    const succeed = ({ results, unit }: Done) => {
      const defects: Array<unknown> = []
      let answer: unknown
      for (const hook of unit.write.committed) {
        try {
          hook(results, 0)
        } catch (defect) {
          defects.push(defect)
        }
      }
      try {
        answer = unit.write.decode(results, 0)
      } catch (defect) {
        defects.push(defect)
      }
      unit.resume(defects.length === 0 ? Exit.succeed(answer) : Exit.die(defects[0]))
    }

    const answer = (outcome: Exclude<Outcome, { _tag: "Busy" }>, batch: ReadonlyArray<Queued>) => {
      switch (outcome._tag) {
        case "Committed":
          onCommit()
          for (const done of outcome.done) succeed(done)
          for (const { exit, unit } of outcome.refused) unit.resume(exit)
          if (outcome.rest.length > 0) pending = outcome.rest.concat(pending)
          return
        case "Split":
          single = batch.length
          pending = batch.concat(pending)
          return
        case "Failed":
          for (const unit of batch) unit.resume(Exit.fail(outcome.error))
      }
    }

    const account = (batch: ReadonlyArray<Queued>, outcome: Outcome, started: bigint) => {
      answer(outcome._tag === "Busy" ? { _tag: "Failed", error: toError(outcome.cause) } : outcome, batch)
      if (outcome._tag === "Committed") batchSize.unsafeUpdate(outcome.done.length, [])
      commitMicros.unsafeUpdate(Number(clock.unsafeCurrentTimeNanos() - started) / 1_000, [])
      queueDepth.unsafeUpdate(pending.length, [])
    }

    /** While closing, all batches together have the patience of one: a lock that outlasts it must not hold the exit up. */
    const repeatBusy = Effect.fnUntraced(function*({ batch, first, started }: Busy) {
      let outcome: Outcome = first
      if (!closed) retriesLeft = busyRetries
      while (outcome._tag === "Busy" && retriesLeft > 0) {
        retriesLeft--
        yield* Effect.sleep(busyPause)
        queueDepth.unsafeUpdate(pending.length, [])
        outcome = commitBatch(batch)
      }
      account(batch, outcome, started)
    })

    const take = (): ReadonlyArray<Queued> => {
      const batch: Array<Queued> = []
      for (const unit of pending.splice(0, single > 0 ? 1 : maxBatch)) {
        if (unit.state === "withdrawn") continue
        unit.state = "taken"
        batch.push(unit)
      }
      if (single > 0) single--
      return batch
    }

    /** One batch; what another process keeps from its lock goes to the fiber that has patience. */
    const flush = () => {
      scheduled = undefined
      if (held > 0 || busy !== undefined) return
      const batch = take()
      if (batch.length === 0) return rest()
      const started = clock.unsafeCurrentTimeNanos()
      queueDepth.unsafeUpdate(pending.length, [])
      try {
        const outcome = commitBatch(batch)
        if (outcome._tag === "Busy") {
          busy = { batch, first: outcome, started }
          wait.unsafeOpen()
          return
        }
        account(batch, outcome, started)
      } catch (defect) {
        // A bug of this writer or of the driver must not leave callers waiting for ever.
        for (const unit of batch) unit.resume(Exit.die(defect))
      }
      rest()
    }

    /** Every fiber that is ready gets its turn before the next batch. */
    const rest = () => {
      // Half empty before anybody is let in: else each batch would wake all who wait for the few that find room.
      if (pending.length <= Bounds.writeQueueUnits / 2) space.unsafeOpen()
      if (pending.length > 0) scheduled ??= setImmediate(flush)
      else if (closed) drained.unsafeOpen()
    }

    const patient = Effect.gen(function*() {
      for (;;) {
        yield* wait.await
        wait.unsafeClose()
        const waiting = busy
        if (waiting === undefined) return
        yield* turn.withPermits(1)(repeatBusy(waiting)).pipe(
          Effect.catchAllCause((cause) =>
            Effect.sync(() => {
              for (const unit of waiting.batch) unit.resume(Exit.failCause(cause))
            })
          )
        )
        busy = undefined
        rest()
      }
    })

    yield* Effect.acquireRelease(
      Effect.forkDaemon(patient),
      (fiber) =>
        Effect.suspend(() => {
          closed = true
          rest()
          return Effect.zipRight(
            busy === undefined && pending.length === 0 ? Effect.void : drained.await,
            Effect.zipRight(Effect.sync(() => wait.unsafeOpen()), Fiber.await(fiber))
          )
        })
    )

    const enqueue = (unit: Queued) => {
      pending.push(unit)
      if (pending.length >= Bounds.writeQueueUnits) space.unsafeClose()
      if (held === 0 && busy === undefined) scheduled ??= setImmediate(flush)
    }

    const closedError = new PersistenceError({ operation: "write", reason: "Closed" })

    const hasRoom = () => pending.length < Bounds.writeQueueUnits

    const submit = <A, E>(make: () => Write<A, E>): Effect.Effect<Submitted<A, E | PersistenceError>> =>
      Effect.suspend(() => {
        if (!hasRoom()) return Effect.zipRight(space.await, submit(make))
        const unit = new Pending(make)
        if (closed) unit.resume(Exit.fail(closedError))
        else enqueue(unit)
        return Effect.succeed(unit)
      })

    const write = <A, E>(unit: Write<A, E>): Effect.Effect<A, E | PersistenceError> =>
      Effect.suspend(() => {
        if (!hasRoom()) return Effect.zipRight(space.await, write(unit))
        return Effect.uninterruptible(Effect.async<A, E | PersistenceError>((resume) => {
          if (closed) return resume(Effect.fail(closedError))
          enqueue(new Pending(() => unit, resume))
        }))
      })

    /** Runs an effect between two batches; units gather meanwhile. It must not wait for a write of its own. */
    const between = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
      turn.withPermits(1)(Effect.acquireUseRelease(
        Effect.sync(() => held++),
        () => effect,
        () =>
          Effect.sync(() => {
            held--
            rest()
          })
      ))

    return { write, submit, between }
  })

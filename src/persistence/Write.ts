import { Pipeable } from "effect"

export type SqlValue = string | number | bigint | null | Uint8Array

export type Row = Readonly<Record<string, SqlValue>>

/** What one statement gave back: rows if it returns any, else how many rows it changed. */
export interface StatementResult {
  readonly rows: ReadonlyArray<Row>
  readonly changes: number
}

/** One SQL statement as data. `text` is constant, so that it is prepared once for the life of the process. */
export interface Statement {
  readonly text: string
  readonly params: ReadonlyArray<SqlValue>
  /** Present on a guard: makes the error of the unit when the statement touched no row. */
  readonly otherwise?: () => unknown
}

/**
 * A unit of writing: statements that commit together or not at all, and what the caller gets when they have.
 *
 * A unit is a value. Subsystems hand out units for their own tables; a caller joins them with `Write.all` and gives the
 * whole to `Persistence.write`, so one transition is one atomic commit across subsystems. Units are executed once, in
 * the order in which they were handed over.
 */
export interface Write<out A, out E = never> extends Pipeable.Pipeable {
  readonly statements: ReadonlyArray<Statement>
  /** Reads the answer out of the results of `statements`, which start at `from`. */
  readonly decode: (results: ReadonlyArray<StatementResult>, from: number) => A
  /** Called synchronously in commit order, after the commit and before the caller resumes. Must not throw. */
  readonly committed: ReadonlyArray<(results: ReadonlyArray<StatementResult>, from: number) => void>
  readonly _E?: () => E
}

const make = <A, E>(
  statements: Write<A, E>["statements"],
  decode: Write<A, E>["decode"],
  committed: Write<A, E>["committed"] = []
): Write<A, E> => ({
  statements,
  decode,
  committed,
  pipe() {
    return Pipeable.pipeArguments(this, arguments)
  }
})

/** Executes a statement for its effect; answers how many rows it changed. */
export const run = (text: string, params: ReadonlyArray<SqlValue>): Write<number> =>
  make([{ text, params }], (results, from) => results[from]!.changes)

/** Executes a statement with `RETURNING` (or a `SELECT`); answers its rows. */
export const rows = (text: string, params: ReadonlyArray<SqlValue>): Write<ReadonlyArray<Row>> =>
  make([{ text, params }], (results, from) => results[from]!.rows)

/**
 * A compare-and-set: when the statement touches no row, the whole unit is undone and fails with `otherwise`.
 * Answers the first row, if the statement returns rows.
 */
export const guard = <E>(
  text: string,
  params: ReadonlyArray<SqlValue>,
  otherwise: () => E
): Write<Row | undefined, E> => make([{ text, params, otherwise }], (results, from) => results[from]!.rows[0])

/** Nothing to write. */
export const none: Write<void> = make([], () => undefined)

/** All of the units as one. */
export const all = <const Units extends ReadonlyArray<Write<unknown, unknown>>>(
  units: Units
): Write<
  { readonly [K in keyof Units]: Units[K] extends Write<infer A, unknown> ? A : never },
  Units[number] extends Write<unknown, infer E> ? E : never
> => {
  const statements: Array<Statement> = []
  const offsets: Array<number> = []
  const committed: Array<Write<unknown>["committed"][number]> = []
  for (const unit of units) {
    const offset = statements.length
    offsets.push(offset)
    // Not by spreading: a unit may hold more statements than a call can take arguments.
    for (const statement of unit.statements) statements.push(statement)
    for (const hook of unit.committed) committed.push((results, from) => hook(results, from + offset))
  }
  return make(
    statements,
    // The tuple's type is exactly what the loop builds; TypeScript cannot follow an index through a mapped tuple.
    (results, from) => units.map((unit, i) => unit.decode(results, from + offsets[i]!)) as never,
    committed
  )
}

/** Changes the answer. */
export const map = <A, B>(f: (a: A) => B) => <E>(self: Write<A, E>): Write<B, E> =>
  make<B, E>(self.statements, (results, from) => f(self.decode(results, from)), self.committed)

/** Does `f` with the answer when the unit has committed, in commit order; `f` is cheap, synchronous and does not throw. */
export const tapCommitted = <A>(f: (a: A) => void) => <E>(self: Write<A, E>): Write<A, E> =>
  make<A, E>(self.statements, self.decode, [
    ...self.committed,
    (results, from) => f(self.decode(results, from))
  ])

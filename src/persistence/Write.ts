import { Pipeable } from "effect"

export type SqlValue = string | number | bigint | null | Uint8Array

export type Row = Readonly<Record<string, SqlValue>>

/** What one statement gave back: rows if it returns any, else how many rows it changed. */
export interface StatementResult {
  readonly rows: ReadonlyArray<Row>
  readonly changes: number
}

type Params = ReadonlyArray<SqlValue>

/** One SQL statement as data. `text` is constant, so that it is prepared once for the life of the process. */
export interface Statement {
  readonly text: string
  /** Parameters that depend on earlier statements of the unit, which start at `from`, are made when those have been executed. */
  readonly params: Params | ((results: ReadonlyArray<StatementResult>, from: number) => Params)
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

type Results = ReadonlyArray<StatementResult>
type Hook = (results: Results, from: number) => void

class Unit<A, E> implements Write<A, E> {
  readonly statements: ReadonlyArray<Statement>
  readonly decode: (results: Results, from: number) => A
  readonly committed: ReadonlyArray<Hook>
  declare readonly _E?: () => E

  constructor(
    statements: ReadonlyArray<Statement>,
    decode: (results: Results, from: number) => A,
    committed: ReadonlyArray<Hook>
  ) {
    this.statements = statements
    this.decode = decode
    this.committed = committed
  }

  pipe() {
    return Pipeable.pipeArguments(this, arguments)
  }
}

// A step writes a handful of units: what they have in common is made once.
const noHooks: ReadonlyArray<Hook> = []
const changesOf = (results: Results, from: number) => results[from]!.changes
const rowsOf = (results: Results, from: number) => results[from]!.rows
const firstRowOf = (results: Results, from: number) => results[from]!.rows[0]
const nothing = () => undefined

/** The statement as it is when its unit begins at `offset` of a longer one. */
const moved = (statement: Statement, offset: number): Statement => {
  const { params } = statement
  return offset === 0 || typeof params !== "function"
    ? statement
    : { ...statement, params: (results, from) => params(results, from + offset) }
}

/** Executes a statement for its effect; answers how many rows it changed. */
export const run = (text: string, params: ReadonlyArray<SqlValue>): Write<number> =>
  new Unit([{ text, params }], changesOf, noHooks)

/** Executes a statement with `RETURNING` (or a `SELECT`); answers its rows. */
export const rows = (text: string, params: ReadonlyArray<SqlValue>): Write<ReadonlyArray<Row>> =>
  new Unit([{ text, params }], rowsOf, noHooks)

/**
 * A compare-and-set: when the statement touches no row, the whole unit is undone and fails with `otherwise`.
 * Answers the first row, if the statement returns rows.
 */
export const guard = <E>(
  text: string,
  params: ReadonlyArray<SqlValue>,
  otherwise: () => E
): Write<Row | undefined, E> => new Unit([{ text, params, otherwise }], firstRowOf, noHooks)

/** Nothing to write. */
export const none: Write<void> = new Unit([], nothing, noHooks)

const join = (units: ReadonlyArray<Write<unknown, unknown>>, offsets: Array<number>) => {
  const statements: Array<Statement> = []
  let committed: Array<Hook> | undefined
  for (const unit of units) {
    const offset = statements.length
    offsets.push(offset)
    // Not by spreading: a unit may hold more statements than a call can take arguments.
    for (const statement of unit.statements) statements.push(moved(statement, offset))
    for (const hook of unit.committed) {
      committed ??= []
      committed.push((results, from) => hook(results, from + offset))
    }
  }
  return { statements, committed: committed ?? noHooks }
}

/** All of the units as one. */
export const all = <const Units extends ReadonlyArray<Write<unknown, unknown>>>(
  units: Units
): Write<
  { readonly [K in keyof Units]: Units[K] extends Write<infer A, unknown> ? A : never },
  Units[number] extends Write<unknown, infer E> ? E : never
> => {
  const offsets: Array<number> = []
  const { committed, statements } = join(units, offsets)
  return new Unit(
    statements,
    // The tuple's type is exactly what the loop builds; TypeScript cannot follow an index through a mapped tuple.
    (results, from) => units.map((unit, i) => unit.decode(results, from + offsets[i]!)) as never,
    committed
  )
}

/** All of the units as one whose answers nobody needs. */
export const discard = <E>(units: ReadonlyArray<Write<unknown, E>>): Write<void, E> => {
  const { committed, statements } = join(units, [])
  return new Unit(statements, nothing, committed)
}

/** A statement whose parameters depend on the answer of what is executed before it; answers what came before. */
export const next =
  <A>(text: string, params: (a: A) => ReadonlyArray<SqlValue>) => <E>(self: Write<A, E>): Write<A, E> =>
    new Unit<A, E>(
      [...self.statements, { text, params: (results, from) => params(self.decode(results, from)) }],
      self.decode,
      self.committed
    )

/** Changes the answer. */
export const map = <A, B>(f: (a: A) => B) => <E>(self: Write<A, E>): Write<B, E> =>
  new Unit<B, E>(self.statements, (results, from) => f(self.decode(results, from)), self.committed)

/** Does `f` with the answer when the unit has committed, in commit order; `f` is cheap, synchronous and does not throw. */
export const tapCommitted = <A>(f: (a: A) => void) => <E>(self: Write<A, E>): Write<A, E> =>
  new Unit<A, E>(self.statements, self.decode, [
    ...self.committed,
    (results, from) => f(self.decode(results, from))
  ])

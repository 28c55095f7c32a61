import { Effect } from "effect"
import { type Persistence, type PersistenceError, Write } from "../../persistence/index.ts"
import { Conflict } from "../ControlPlaneError.ts"

/** How many rows of each table went. */
export type Counts = Readonly<Record<string, number>>

interface Part {
  /** What the counts call it. */
  readonly name: string
  readonly table: string
  readonly where: string
}

const attempts = 20

/**
 * Counts what a deletion takes with it, and carries the deletion out only while the counts hold: what is recorded of it is
 * what went. Counts anew when somebody wrote in between.
 */
export const deleting = <A, E>(
  { read }: Persistence.Persistence["Type"],
  parts: ReadonlyArray<Part>,
  params: ReadonlyArray<string>,
  remove: (counts: Counts, unchanged: Write.Write<unknown, Conflict>) => Effect.Effect<A, E>
): Effect.Effect<readonly [Counts, A], E | Conflict | PersistenceError> => {
  const id = params.join("/")
  const contended = () => new Conflict({ reason: "Contended", id })
  const counted = parts.map(({ table, where }) => `(SELECT COUNT(*) FROM ${table} WHERE ${where})`)
  const countText = `SELECT ${counted.map((text, index) => `${text} AS c${index}`).join(", ")}`
  const holdText = `SELECT 1 WHERE ${counted.map((text) => `${text} = ?`).join(" AND ")}`
  const once = Effect.gen(function*() {
    const [row] = yield* read(countText, parts.flatMap(() => params))
    const numbers = parts.map((_, index) => Number(row?.[`c${index}`]))
    const counts = Object.fromEntries(parts.map(({ name }, index) => [name, numbers[index]!]))
    const unchanged = Write.guard(holdText, numbers.flatMap((number) => [...params, number]), contended)
    return [counts, yield* remove(counts, unchanged)] as const
  })
  return Effect.retry(once, {
    times: attempts,
    while: (error) => error instanceof Conflict && error.reason === "Contended"
  })
}

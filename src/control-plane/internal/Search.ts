import { Effect } from "effect"
import type { Persistence, PersistenceError, Write } from "../../persistence/index.ts"

/** Rows that are looked at without a pause. */
const stretch = 5_000

interface Search {
  readonly orgId: string
  /** The page begins behind this id. */
  readonly from: number
  readonly limit: number
  /** What a column has to be; null: anything. */
  readonly equal: Readonly<Record<string, string | null>>
  /** A column and its bounds, inclusive; null: none. */
  readonly between: readonly [column: string, from: number, to: number] | null
}

/** The bounds of a span of time, if it has any. */
export const betweenOf = (
  column: string,
  { sinceMs, untilMs }: { readonly sinceMs?: number | undefined; readonly untilMs?: number | undefined }
): Search["between"] =>
  sinceMs === undefined && untilMs === undefined ? null : [column, sinceMs ?? 0, untilMs ?? Number.MAX_SAFE_INTEGER]

/**
 * The rows of an organization by id that fit what is asked. The ids are an index, the rest is not: what is rare is looked
 * for in stretches of 5,000 rows, between which others get their turn.
 */
export const makeSearch = <A>(
  { read }: Persistence.Persistence["Type"],
  name: string,
  /** The rows with this behind `FROM <name>`. */
  select: (tail: string, params: ReadonlyArray<Write.SqlValue>) => Effect.Effect<ReadonlyArray<A>, PersistenceError>,
  direction: "oldest-first" | "newest-first"
) => {
  const [behind, upTo, order] = direction === "oldest-first" ? [">", "<=", "ASC"] : ["<", ">=", "DESC"]
  const endText = `SELECT id FROM ${name} WHERE org_id = ? AND id ${behind} ? ORDER BY id ${order} LIMIT 1 OFFSET ${
    stretch - 1
  }`

  return ({ between, equal, from, limit, orgId }: Search): Effect.Effect<ReadonlyArray<A>, PersistenceError> => {
    const given = Object.entries(equal).flatMap(([column, value]) => value === null ? [] : [[column, value] as const])
    const conditions = [
      ...given.map(([column]) => `AND ${column} = ?`),
      ...(between === null ? [] : [`AND ${between[0]} BETWEEN ? AND ?`])
    ].join(" ")
    const params: ReadonlyArray<Write.SqlValue> = [...given.map(([, value]) => value), ...(between?.slice(1) ?? [])]
    const page = (position: number, end: number | null, most: number) =>
      select(
        `WHERE org_id = ? AND id ${behind} ? ${end === null ? "" : `AND id ${upTo} ?`} ${conditions}
          ORDER BY id ${order} LIMIT ?`,
        [orgId, position, ...(end === null ? [] : [end]), ...params, most]
      )
    if (conditions === "") return page(from, null, limit)
    return Effect.gen(function*() {
      const found: Array<A> = []
      let position = from
      for (;;) {
        const [last] = yield* read(endText, [orgId, position])
        const end = last === undefined ? null : Number(last["id"])
        for (const row of yield* page(position, end, limit - found.length)) found.push(row)
        if (end === null || found.length === limit) return found
        position = end
        yield* Effect.yieldNow()
      }
    })
  }
}

import { assert, it } from "@effect/vitest"
import { Effect, Exit, Schema } from "effect"
import { Write } from "../../src/persistence/index.ts"
import { freshPersistence } from "../support/Home.ts"

const Key = Schema.Literal("a", "b", "c", "d")
const Value = Schema.Literal(0, 1, 2)

const Insert = Schema.TaggedStruct("Insert", { key: Key, value: Value })
const CompareAndSet = Schema.TaggedStruct("CompareAndSet", { key: Key, from: Value, to: Value })
const Delete = Schema.TaggedStruct("Delete", { key: Key })
const Operation = Schema.Union(Insert, CompareAndSet, Delete)
type Operation = typeof Operation.Type

/** A unit of one to four operations; an insert of a key that is there, or a guard that fails, undoes all of it. */
const Unit = Schema.Array(Operation).pipe(Schema.minItems(1), Schema.maxItems(4))

const write = (operation: Operation): Write.Write<unknown, string> => {
  switch (operation._tag) {
    case "Insert":
      return Write.run("INSERT INTO kv (key, value) VALUES (?, ?)", [operation.key, operation.value])
    case "CompareAndSet":
      return Write.guard("UPDATE kv SET value = ? WHERE key = ? AND value = ? RETURNING value", [
        operation.to,
        operation.key,
        operation.from
      ], () => "lost")
    case "Delete":
      return Write.run("DELETE FROM kv WHERE key = ?", [operation.key])
  }
}

/** What the same unit does to a map: the map after it, or nothing when it fails. */
const expected = (before: ReadonlyMap<string, number>, unit: ReadonlyArray<Operation>) => {
  const after = new Map(before)
  for (const operation of unit) {
    switch (operation._tag) {
      case "Insert":
        if (after.has(operation.key)) return undefined
        after.set(operation.key, operation.value)
        break
      case "CompareAndSet":
        if (after.get(operation.key) !== operation.from) return undefined
        after.set(operation.key, operation.to)
        break
      case "Delete":
        after.delete(operation.key)
    }
  }
  return after
}

it.scoped.prop(
  "any sequence of units, failing ones among them, ends as the same sequence on a map",
  [Schema.Array(Unit).pipe(Schema.maxItems(40))],
  ([units]) =>
    Effect.gen(function*() {
      const persistence = yield* freshPersistence
      yield* persistence.write(Write.run("CREATE TABLE kv (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT", []))
      const hooked: Array<number> = []
      const answers = yield* Effect.forEach(units, (unit, i) =>
        persistence.submit(() => Write.all(unit.map(write)).pipe(Write.tapCommitted(() => hooked.push(i)))))
      const exits = yield* Effect.forEach(answers, ({ answer }) =>
        Effect.exit(answer))

      let model: ReadonlyMap<string, number> = new Map()
      const committed: Array<number> = []
      units.forEach((unit, i) => {
        const after = expected(model, unit)
        assert.strictEqual(Exit.isSuccess(exits[i]!), after !== undefined)
        if (after === undefined) {
          return
        }
        model = after
        committed.push(i)
      })
      const rows = yield* persistence.sql.unsafe<{ key: string; value: number }>("SELECT key, value FROM kv")
      assert.deepStrictEqual(
        rows.map((row) => [row.key, row.value] as const).sort(),
        [...model.entries()].sort()
      )
      assert.deepStrictEqual(hooked, committed)
    }),
  { fastCheck: { numRuns: 60 }, timeout: 60_000 }
)

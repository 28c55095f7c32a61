import { assert, it } from "@effect/vitest"
import { Arbitrary, Data, Effect, Equal, FastCheck, Option, Redacted, Schema } from "effect"
import { Cache } from "../../src/cache/index.ts"
import { canonical } from "../../src/cache/internal/Canonical.ts"
import { signatureOf } from "../../src/cache/internal/Signature.ts"
import { cacheLayer } from "./support.ts"

class Person extends Schema.Class<Person>("Person")({ name: Schema.NonEmptyString, age: Schema.Int }) {}

interface Tree {
  readonly name: string
  readonly children: ReadonlyArray<Tree>
}
const makeTree = (): Schema.Schema<Tree> => {
  const tree: Schema.Schema<Tree> = Schema.Struct({
    name: Schema.String,
    children: Schema.Array(Schema.suspend(() => tree)).pipe(Schema.maxItems(2))
  })
  return tree
}

const outputs: Readonly<Record<string, Schema.Schema.AnyNoContext>> = {
  struct: Schema.Struct({ a: Schema.String, b: Schema.optional(Schema.Int), c: Schema.NullOr(Schema.Boolean) }),
  date: Schema.Struct({ at: Schema.ValidDateFromSelf.pipe((self) => Schema.compose(Schema.DateFromString, self)) }),
  option: Schema.Option(Schema.String),
  either: Schema.Either({ left: Schema.String, right: Schema.NumberFromString }),
  bigint: Schema.Array(Schema.BigInt),
  map: Schema.Map({ key: Schema.String, value: Schema.Int }),
  class: Schema.Array(Person),
  union: Schema.Union(Schema.TaggedStruct("A", { n: Schema.Int }), Schema.TaggedStruct("B", { s: Schema.String })),
  tree: makeTree(),
  record: Schema.Record({ key: Schema.String, value: Schema.Array(Schema.JsonNumber) }),
  bytes: Schema.Uint8ArrayFromBase64,
  default: Schema.Struct({ n: Schema.optionalWith(Schema.Int, { default: () => 7 }) }),
  json: Schema.parseJson(Schema.Struct({ n: Schema.Int })),
  unicode: Schema.Struct({ text: Schema.String, ["ключ \u2028 \0"]: Schema.Char })
}

for (const [name, schema] of Object.entries(outputs)) {
  it.effect(`a hit equals what the execution would have decoded: ${name}`, () =>
    Effect.gen(function*() {
      const output = schema as Schema.Schema<unknown, unknown>
      const equal = Schema.equivalence(output)
      const values = FastCheck.sample(Arbitrary.make(output), { numRuns: 40, seed: 11 })
      for (const [key, value] of values.entries()) {
        const text = JSON.stringify(yield* Schema.encode(output)(value))
        const decoded = yield* Schema.decodeUnknown(output)(JSON.parse(text))
        const executed = yield* Cache.make({ key, output, execute: Effect.succeed(value) })
        const hit = yield* Cache.make({ key, output, execute: Effect.dieMessage("executed again") })
        assert.isTrue(equal(executed, decoded), "executed")
        assert.isTrue(equal(hit, decoded), "hit")
      }
    }).pipe(Effect.provide(cacheLayer)))
}

const text = (value: unknown) => canonical(value, "by")

it("plain data has the same text exactly when it is equal", () => {
  const json = FastCheck.jsonValue({ maxDepth: 4 })
  FastCheck.assert(
    FastCheck.property(json, json, (a, b) => {
      const same = Equal.equals(text(a), text(b))
      const [left, right] = [JSON.parse(JSON.stringify(a)), JSON.parse(JSON.stringify(b))]
      return same === (sorted(left) === sorted(right))
    }),
    { numRuns: 2_000, seed: 3 }
  )
})

const sorted = (value: unknown): string =>
  JSON.stringify(
    value,
    (_, held: unknown) =>
      typeof held === "object" && held !== null && !Array.isArray(held)
        ? ["object", ...Object.entries(held).sort(([a], [b]) => a < b ? -1 : 1)]
        : held
  )

const apart: ReadonlyArray<readonly [string, unknown, unknown]> = [
  ["a number and its text", 1, "1"],
  ["null and its text", null, "null"],
  ["NaN and null", NaN, null],
  ["a date and its text", new Date(0), "1970-01-01T00:00:00.000Z"],
  ["a date and its number", new Date(0), 0],
  ["an empty list and an empty object", [], {}],
  ["nested and flat lists", [[1], 2], [1, [2]]],
  ["an object and its entries", { a: 1 }, [["a", 1]]],
  ["a name with a quote", { "a\":1,\"b": 2 }, { a: 1, b: 2 }],
  ["a lone surrogate and another", "\ud800", "\ud801"]
]

for (const [what, a, b] of apart) {
  it(`keys tell apart ${what}`, () => {
    assert.isFalse(Equal.equals(text(a), text(b)))
  })
}

it("keys do not tell apart what JSON does not", () => {
  assert.deepStrictEqual(text({ a: 1, b: undefined }), text({ a: 1 }))
  assert.deepStrictEqual(text(-0), text(0))
  assert.deepStrictEqual(text(Data.struct({ a: 1 })), text({ a: 1 }))
  assert.deepStrictEqual(text(new Person({ name: "Ada", age: 36 })), text({ age: 36, name: "Ada" }))
})

const shared = Array.from({ length: 64 }).reduce<unknown>((inner) => [inner, inner], "x")
const deep = Array.from({ length: 100 }).reduce<unknown>((inner) => [inner], "x")
const refused: ReadonlyArray<readonly [string, unknown]> = [
  ["a function", () => 1],
  ["a symbol", Symbol("s")],
  ["a bigint", 1n],
  ["a Map", new Map([["a", 1]])],
  ["a Set inside", { tags: new Set(["a"]) }],
  ["a redacted value", Redacted.make("s3cret")],
  ["an Option", Option.some(1)],
  ["a typed array", new Uint8Array(4)],
  [
    "a class of one's own",
    new (class Counter {
      n = 1
    })()
  ],
  ["a tree that is too deep", deep],
  ["a graph that would grow without bound", shared],
  ["a text that is too long", "x".repeat(2_000_000)],
  ["a getter that throws", {
    get secret() {
      throw new Error("no")
    }
  }]
]

for (const [what, value] of refused) {
  it(`keys are not made of ${what}`, () => {
    const made = text(value)
    assert.strictEqual(made._tag, "Left")
    assert.notInclude(JSON.stringify(made), "s3cret")
  })
}

const { String: Text } = Schema
const signatures: ReadonlyArray<readonly [string, Schema.Schema.AnyNoContext, Schema.Schema.AnyNoContext, boolean]> = [
  [
    "fields in another order",
    Schema.Struct({ a: Text, b: Schema.Int }),
    Schema.Struct({ b: Schema.Int, a: Text }),
    true
  ],
  ["another description", Text, Text.annotations({ description: "a name" }), true],
  ["an equal recursive schema", makeTree(), makeTree(), true],
  ["an optional field", Schema.Struct({ a: Text }), Schema.Struct({ a: Schema.optional(Text) }), false],
  ["a renamed field", Schema.Struct({ a: Text }), Schema.Struct({ b: Text }), false],
  ["another literal", Schema.Literal("a"), Schema.Literal("b"), false],
  ["a literal of another type", Schema.Literal("1"), Schema.Literal(1), false],
  ["another bound", Text.pipe(Schema.minLength(1)), Text.pipe(Schema.minLength(2)), false],
  ["a transformation", Schema.Number, Schema.NumberFromString, false],
  ["another brand", Text.pipe(Schema.brand("A")), Text.pipe(Schema.brand("B")), false],
  [
    "a field behind the same identifier",
    Schema.Struct({ a: Text }).annotations({ identifier: "N" }),
    Schema.Struct({ a: Text, b: Text }).annotations({ identifier: "N" }),
    false
  ],
  ["a list and a tuple", Schema.Array(Text), Schema.Tuple(Text), false]
]

for (const [what, a, b, same] of signatures) {
  it(`the signature of a schema ${same ? "stays with" : "changes with"} ${what}`, () => {
    assert.strictEqual(signatureOf(a).hash === signatureOf(b).hash, same)
  })
}

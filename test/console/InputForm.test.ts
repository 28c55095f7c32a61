import { assert, describe, it } from "@effect/vitest"
import { Either, JSONSchema, Schema } from "effect"
import { fieldNamed, fieldsOf, readDraft, readJsonInput } from "../../src/console/InputForm.ts"

const fields = fieldsOf(JSONSchema.make(Schema.Struct({
  repo: Schema.String.annotations({ description: "Path of a clone." }),
  count: Schema.optional(Schema.Int),
  style: Schema.optional(Schema.Literal("plain", "friendly")),
  draft: Schema.optional(Schema.Boolean),
  labels: Schema.optional(Schema.Array(Schema.String))
}))) ?? []

describe("the launch form", () => {
  it("has a control for each member of the input schema, in its order", () => {
    assert.deepStrictEqual(
      fields.map(({ control, help, name, required }) => [name, help, required, control.kind]),
      [
        ["repo", "Path of a clone.", true, "text"],
        ["count", "an integer", false, "number"],
        ["style", undefined, false, "choice"],
        ["draft", undefined, false, "boolean"],
        ["labels", undefined, false, "json"]
      ]
    )
  })

  it("falls back to JSON text for a workflow whose input has no members", () => {
    assert.isUndefined(fieldsOf(null))
    assert.isUndefined(fieldsOf(JSONSchema.make(Schema.Struct({}))))
    assert.isUndefined(fieldsOf({ type: "string" }))
  })

  it("follows a schema that only refers to its definition", () => {
    const Named = Schema.Struct({ to: Schema.String }).annotations({ identifier: "Named" })
    assert.deepStrictEqual(fieldsOf(JSONSchema.make(Named))?.map(({ name }) => name), ["to"])
  })

  it("leaves out what was not filled in and gives numbers, booleans and JSON their types", () => {
    assert.deepStrictEqual(
      readDraft(fields, { repo: "/srv/app", count: " 3 ", style: "", labels: "[\"a\"]", draft: true }),
      Either.right({ repo: "/srv/app", count: 3, labels: ["a"], draft: true })
    )
  })

  it("names every field that is missing or wrong", () => {
    const errors = Either.getOrThrow(Either.flip(readDraft(fields, { count: "1.5", labels: "[" })))
    assert.strictEqual(errors["repo"], "is required")
    assert.strictEqual(errors["count"], "is not a whole number")
    assert.match(errors["labels"] ?? "", /is not valid JSON/)
  })

  it("puts the service's refusal at the field that it names", () => {
    assert.deepStrictEqual(fieldNamed(fields, "input.repo: must exist"), { repo: "must exist" })
    assert.deepStrictEqual(fieldNamed(fields, "labels.0: must be a string"), { labels: "must be a string" })
    assert.deepStrictEqual(fieldNamed(fields, "Workflow x was not found."), {})
  })

  it("takes only an object as JSON input, and nothing as the empty one", () => {
    assert.deepStrictEqual(readJsonInput(" "), Either.right({}))
    assert.deepStrictEqual(readJsonInput("{\"a\": [1]}"), Either.right({ a: [1] }))
    assert.match(Either.getOrThrow(Either.flip(readJsonInput("[1]"))), /must be a JSON object/)
    assert.match(Either.getOrThrow(Either.flip(readJsonInput("{"))), /is not valid JSON/)
  })
})

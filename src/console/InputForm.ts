import { Either, ParseResult, Schema } from "effect"

/** One control of a launch form, made from a property of the workflow's input schema. */
export interface Field {
  readonly name: string
  readonly help: string | undefined
  readonly required: boolean
  readonly control:
    | { readonly kind: "text"; readonly minLength: number }
    | { readonly kind: "number"; readonly integer: boolean }
    | { readonly kind: "boolean" }
    | { readonly kind: "choice"; readonly options: ReadonlyArray<string> }
    | { readonly kind: "json" }
}

/** What was typed, by field name; controls that were not touched are absent. */
export type Draft = Readonly<Record<string, string | boolean>>

/** Why the draft is not an input, by field name. */
export type FieldErrors = Readonly<Record<string, string>>

const Property = Schema.Struct({
  type: Schema.optional(Schema.Unknown),
  description: Schema.optional(Schema.String),
  enum: Schema.optional(Schema.Array(Schema.Unknown)),
  minLength: Schema.optional(Schema.Number),
  $ref: Schema.optional(Schema.String)
})
type Property = typeof Property.Type

const Properties = Schema.Record({ key: Schema.String, value: Property })

const InputSchema = Schema.Struct({
  type: Schema.optional(Schema.Unknown),
  properties: Schema.optionalWith(Properties, { default: () => ({}) }),
  required: Schema.optionalWith(Schema.Array(Schema.String), { default: () => [] }),
  $ref: Schema.optional(Schema.String),
  $defs: Schema.optionalWith(Schema.Record({ key: Schema.String, value: Schema.Unknown }), { default: () => ({}) })
})

const refPrefix = "#/$defs/"

const control = (property: Property): Field["control"] => {
  if (property.enum?.every((option) => typeof option === "string")) return { kind: "choice", options: property.enum }
  switch (property.type) {
    case "string":
      return { kind: "text", minLength: property.minLength ?? 0 }
    case "number":
    case "integer":
      return { kind: "number", integer: property.type === "integer" }
    case "boolean":
      return { kind: "boolean" }
    default:
      return { kind: "json" }
  }
}

/** The fields of an input schema (JSON Schema); undefined when it does not describe an object with members. */
export const fieldsOf = (jsonSchema: unknown): ReadonlyArray<Field> | undefined => {
  const decoded = Schema.decodeUnknownOption(InputSchema)(jsonSchema)
  if (decoded._tag === "None") return undefined
  const { $defs, $ref } = decoded.value
  if ($ref?.startsWith(refPrefix)) {
    const target = $defs[$ref.slice(refPrefix.length)]
    return typeof target === "object" && target !== null && !("$ref" in target)
      ? fieldsOf({ ...target, $defs })
      : undefined
  }
  const { properties, required, type } = decoded.value
  if (type !== "object" || Object.keys(properties).length === 0) return undefined
  return Object.entries(properties).map(([name, written]) => {
    const property = written.$ref?.startsWith(refPrefix)
      ? Either.getOrElse(
        Schema.decodeUnknownEither(Property)($defs[written.$ref.slice(refPrefix.length)]),
        () => written
      )
      : written
    return {
      name,
      help: property.description,
      required: required.includes(name),
      control: control(property)
    }
  })
}

const json = Schema.decodeUnknownEither(Schema.parseJson())

const jsonProblem = (error: ParseResult.ParseError): string =>
  `is not valid JSON: ${ParseResult.ArrayFormatter.formatErrorSync(error)[0]?.message ?? error.message}`

const readField = (field: Field, typed: string | boolean | undefined): Either.Either<unknown, string> => {
  if (field.control.kind === "boolean") {
    return Either.right(typed === undefined && !field.required ? undefined : typed === true)
  }
  const text = typeof typed === "string" ? typed : ""
  if (text.trim() === "") return field.required ? Either.left("is required") : Either.right(undefined)
  switch (field.control.kind) {
    case "text":
      return text.length < field.control.minLength
        ? Either.left(`needs at least ${field.control.minLength} characters`)
        : Either.right(text)
    case "number": {
      const number = Number(text)
      if (!Number.isFinite(number)) return Either.left("is not a number")
      if (field.control.integer && !Number.isInteger(number)) return Either.left("is not a whole number")
      return Either.right(number)
    }
    case "choice":
      return Either.right(text)
    case "json":
      return Either.mapLeft(json(text), jsonProblem)
  }
}

/** The input that the draft says, or what is wrong with which field. */
export const readDraft = (
  fields: ReadonlyArray<Field>,
  draft: Draft
): Either.Either<Readonly<Record<string, unknown>>, FieldErrors> => {
  const read = fields.map((field) => [field.name, readField(field, draft[field.name])] as const)
  const errors = read.flatMap(([name, value]) => Either.isLeft(value) ? [[name, value.left] as const] : [])
  if (errors.length > 0) return Either.left(Object.fromEntries(errors))
  return Either.right(Object.fromEntries(
    read.flatMap(([name, value]) => Either.isRight(value) && value.right !== undefined ? [[name, value.right]] : [])
  ))
}

const namedField = /^(?:input\.)?([^:\s]+): (.+)$/s

/** Which field a refusal names (`input.repo: must exist`), and what it says of it. */
export const fieldNamed = (fields: ReadonlyArray<Field>, message: string): FieldErrors => {
  const [, path = "", problem = message] = namedField.exec(message) ?? []
  const field = fields.find(({ name }) => path === name || path.startsWith(`${name}.`))
  return field === undefined ? {} : { [field.name]: problem }
}

const JsonObject = Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.Unknown }))

/** The input written as one JSON object. */
export const readJsonInput = (text: string): Either.Either<Readonly<Record<string, unknown>>, string> =>
  Either.mapBoth(Schema.decodeUnknownEither(JsonObject)(text.trim() === "" ? "{}" : text), {
    onLeft: (error) =>
      Either.isLeft(json(text)) ? jsonProblem(error) : "must be a JSON object, such as {\"name\": \"value\"}",
    onRight: (input) => input
  })

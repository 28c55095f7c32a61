import { Either, Predicate, Schema } from "effect"
import { isUtf8 } from "node:buffer"
import { failure, type GatewayFailure } from "../contract.ts"
import { limits } from "./Limits.ts"

type JsonObject = { readonly [member: string]: unknown }

export const isObject = (value: unknown): value is JsonObject => Predicate.isRecord(value)

const decodeText = Schema.decodeUnknownEither(Schema.parseJson(Schema.Unknown))

/** JSON text of a value that came from JSON or was encoded by a schema: there is nothing left to check. */
export const jsonText = (value: unknown): string => JSON.stringify(value)

export const invalidInput = (message: string) => failure("INVALID_INPUT", message)

export const invalidRequest = (message: string) => failure("INVALID_REQUEST", message)

/** Reads bytes as JSON; empty ones count as `{}`. */
export const parseJson = (bytes: Buffer): Either.Either<unknown, GatewayFailure> => {
  if (bytes.length === 0) return Either.right({})
  if (!isUtf8(bytes)) return Either.left(invalidInput("body: must be UTF-8"))
  return Either.mapLeft(decodeText(bytes.toString("utf8")), () => invalidInput("body: must be valid JSON"))
}

/** The first place where a value exceeds the bounds on depth, arrays and strings, with the bound. */
export const checkBounds = (value: unknown, path: string, depth = 1): string | undefined => {
  if (typeof value === "string") {
    return value.length > limits.stringChars ? `${path}: must be at most ${limits.stringChars} characters` : undefined
  }
  if (typeof value !== "object" || value === null) return undefined
  if (depth > limits.depth) return `${path}: must not be nested deeper than ${limits.depth}`
  if (Array.isArray(value)) {
    if (value.length > limits.elements) return `${path}: must have at most ${limits.elements} elements`
    for (const [index, element] of value.entries()) {
      const violation = checkBounds(element, `${path}[${index}]`, depth + 1)
      if (violation !== undefined) return violation
    }
    return undefined
  }
  for (const [key, member] of Object.entries(value)) {
    if (typeof member !== "object" && typeof member !== "string") continue
    const violation = checkBounds(member, `${path}.${key.slice(0, 64)}`, depth + 1)
    if (violation !== undefined) return violation
  }
  return undefined
}

/** The prompt of a launch is kept for information only: it is cut before the bound on strings looks at it. */
export const clipPrompt = (params: unknown): unknown => {
  if (!isObject(params) || !isObject(params["options"]) || !isObject(params["options"]["startedBy"])) return params
  const { options } = params
  const { startedBy } = options as { readonly startedBy: JsonObject }
  const { prompt } = startedBy
  if (typeof prompt !== "string" || prompt.length <= limits.promptChars) return params
  const points = Array.from(prompt)
  if (points.length <= limits.promptChars) return params
  const clipped = `${points.slice(0, limits.promptChars - 1).join("")}…`
  return { ...params, options: { ...params["options"], startedBy: { ...startedBy, prompt: clipped } } }
}

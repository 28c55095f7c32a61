import { Cause, Either, Option, Schema } from "effect"
import { Bounds, FailureRecord } from "../../model/index.ts"
import { TaskFailed } from "../TaskFailed.ts"

/** Takes secrets out of a text. */
type Clean = (text: string) => string

const cut = (clean: Clean, text: string): string => {
  const kept = clean(text)
  return kept.length <= Bounds.failureMessageChars ? kept : `${kept.slice(0, Bounds.failureMessageChars - 1)}…`
}

const nameOf = (error: unknown): string => {
  if (typeof error === "object" && error !== null) {
    if ("_tag" in error && typeof error._tag === "string") return error._tag
    if ("name" in error && typeof error.name === "string") return error.name
  }
  return typeof error
}

/** None for what JSON cannot carry. */
const pretty = Option.liftThrowable((error: unknown) => Cause.pretty(Cause.fail(error)))

const messageOf = (error: unknown): string =>
  error instanceof Error
    ? error.message
    : typeof error === "string"
    ? error
    : Option.getOrElse(pretty(error), () => String(error))

/** What a cause comes down to: its first failure, else its first defect. */
export const squash = (cause: Cause.Cause<unknown>): { readonly error: unknown; readonly defect: boolean } =>
  Option.match(Cause.failureOption(cause), {
    onSome: (error) => ({ error, defect: false }),
    onNone: () => ({ error: Cause.squash(cause), defect: true })
  })

/** What is left of a value in JSON; not every encoded value can be put into it. */
const toJson = (value: unknown) =>
  value === undefined
    ? Either.right(undefined)
    : Either.flatMap(Schema.encodeEither(Json)(value), (text) => Schema.decodeEither(Json)(text))
const Json = Schema.parseJson(Schema.Unknown)

/** The record of an error: redacted and cut text; the payload only if `schema` declares how it looks. */
export const record = <E, I>(
  clean: Clean,
  error: unknown,
  schema: Schema.Schema<E, I> | undefined
): FailureRecord => {
  const described = { name: cut(clean, nameOf(error)), message: cut(clean, messageOf(error)) }
  if (schema !== undefined) {
    const data = Either.flatMap(Schema.encodeUnknownEither(schema)(error), toJson)
    if (Either.isRight(data)) return { ...described, typed: true, data: redactDeep(clean, data.right) }
  }
  return { ...described, typed: false }
}

/** Every text within an encoded error, redacted. */
export const redactDeep = (clean: Clean, value: unknown): unknown => {
  if (typeof value === "string") return clean(value)
  if (Array.isArray(value)) return value.map((item) => redactDeep(clean, item))
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [clean(key), redactDeep(clean, item)]))
  }
  return value
}

const decodeRecord = Schema.decodeUnknownOption(Schema.parseJson(FailureRecord))
const decodeTaskFailed = Schema.decodeUnknownOption(TaskFailed)

const unreadable: FailureRecord = { name: "unknown", message: "The stored failure cannot be read.", typed: false }

/** The error of a stored record: as declared if it still decodes, else as a `TaskFailed`. */
export const reviveRecord = <E, I>(
  nodeId: string,
  stored: FailureRecord,
  schema: Schema.Schema<E, I> | undefined
): Either.Either<E, TaskFailed> => {
  if (schema !== undefined && stored.typed) {
    const decoded = Schema.decodeUnknownEither(schema)(stored.data)
    if (Either.isRight(decoded)) return Either.right(decoded.right)
  }
  return Either.left(Option.getOrElse(
    decodeTaskFailed(stored.data),
    () => new TaskFailed({ nodeId, reason: "Failed", cause: stored.name, detail: stored.message })
  ))
}

/** `reviveRecord` from the JSON text of the record. */
export const revive = <E, I>(nodeId: string, errorJson: string | null, schema: Schema.Schema<E, I> | undefined) =>
  reviveRecord(nodeId, Option.getOrElse(decodeRecord(errorJson), () => unreadable), schema)

/** A failure that the task's schema does not declare, as it is raised and stored. */
export const undeclared = (clean: Clean, nodeId: string, error: unknown, defect: boolean): TaskFailed =>
  error instanceof TaskFailed
    ? error
    : new TaskFailed({
      nodeId,
      reason: defect ? "Defect" : "Failed",
      cause: cut(clean, nameOf(error)),
      detail: cut(clean, messageOf(error))
    })

import { DateTime, Either, Option, Schema } from "effect"
import { Bounds } from "../model/index.ts"
import { Redaction } from "../secrets/index.ts"

/** What stands for the whole organization where the id of a project may stand; no project can have it as its id. */
export const orgWide = "__org__"

const matching = (pattern: RegExp, bound: string) =>
  Schema.String.pipe(Schema.pattern(pattern), Schema.annotations({ description: bound }))

const holdsNoSecret = (text: string): boolean => Redaction.redactCredentials(text) === text
const secretBound = "must be a reference, not a secret"

export const Id = matching(
  /^(?!__org__$)[A-Za-z0-9:_-]{1,128}$/,
  "must have 1–128 characters of A-Z a-z 0-9 : _ - and not be __org__"
)

/** People and services as the identity provider names them, e-mail addresses among them. */
export const UserId = matching(/^[A-Za-z0-9:_.@+|-]{1,256}$/, "must have 1–256 characters of A-Z a-z 0-9 : _ . @ + | -")

export const Slug = matching(
  /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/,
  "must have 1–64 characters of a-z 0-9 -, none of - at its ends"
)

export const Name = matching(
  /^[^\p{Cc}\s](?:[^\p{Cc}]{0,198}[^\p{Cc}\s])?$/u,
  "must have 1–200 characters, no control characters, no blanks at its ends"
)

/** `owner`, `admin`, `member`, `auditor`, `viewer`, or a word of the hosted service's own. */
export const Role = matching(/^[a-z][a-z0-9-]{0,63}$/, "must have 1–64 characters of a-z 0-9 -, a letter first")

/** Plans, statuses, secret managers. */
export const Word = matching(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/, "must have 1–64 characters of A-Z a-z 0-9 _ . -")

/** `agent_runtime_ms`, `tokens.input`. */
export const Metric = matching(
  /^[A-Za-z0-9][A-Za-z0-9_.:/-]{0,127}$/,
  "must have 1–128 characters of A-Z a-z 0-9 _ . : / -"
)

export const Unit = matching(
  /^[A-Za-z0-9%][A-Za-z0-9_./%-]{0,31}$/,
  "must have 1–32 characters of A-Z a-z 0-9 _ . / % -"
)

/** `project.create`, in the audit of an organization. */
export const Action = matching(
  /^[a-z][a-z0-9_.:-]{0,127}$/,
  "must have 1–128 characters of a-z 0-9 _ . : -, a letter first"
)

export const SecretName = matching(
  /^[A-Za-z0-9_][A-Za-z0-9_./-]{0,127}$/,
  "must have 1–128 characters of A-Z a-z 0-9 _ . / -"
)

export const IdempotencyKey = matching(/^[^\p{Cc}]{1,256}$/u, "must have 1–256 characters, no control characters")

/** An address that is not followed by us. */
export const Url = Schema.String.pipe(
  Schema.filter((text) => text.length <= 2_048 && /^https?:\/\/[^\s]+$/.test(text) && holdsNoSecret(text)),
  Schema.annotations({ description: "must be an http or https URL of at most 2,048 characters that holds no secret" })
)

/** Where a secret manager keeps something: `vault://…`, `arn:…`, a path. Never the thing itself. */
export const Ref = Schema.String.pipe(
  Schema.filter((text) => /^[^\s\p{Cc}]{1,1024}$/u.test(text) && holdsNoSecret(text)),
  Schema.annotations({ description: `must have 1–1,024 characters without blanks; it ${secretBound}` })
)

/** Whole numbers, so that sums are exact whatever their order; what is smaller than one needs a smaller unit. */
export const Quantity = Schema.Int.pipe(
  Schema.between(0, 1_000_000_000_000),
  Schema.annotations({ description: "must be a whole number from 0 to 1,000,000,000,000" })
)

export const LimitQuantity = Schema.Int.pipe(
  Schema.between(0, Number.MAX_SAFE_INTEGER),
  Schema.annotations({ description: "must be a whole number from 0 to 2^53 - 1" })
)

/** Milliseconds since the epoch, to the end of the year 9999. */
export const AtMs = Schema.Int.pipe(
  Schema.between(0, 253_402_300_799_999),
  Schema.annotations({ description: "must be whole milliseconds since the epoch, before the year 10000" })
)

/** An IANA name that this Node knows. */
export const TimeZone = Schema.String.pipe(
  Schema.filter((id) => id.length <= 64 && Option.isSome(DateTime.zoneMakeNamed(id))),
  Schema.annotations({ description: "must be an IANA time zone, like UTC or Europe/Berlin" })
)

const metadataBytes = 16_384

const Json = Schema.Record({ key: Schema.String, value: Schema.Unknown })
const encodeMetadata = Schema.encodeEither(Schema.parseJson(Json))

/** Whatever the hosted service wants to remember: a JSON object. */
export const Metadata = Json.pipe(
  Schema.filter((value) => {
    if (Object.keys(value).length === 0) return true
    const text = encodeMetadata(value)
    return Either.isRight(text) && text.right.length <= metadataBytes && holdsNoSecret(text.right)
  }),
  Schema.annotations({ description: `must be a JSON object of at most 16,384 characters that holds no secret` })
)
export type Metadata = typeof Metadata.Type

export const Limit = Schema.Int.pipe(
  Schema.between(1, Bounds.pageRows),
  Schema.annotations({ description: `must be a whole number from 1 to ${Bounds.pageRows}` })
)

/** A page of a list: at most `limit` rows (50 unless given) after the one with this id. */
export const page = {
  limit: Schema.optional(Limit),
  after: Schema.optional(Schema.String.pipe(
    Schema.maxLength(512),
    Schema.annotations({ description: "must have at most 512 characters" })
  ))
}

/** The two parts of `<first>/<second>`, after which a page begins. */
export const pairOf = (after: string): readonly [first: string, second: string] => {
  const slash = after.indexOf("/")
  return [after.slice(0, Math.max(slash, 0)), after.slice(slash + 1)]
}

export const ProjectOf = Schema.optional(Schema.NullOr(Id))

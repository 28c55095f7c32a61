import { Cause, Inspectable, Predicate, type Schema, type SchemaAST } from "effect"
import { isSensitive } from "../model/index.ts"
import { findFormats } from "./internal/FormatSearch.ts"
import { partOf, SchemaWalk } from "./internal/SchemaWalk.ts"

/**
 * What looks like a credential without certainly being one. It is cut out of whatever text we show, log or keep of a
 * failure, which may quote the request, the command line or the URL that failed; a text is not refused for it.
 */
const likely: ReadonlyArray<RegExp> = [
  /-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----[\s\S]*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----|$)/g,
  /\b(?:ghp|gho|ghu|ghs|ghr)_[A-Za-z0-9]{20,}/g,
  /\bgithub_pat_[A-Za-z0-9_]{20,}/g,
  /\bglpat-[A-Za-z0-9_-]{20,}/g,
  /\bsk-[A-Za-z0-9_-]{20,}/g,
  /\bxox[abprs]-[A-Za-z0-9-]{10,}/g,
  /\b(?:AKIA|ASIA)[A-Z0-9]{16}\b/g,
  /\b(?:Bearer|Basic)\s{1,8}[A-Za-z0-9._~+/=-]{8,}/gi
]

/** User and password of a URL; the rest of the address stays readable. */
const urlCredentials = /\b([a-z][a-z0-9+.-]{0,31}:\/\/)[^\s/@:]{1,1024}:[^\s/@]{1,4096}@/gi

const redacted = "[redacted]"

/** The text without anything that looks like a credential. Knows no resolved values: see `SecretGuard.redact`. */
export const redact = (text: string): string => {
  let result = text.replace(urlCredentials, `$1${redacted}@`)
  for (const pattern of likely) result = result.replace(pattern, redacted)
  let clean = ""
  let from = 0
  for (const { end, start } of [...findFormats(result)].sort((left, right) => left.start - right.start)) {
    if (start >= from) clean += `${result.slice(from, start)}${redacted}`
    from = Math.max(from, end)
  }
  return from === 0 ? result : clean + result.slice(from)
}

/** The beginning of a text that is longer than this many characters. */
export const cut = (text: string, chars: number): string => text.length <= chars ? text : `${text.slice(0, chars - 1)}…`

/** How deep a value is looked into; what lies deeper is left out. */
const maxDepth = 16

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

/** How Effect notes on an error the span that it was raised in: not as a property of its own. */
const spanNote = Symbol.for("effect/SpanAnnotation")

/** The same error if nothing in it is redacted; else one of the same class, with the same symbols, and redacted text. */
const redactError = (error: Error, clean: (text: string) => string, depth: number): Error => {
  const parts = new Map(
    Reflect.ownKeys(error).map((key) => {
      const value: unknown = Reflect.get(error, key)
      return [key, { value, clean: typeof key === "symbol" ? value : redactAt(value, clean, depth + 1) }]
    })
  )
  if ([...parts.values()].every((part) => part.value === part.clean)) return error
  const copy = Object.create(Object.getPrototypeOf(error)) as Error // -- of the class of the error
  for (const [key, part] of parts) {
    const enumerable = Object.getOwnPropertyDescriptor(error, key)?.enumerable === true
    Object.defineProperty(copy, key, { value: part.clean, enumerable, writable: true, configurable: true })
  }
  if (spanNote in error) Object.defineProperty(copy, spanNote, { value: Reflect.get(error, spanNote) })
  return copy
}

const redactAt = (value: unknown, clean: (text: string) => string, depth: number): unknown => {
  if (typeof value === "string") return clean(value)
  if (typeof value !== "object" || value === null) return value
  if (depth > maxDepth) return redacted
  if (value instanceof Error) return redactError(value, clean, depth)
  if (Cause.isCause(value)) return redactCause(value, clean)
  if (Array.isArray(value)) {
    const items = value.map((item) => redactAt(item, clean, depth + 1))
    return items.every((item, index) => item === value[index]) ? value : items
  }
  if (isPlain(value)) {
    const entries = Object.entries(value)
    const cleaned = entries.map(([key, item]) => [clean(key), redactAt(item, clean, depth + 1)] as const)
    return cleaned.every(([key, item], index) => key === entries[index]![0] && item === entries[index]![1])
      ? value
      : Object.fromEntries(cleaned)
  }
  // Whatever else it is, a logger shows the text of it.
  const text = Inspectable.toStringUnknown(value)
  const cleaned = clean(text)
  return cleaned === text ? value : cleaned
}

/** Every text within a value, errors and causes included; the value itself if there is nothing to redact. */
export const redactValue = (value: unknown, clean: (text: string) => string = redact): unknown =>
  redactAt(value, clean, 0)

/** The cause with the text of its errors redacted. */
export const redactCause = (
  cause: Cause.Cause<unknown>,
  clean: (text: string) => string = redact
): Cause.Cause<unknown> =>
  Cause.match(cause, {
    onEmpty: Cause.empty as Cause.Cause<unknown>,
    onFail: (error) => Cause.fail(redactValue(error, clean)),
    onDie: (defect) => Cause.die(redactValue(defect, clean)),
    onInterrupt: (fiberId) => Cause.interrupt(fiberId),
    onSequential: (left, right) => Cause.sequential(left, right),
    onParallel: (left, right) => Cause.parallel(left, right)
  })

const hide = (walk: SchemaWalk, ast: SchemaAST.AST, encoded: unknown): unknown => {
  const nodes = walk.nodes(ast, encoded)
  const last = nodes.at(-1)
  // A union of which no member takes the value may be sensitive in any of them.
  if (nodes.some(isSensitive) || last?._tag === "Union") return redacted
  const within = (key: string | number, value: unknown): unknown => {
    const part = partOf(last, key)
    return part === undefined ? value : hide(walk, part, value)
  }
  if (Array.isArray(encoded)) return encoded.map((value, index) => within(index, value))
  if (Predicate.isRecord(encoded)) {
    return Object.fromEntries(Object.entries(encoded).map(([key, value]) => [key, within(key, value)]))
  }
  return encoded
}

/** An encoded value without what its schema marks as `sensitive`, or decodes to `Redacted`. */
export const redactSensitive = (schema: Schema.Schema.All, encoded: unknown): unknown =>
  hide(new SchemaWalk(), schema.ast, encoded)

export { sensitive } from "../model/index.ts"

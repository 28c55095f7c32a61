import { Either, Equal } from "effect"

/** Why a value cannot be part of a key, and where. */
class Unfit {
  readonly detail: string
  constructor(detail: string) {
    this.detail = detail
  }
}

/** Values of a key may be so long together, and so deep. */
const maxChars = 1_048_576
const maxDepth = 64

/** Members of an object that are told apart in an explanation; a larger object is one part. */
const maxMembers = 32

const isPlain = (value: object): boolean => {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === null || prototype === Object.prototype ||
    // `Data` and `Schema.Class`: equal by their members, as Effect itself compares them.
    (Equal.isEqual(value) && !("toJSON" in value))
}

class Encoder {
  private chars = 0
  private readonly ancestors = new Set<object>()

  encode(value: unknown, path: string): string {
    const text = this.any(value, path)
    if (text === undefined) throw new Unfit(`${path} is undefined.`)
    return text
  }

  /** Every text that is made counts, so that shared parts of a graph cannot grow without bound. */
  private counted(text: string, path: string): string {
    this.chars += text.length
    if (this.chars > maxChars) throw new Unfit(`${path}: more than ${maxChars} characters.`)
    return text
  }

  private any(value: unknown, path: string): string {
    switch (typeof value) {
      case "string":
        return this.counted(JSON.stringify(value), path)
      case "number":
      case "boolean":
      case "undefined":
        return this.counted(Object.is(value, -0) ? "0" : String(value), path)
      case "object":
        return value === null ? "null" : this.counted(this.object(value, path), path)
      default:
        throw new Unfit(`${path} is a ${typeof value}.`)
    }
  }

  private object(value: object, path: string): string {
    if (value instanceof Date) return `Date(${value.getTime()})`
    if (this.ancestors.has(value)) throw new Unfit(`${path} contains itself.`)
    if (this.ancestors.size >= maxDepth) throw new Unfit(`${path} is deeper than ${maxDepth} levels.`)
    this.ancestors.add(value)
    const text = Array.isArray(value)
      ? `[${Array.from(value, (item, index) => this.any(item, `${path}[${index}]`)).join(",")}]`
      : isPlain(value)
      ? `{${
        members(value).map(([name, member]) => `${JSON.stringify(name)}:${this.any(member, `${path}.${name}`)}`).join(
          ","
        )
      }}`
      : undefined
    this.ancestors.delete(value)
    if (text === undefined) throw new Unfit(`${path} is a ${value.constructor.name}, not plain data.`)
    return text
  }
}

/** What is undefined is absent, as in JSON; the order of writing does not matter. */
const members = (value: object): ReadonlyArray<readonly [string, unknown]> =>
  Object.entries(value).filter(([, member]) => member !== undefined).sort(([a], [b]) => a < b ? -1 : 1)

const trying = <A>(evaluate: () => A): Either.Either<A, string> =>
  Either.try({
    try: evaluate,
    catch: (thrown) =>
      thrown instanceof Unfit ? thrown.detail : thrown instanceof Error ? thrown.message : String(thrown)
  })

/**
 * Text of plain data (JSON values and dates) that is equal exactly when the data is. What would lose something is
 * refused: a Map, a Redacted, a function or a bigint has no such text.
 */
export const canonical = (value: unknown, path: string): Either.Either<string, string> =>
  trying(() => new Encoder().encode(value, path))

/** The same for the members of an object one by one, so that an explanation can name the one that differs. */
export const canonicalMembers = (
  name: string,
  make: () => unknown
): Either.Either<Readonly<Record<string, string>>, string> =>
  trying(() => {
    const value = make() ?? null
    const encoder = new Encoder()
    const inner = typeof value === "object" && value !== null && !Array.isArray(value) && isPlain(value)
      ? members(value)
      : []
    return inner.length === 0 || inner.length > maxMembers
      ? { [name]: encoder.encode(value, name) }
      : Object.fromEntries(
        inner.map(([member, held]) => [`${name}.${member}`, encoder.encode(held, `${name}.${member}`)])
      )
  })

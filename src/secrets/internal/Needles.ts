import { Either, Encoding, Schema } from "effect"

const escaped = (value: string): string => Schema.encodeSync(Schema.parseJson(Schema.String))(value).slice(1, -1)

/** As it is, and as it stands in JSON, in JSON within JSON, and within that once more. */
const inJson = (value: string): ReadonlyArray<string> => {
  const once = escaped(value)
  const twice = escaped(once)
  return [value, once, twice, escaped(twice)]
}

/** A program that wraps base64 does it after 76 characters, or 64. */
const wrappedAt = 76
const pieceChars = 24

/**
 * The characters of base64 that depend on nothing but these bytes, wherever they begin within a group of three. Of a text
 * that may be wrapped also pieces so small that a line end leaves one of them whole; not the first one, which is the same
 * for all files of a kind.
 */
const inBase64 = (bytes: Uint8Array): ReadonlyArray<string> =>
  [0, 1, 2].flatMap((before) => {
    const shifted = new Uint8Array(before + bytes.length)
    shifted.set(bytes, before)
    const whole = Encoding.encodeBase64(shifted).slice(Math.ceil(before * 8 / 6), Math.floor(shifted.length * 8 / 6))
    if (whole.length <= wrappedAt) return [whole]
    const count = Math.min(6, Math.floor(whole.length / pieceChars) - 1)
    return [
      whole,
      ...Array.from({ length: count }, (_, index) => whole.slice((index + 1) * pieceChars, (index + 2) * pieceChars))
    ]
  })

const lower = (text: string): string => text.replaceAll(/%[0-9A-F]{2}/g, (code) => code.toLowerCase())

const hexCode = (char: string): string => `%${char.charCodeAt(0).toString(16).toUpperCase()}`

/** As programs escape URLs and forms. They differ in what they leave as it is, and in how they write a space. */
const inUrl = (value: string): ReadonlyArray<string> => {
  const component = encodeURIComponent(value)
  const rfc3986 = component.replaceAll(/[!'()*]/g, hexCode)
  return [
    encodeURI(value),
    component,
    rfc3986,
    rfc3986.replaceAll("%2F", "/"),
    // The forms of browsers and Java.
    component.replaceAll(/[!'()~]/g, hexCode)
  ].flatMap((text) => {
    const form = text.replaceAll("%20", "+")
    return [text, lower(text), form, lower(form)]
  })
}

const decode = Schema.decodeUnknownEither(Schema.parseJson(Schema.Unknown))
const encode = Schema.encodeSync(Schema.parseJson(Schema.Unknown))
const secretKey = /pass|secret|token|credential|private|api_?key|access_?key/i

/** Of a secret that is a JSON document: the document as others write it, and the members that are secrets by their name. */
const partsOf = (value: string): ReadonlyArray<string> => {
  if (!/^\s*[{[]/.test(value)) return []
  const parsed = decode(value)
  if (Either.isLeft(parsed)) return []
  const parts: Array<string> = []
  const visit = (part: unknown, key: string): void => {
    if (typeof part === "string" && secretKey.test(key)) parts.push(part)
    if (typeof part === "object" && part !== null) {
      for (const [name, inner] of Object.entries(part)) visit(inner, Array.isArray(part) ? key : name)
    }
  }
  visit(parsed.right, "")
  return [encode(parsed.right), ...parts]
}

/** Shorter text is no secret: it would be found in ordinary text. Also what the search index builds on. */
export const minChars = 8

/** Every text by which a value could come to be stored. */
export const needlesOf = (value: string): ReadonlySet<string> => {
  const needles = new Set<string>()
  for (const part of [value, ...partsOf(value)]) {
    if (part.length < minChars) continue
    const bytes = new TextEncoder().encode(part)
    const hex = Encoding.encodeHex(bytes)
    const base64 = inBase64(bytes)
    const all = [
      ...inJson(part),
      ...base64,
      ...base64.map((text) => text.replaceAll("+", "-").replaceAll("/", "_")),
      hex,
      hex.toUpperCase(),
      ...inUrl(part)
    ]
    for (const needle of all) needles.add(needle)
  }
  return needles
}

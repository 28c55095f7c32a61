import { formats } from "../CredentialFormat.ts"

/** Where something was found, by which name. */
export interface Place {
  readonly kind: "value" | "format"
  readonly name: string
  readonly start: number
  readonly end: number
}

/**
 * Where a word may begin: after what belongs to no word, an escape of JSON (whose last character looks like one), an
 * escape of a URL, or a colour of a terminal. A shape that is tried only there is tried in disjoint parts of the text,
 * so the search takes linear time.
 */
const begin =
  "(?:(?<![A-Za-z0-9_-])|(?<=\\\\[bfnrt])|(?<=\\\\u00[01][0-9a-f])|(?<=%[0-9A-Fa-f]{2})|(?<=(?:\\x1b|u001b)\\[[0-9;]{0,8}m))"

const searches = formats.map(({ anchor, name, shape }) => ({
  name,
  anchor: new RegExp(anchor ?? shape),
  shape: new RegExp(`${begin}(?:${shape})`, "g")
}))

/** One pass over the text that rules out nearly all texts without a credential. */
const anyAnchor = new RegExp(formats.map(({ anchor, shape }) => anchor ?? shape).join("|"))

/** False when there is certainly no credential. */
export const mayHoldFormat = (text: string): boolean => anyAnchor.test(text)

/** Every credential in the text, at most `limit`. */
export const findFormats = (text: string, limit = Infinity): ReadonlyArray<Place> => {
  if (!anyAnchor.test(text)) return []
  const places: Array<Place> = []
  for (const { anchor, name, shape } of searches) {
    if (!anchor.test(text)) continue
    for (const match of text.matchAll(shape)) {
      if (places.length >= limit) return places
      places.push({ kind: "format", name, start: match.index, end: match.index + match[0].length })
    }
  }
  return places
}

import { Either, Encoding, Option } from "effect"

/** Text of an element that is there once, and holds no other. */
const textOf = (xml: string, element: string): string | undefined =>
  new RegExp(`<${element}>([^<]*)</${element}>`).exec(xml)?.[1]

/** What the store calls its refusal (S3 API, error responses). */
export const errorCode = (xml: string): string | undefined => {
  const code = textOf(xml, "Code")
  return code !== undefined && /^[A-Za-z0-9.]{1,64}$/.test(code) ? code : undefined
}

/** Some stores write a space as `+`; the sign itself is encoded by all. */
const decode = (key: string): Option.Option<string> =>
  Either.getRight(Encoding.decodeUriComponent(key.replaceAll("+", " ")))

interface Listing {
  readonly objects: ReadonlyArray<{ readonly key: string; readonly bytes: number }>
  /** There are more behind the last of them. */
  readonly truncated: boolean
}

/** Keys and sizes of an answer to ListObjectsV2 with `encoding-type=url`; none when it is no such answer. */
export const parseListing = (xml: string): Option.Option<Listing> => {
  if (!/<ListBucketResult[\s>]/.test(xml)) return Option.none()
  return Option.map(
    Option.all(
      [...xml.matchAll(/<Contents>(.*?)<\/Contents>/gs)].map(([, object = ""]) => {
        const bytes = textOf(object, "Size") ?? ""
        return /^\d{1,15}$/.test(bytes)
          ? Option.map(decode(textOf(object, "Key") ?? "%"), (key) => ({ key, bytes: Number(bytes) }))
          : Option.none()
      })
    ),
    (objects) => ({ objects, truncated: textOf(xml, "IsTruncated") === "true" })
  )
}

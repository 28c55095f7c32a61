import { Effect, type ParseResult, Schema } from "effect"

/** A schema and JSON text, compiled once per schema. `null` text stands for `undefined`, the value of a void output. */
export interface Codec<A> {
  readonly encode: (value: A) => Effect.Effect<string | null, ParseResult.ParseError>
  readonly decode: (text: string | null) => Effect.Effect<A, ParseResult.ParseError>
}

const Json = Schema.parseJson()
const toText = Schema.encodeUnknown(Json)
const fromText = Schema.decodeUnknown(Json)

const codecs = new WeakMap<object, Codec<unknown>>()

/** The codec of a schema; make schemas outside of the workflow body, so that they are compiled once and not per step. */
export const codecOf = <A, I>(schema: Schema.Schema<A, I>): Codec<A> => {
  const known = codecs.get(schema)
  // The map is keyed by the schema whose type it is.
  if (known !== undefined) return known as Codec<A>
  const encode = Schema.encodeUnknown(schema)
  const decode = Schema.decodeUnknown(schema)
  const codec: Codec<A> = {
    encode: (value) =>
      Effect.flatMap(encode(value), (encoded) => encoded === undefined ? Effect.succeed(null) : toText(encoded)),
    decode: (text) => text === null ? decode(undefined) : Effect.flatMap(fromText(text), (value) => decode(value))
  }
  codecs.set(schema, codec as Codec<unknown>)
  return codec
}

import { Schema } from "effect"
import { jsonText } from "./Json.ts"

/** JSON text of a value, through its schema. */
export const encodeWith = <A, I>(schema: Schema.Schema<A, I>): (value: A) => string => {
  const encode = Schema.encodeSync(schema)
  return (value) => jsonText(encode(value))
}

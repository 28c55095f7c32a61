import { Schema } from "effect"
import { Bounds } from "../../model/index.ts"

// The control plane checks what it is given; here stands only what kind of thing it is.

export const Text = Schema.String.pipe(Schema.maxLength(4_096))
export const NullableText = Schema.NullOr(Schema.String)
export const Metadata = Schema.Record({ key: Schema.String, value: Schema.Unknown })

export const limit = Schema.optional(Schema.Int.pipe(Schema.between(1, Bounds.pageRows)))

export const page = {
  limit,
  /** The id of the last row of the page before. */
  after: Schema.optional(Text)
}

export const EventId = Schema.Int.pipe(Schema.nonNegative())

/** How many rows of which table went along. */
export const Counts = Schema.Record({ key: Schema.String, value: Schema.Int })

export const Removed = Schema.Struct({ removed: Schema.Literal(true) })

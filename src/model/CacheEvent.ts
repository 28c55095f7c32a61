import { Schema } from "effect"

const NullableString = Schema.NullOr(Schema.String)

/** What a `CacheHit` event says: the result was there, or came while the step waited for it (`shared`). */
export const CacheHitData = Schema.Struct({
  key: Schema.String,
  /** How old the result was. */
  ageMs: Schema.Int,
  /** How long its execution took. */
  savedMs: Schema.Int,
  producer: Schema.Struct({
    workflow: NullableString,
    runId: NullableString,
    frameNo: Schema.NullOr(Schema.Int),
    nodeId: Schema.String,
    iteration: Schema.Int,
    writer: Schema.String
  }),
  shared: Schema.optional(Schema.Literal(true)),
  /** It was past its ttl; the step is executed in the background to replace it. */
  stale: Schema.optional(Schema.Literal(true))
})
export type CacheHitData = typeof CacheHitData.Type

/** What a `CacheMiss` event says. Key and parts are null when there is no key; `stored`: the result is to be stored. */
export const CacheMissData = Schema.Struct({
  key: NullableString,
  reason: Schema.String,
  detail: Schema.String,
  parts: Schema.NullOr(Schema.Record({ key: Schema.String, value: Schema.String })),
  stored: Schema.Boolean
})
export type CacheMissData = typeof CacheMissData.Type

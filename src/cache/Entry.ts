import { Schema } from "effect"

/** A stored result, without the result. */
export const Entry = Schema.Struct({
  key: Schema.String,
  tenant: Schema.String,
  scope: Schema.Literal("run", "workflow", "global"),
  /** The policy's `key`, else the node id. */
  task: Schema.String,
  /** What the key is made of. */
  parts: Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.String })),
  tags: Schema.parseJson(Schema.Array(Schema.String)),
  /** Workflow, run, frame and node that produced it. */
  workflow: Schema.NullOr(Schema.String),
  runId: Schema.NullOr(Schema.String),
  frameNo: Schema.NullOr(Schema.Int),
  nodeId: Schema.String,
  iteration: Schema.Int,
  writer: Schema.String,
  /** Of result and parts. */
  bytes: Schema.Int,
  /** How long the execution took: what a hit saves. */
  durationMs: Schema.Int,
  createdAtMs: Schema.Int,
  expiresAtMs: Schema.NullOr(Schema.Int),
  lastHitAtMs: Schema.NullOr(Schema.Int),
  hits: Schema.Int
})
export type Entry = typeof Entry.Type

/** Which entries; without a member, all of them. */
export interface Filter {
  readonly tenant?: string | undefined
  /** Of the organization and its projects. */
  readonly orgId?: string | undefined
  /** Of these projects of it alone. */
  readonly projectIds?: ReadonlyArray<string> | undefined
  /** Not of these. */
  readonly exceptProjectIds?: ReadonlyArray<string> | undefined
  readonly workflow?: string | undefined
  /** Task id or policy key. */
  readonly task?: string | undefined
  readonly tag?: string | undefined
  readonly runId?: string | undefined
  /** Stored longer ago than this. */
  readonly olderThanMs?: number | undefined
}

/** Where the next page begins: the last entry of the page before. */
export type Position = Pick<Entry, "createdAtMs" | "key">

/** How much was, or would be, removed. */
export interface Purged {
  readonly entries: number
  readonly bytes: number
}

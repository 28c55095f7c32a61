import type { Parts } from "./Key.ts"
import type { Policy, Scope } from "./Policy.ts"

/**
 * The right to store the result of one execution, made by the lookup that missed. Hand it on as it is: to `flight` for
 * the execution, to `store` for its result.
 */
export interface Ticket {
  readonly key: string
  readonly parts: Parts
  readonly scope: Scope
  readonly policy: Policy
  readonly tenant: string
  readonly workflow: string | null
  readonly runId: string | null
  readonly nodeId: string
  readonly iteration: number
  readonly writer: string
  /** Results stored by this process before the lookup: what came later is looked at once more. */
  readonly seen: number
  /** Digest of the stored payload that the lookup refused. */
  readonly refused: string | null
}

/** Who made a stored result. */
export interface Producer {
  readonly workflow: string | null
  readonly runId: string | null
  readonly frameNo: number | null
  readonly nodeId: string
  readonly iteration: number
  readonly writer: string
}

export interface Hit<A> {
  readonly _tag: "Hit"
  readonly key: string
  /** Decoded by the output schema of the request. */
  readonly value: A
  /** The result as it is stored; null is the value of a void output. */
  readonly text: string | null
  readonly ageMs: number
  /** What the execution took. */
  readonly savedMs: number
  readonly producer: Producer
  /** Present when the result is past its ttl and within `staleMs`: execute again, see `refresh`. */
  readonly stale: Ticket | null
}

/**
 * - `Absent`: no entry of this key; `explain` says what differs from the nearest one
 * - `Expired`: older than `ttlMs`, or a ttl under which nothing is ever fresh
 * - `Mismatch`: the stored result does not decode by the current output schema
 * - `Corrupt`: the stored result is not what was stored
 * - `Sensitive`: the output schema says that its values must not be kept
 * - `NoKey`: `key`, `by` or another part of the policy threw or is no plain data
 * - `Unavailable`: the database could not be read
 */
export type MissReason = "Absent" | "Expired" | "Mismatch" | "Corrupt" | "Sensitive" | "NoKey" | "Unavailable"

export interface Miss {
  readonly _tag: "Miss"
  readonly reason: MissReason
  /** The reason in words. */
  readonly detail: string
  readonly key: string | null
  readonly parts: Parts | null
  /** Null when the result of the execution must not be stored, for the reason or for want of trust. */
  readonly ticket: Ticket | null
}

/** A result that was made while its request waited for it. */
export interface Landed {
  /** As it is stored; null is the value of a void output. */
  readonly text: string | null
  readonly ageMs: number
  /** What the execution took. */
  readonly savedMs: number
  /** Its `frameNo` is null: the commit that gives it is the one that gives the result. */
  readonly producer: Producer
}

/** A number known only inside the commit: a query of one row and column, of constant text. */
export interface Query {
  readonly text: string
  readonly params: ReadonlyArray<string | number>
}

/** What an execution gave. */
export interface Result {
  /** Encoded by the output schema; null is the value of a void output. */
  readonly text: string | null
  /** When it was stored: the age counts from here. */
  readonly atMs: number
  readonly durationMs: number
  /** The producer's frame, for `undo`. */
  readonly frame?: number | Query | undefined
}

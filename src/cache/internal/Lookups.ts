import { Clock, Effect, Either } from "effect"
import { codecOf } from "../../model/index.ts"
import { type Key, keyOf, type Request } from "../Key.ts"
import type { Hit, Landed, Miss, MissReason, Producer, Result, Ticket } from "../Lookup.ts"
import { freshness, scopeOf } from "../Policy.ts"
import { digestOf, type Entries, type Stored } from "./Entries.ts"
import * as Metrics from "./Metrics.ts"
import { signatureOf } from "./Signature.ts"

interface Lookup<A> {
  /** Null when the request has no key. */
  readonly key: Key | null
  readonly found: Hit<A> | Miss
  readonly nowMs: number
}

const ticketOf = <A, I>(
  { identity, iteration, nodeId, policy }: Request<A, I>,
  { key, parts }: Key,
  seen: number,
  refused: string | null
): Ticket => ({
  key,
  parts,
  scope: scopeOf(policy),
  policy,
  tenant: identity.tenant,
  workflow: identity.workflow,
  runId: identity.runId,
  nodeId,
  iteration,
  writer: identity.writer,
  seen,
  refused
})

const producerOf = ({ frameNo, iteration, nodeId, runId, workflow, writer }: Producer): Producer => ({
  workflow,
  runId,
  frameNo,
  nodeId,
  iteration,
  writer
})

/** What those who wait for this result are given. */
export const landed = (ticket: Ticket, { durationMs, text }: Result): Landed => ({
  text,
  ageMs: 0,
  savedMs: Math.max(0, Math.round(durationMs)),
  producer: producerOf({ ...ticket, frameNo: null })
})

/** Looks for a result that this request may use. `seen`: how much this process has stored so far. */
export const lookup = <A, I>(entries: Entries, request: Request<A, I>, seen: number): Effect.Effect<Lookup<A>> =>
  Effect.flatMap(Clock.currentTimeMillis, (nowMs) => {
    const { identity, output, policy } = request
    const keyless = (reason: MissReason, detail: string): Lookup<A> => ({
      key: null,
      found: { _tag: "Miss", reason, detail, key: null, parts: null, ticket: null },
      nowMs
    })
    if (signatureOf(output).sensitive) {
      return Effect.succeed(keyless("Sensitive", "The output schema says that its values must not be kept."))
    }
    const made = keyOf(request)
    if (Either.isLeft(made)) return Effect.succeed(keyless("NoKey", made.left))
    const key = made.right
    // Whom nobody trusts with what everybody reads may read it all the same.
    const mayStore = scopeOf(policy) !== "global" || identity.writeGlobal
    const miss = (reason: MissReason, detail: string, refused: string | null = null): Lookup<A> => ({
      key,
      found: { _tag: "Miss", reason, detail, ...key, ticket: mayStore ? ticketOf(request, key, seen, refused) : null },
      nowMs
    })
    const judge = (stored: Stored | undefined): Effect.Effect<Lookup<A>> => {
      if (stored === undefined) return Effect.succeed(miss("Absent", "There is no entry of this key."))
      const ageMs = nowMs - stored.createdAtMs
      const fresh = freshness(policy, ageMs)
      if (fresh === "expired") {
        return Effect.succeed(miss("Expired", `Stored ${ageMs} ms ago, the ttl is ${String(policy.ttlMs)} ms.`))
      }
      if (digestOf(key.key, stored.payload) !== stored.digest) {
        return Effect.succeed(miss("Corrupt", "The stored result is not what was stored.", stored.digest))
      }
      return Effect.match(codecOf(output).decode(stored.payload), {
        onFailure: ({ message }) =>
          miss("Mismatch", `The stored result does not fit the output schema: ${message}`, stored.digest),
        onSuccess: (value) => ({
          key,
          found: {
            _tag: "Hit",
            key: key.key,
            value,
            text: stored.payload,
            ageMs,
            savedMs: stored.durationMs,
            producer: producerOf(stored),
            stale: fresh === "stale" && mayStore ? ticketOf(request, key, seen, stored.digest) : null
          },
          nowMs
        })
      })
    }
    return Effect.catchAll(
      Effect.flatMap(entries.find(key.key), judge),
      (error) => Effect.succeed(miss("Unavailable", error.message))
    )
  })

/** The result that came between lookup and execution, if one did. */
export const again = (
  entries: Entries,
  { key, policy, refused }: Ticket
): Effect.Effect<Landed | undefined> =>
  Effect.flatMap(Clock.currentTimeMillis, (nowMs) =>
    Effect.match(entries.find(key), {
      onFailure: () => undefined,
      onSuccess: (stored) =>
        stored !== undefined && stored.digest !== refused && digestOf(key, stored.payload) === stored.digest &&
          freshness(policy, nowMs - stored.createdAtMs) === "fresh"
          ? {
            text: stored.payload,
            ageMs: nowMs - stored.createdAtMs,
            savedMs: stored.durationMs,
            producer: producerOf(stored)
          }
          : undefined
    }))

export const count = <A>(found: Hit<A> | Miss): void => {
  if (found._tag === "Hit") {
    Metrics.add(Metrics.hits, 1)
    Metrics.add(Metrics.savedMs, found.savedMs)
    if (found.stale !== null) Metrics.add(Metrics.stale, 1)
  } else {
    Metrics.add(Metrics.misses, 1)
    if (found.reason === "Mismatch" || found.reason === "Corrupt") Metrics.add(Metrics.mismatches, 1)
  }
}

/**
 * **Journal**: what happened in a run, in order, and the rows that say where it stands.
 *
 *     append(event) ──► commit numbers it (seq) ──► live readers, in commit order
 *     stream(runId, afterSeq) = stored pages ──► live buffer ──(falls behind)──► stored pages ──► …
 */
export * as Journal from "./Journal.ts"
export { reachedConditions } from "./Reached.ts"
export { RunLeftovers } from "./RunLeftovers.ts"
export * as RunStore from "./RunStore.ts"

/**
 * **Cache**: reuse of results, when that is safe.
 *
 *     request ──► key (SHA-256 of its parts) ──► lookup ──► fresh · undamaged · decodes ──► Hit
 *                        │                          │
 *                        │ throws, not plain data   └──► Miss ──► flight ──► lead: execute, commit `store` ──┐
 *                        ▼                                          │                                        │
 *                     execute, store nothing                        └──► follow: the result of the lead ◄────┘
 *
 * The parts are tenant, scope, workflow, run, task or key, version, what the result is `by`, and the signature of the
 * output schema; all of them are kept, so `explain` says which one differs. An untrusted writer of scope `global` and a
 * sensitive output are executed and not stored. One fiber sweeps what has expired and evicts what is used least.
 */
export * as Cache from "./Cache.ts"
export * as CacheConfig from "./CacheConfig.ts"
export { Entry, type Filter, type Position, type Purged } from "./Entry.ts"
export type { Explanation, PartComparison } from "./Explanation.ts"
export { CurrentIdentity, type Identity, tenantKey } from "./Identity.ts"
export type { Parts, Request } from "./Key.ts"
export type { Hit, Landed, Miss, MissReason, Producer, Query, Result, Ticket } from "./Lookup.ts"
export type { Policy, Scope } from "./Policy.ts"

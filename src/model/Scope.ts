import { Schema } from "effect"

/** The scopes a grant may hold (`wire-protocol.md` §3.5, plus `approval:read` of the seeds). */
export const catalogScopes = [
  "run:read",
  "run:write",
  "run:admin",
  "approval:read",
  "approval:submit",
  "signal:submit",
  "cron:read",
  "cron:write",
  "account:read",
  "memory:read",
  "prompt:read",
  "score:read",
  "ticket:read",
  "ticket:write",
  "observability:read",
  // Ours: the wire has no remote workers. Nothing implies it but `*` and `admin`; it lets a bearer take commands with the
  // values of their secrets and answer for them, and nothing else.
  "sandbox:work"
] as const

export const CatalogScope = Schema.Literal(...catalogScopes)
export type CatalogScope = typeof CatalogScope.Type

/** A scope string as a grant carries it: a catalog scope, `*`, a legacy word or a method pattern. Unknown ones grant nothing. */
export const GrantedScope = Schema.String.pipe(
  Schema.pattern(/^[A-Za-z*][A-Za-z0-9:._*-]{0,63}$/),
  Schema.annotations({ identifier: "GrantedScope" })
)

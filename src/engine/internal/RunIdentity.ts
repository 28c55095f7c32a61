import { type Identity, tenantKey } from "../../cache/index.ts"
import { type Actor, actorName, type Tenant } from "../../model/index.ts"

/** The scopes whose holders may store what every workflow reads; what else implies one of them does not count. */
const trusted: ReadonlySet<string> = new Set(["*", "run:admin"])

const isTrusted = ({ scopes }: Actor): boolean => scopes.some((scope) => trusted.has(scope.trim()))

/** On whose behalf the tasks of a run look up and store results. `actor`: who launched it, or its outermost ancestor. */
export const identityOf = (workflow: string, runId: string, actor: Actor, tenant: Tenant | null): Identity => ({
  tenant: tenant === null ? "" : tenantKey(tenant),
  workflow,
  runId,
  writer: actorName(actor),
  writeGlobal: isTrusted(actor)
})

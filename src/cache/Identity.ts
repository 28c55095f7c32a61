import { Context } from "effect"

/** On whose behalf results are looked up and stored. */
export interface Identity {
  /** Org and project; part of every key, so that tenants never share. Empty where there is only one. */
  readonly tenant: string
  readonly workflow: string | null
  readonly runId: string | null
  /** Who is recorded as the writer. */
  readonly writer: string
  /** Whether its results may be stored under scope `global`. One that may not can read what others stored there. */
  readonly writeGlobal: boolean
}

/** The tenant of what belongs to a project of an organization, or to all of it. */
export const tenantKey = (
  { orgId, projectId }: { readonly orgId: string; readonly projectId: string | null }
): string => projectId === null ? orgId : `${orgId}/${projectId}`

/** Of code that runs on its own account: one tenant, no workflow, trusted. */
const standalone: Identity = { tenant: "", workflow: null, runId: null, writer: "", writeGlobal: true }

/** The identity that `Cache.make` uses. */
export class CurrentIdentity
  extends Context.Reference<CurrentIdentity>()("smithers-orchestrator/cache/CurrentIdentity", {
    defaultValue: () => standalone
  })
{}

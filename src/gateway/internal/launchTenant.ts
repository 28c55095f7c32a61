import { Effect } from "effect"
import { TenantNotFound, type Tenants } from "../../access/index.ts"
import { type Reach, reaches, type Tenant } from "../../model/index.ts"
import type { PersistenceError } from "../../persistence/index.ts"
import { failure, type GatewayFailure } from "../contract.ts"

interface Asked {
  readonly orgId?: string | undefined
  readonly projectId?: string | undefined
  readonly runId?: string | undefined
}

const orgIsRequired = () => failure("INVALID_REQUEST", "orgId: is required with a projectId")

/** Ids of projects are their organization's: the operator, who reaches all of them, says which one is meant. */
export const ofOneOrg = (reach: Reach | null, asked: Asked) =>
  reach === null && asked.projectId !== undefined && asked.orgId === undefined
    ? Effect.fail(orgIsRequired())
    : Effect.void

/**
 * Whose a run is to be: the operator's or anybody's of an operator's grant; of an organization's grant that
 * organization's, in the project that is asked for, or the only one of the grant. What is not within reach is answered as
 * what is not there.
 *
 * Ids of runs are the service's, so an organization chooses only such as begin with its own id: no answer tells it which
 * ids others have.
 */
export const launchTenant = (
  tenants: Tenants["Type"],
  reach: Reach | null,
  asked: Asked
): Effect.Effect<
  Tenant | null,
  | TenantNotFound
  | PersistenceError
  | GatewayFailure & { readonly code: "INVALID_REQUEST" | "INVALID_INPUT" }
> =>
  Effect.gen(function*() {
    const { orgId = reach?.orgId, runId } = asked
    const projectId = asked.projectId ?? (reach?.projectIds?.length === 1 ? reach.projectIds[0]! : null)
    if (orgId === undefined) {
      return projectId === null ? null : yield* orgIsRequired()
    }
    if (reach === null ? !(yield* tenants.hasOrg(orgId)) : orgId !== reach.orgId) {
      return yield* new TenantNotFound({ orgId, projectId: null })
    }
    if (projectId === null && !reaches(reach, { orgId, projectId })) {
      return yield* failure("INVALID_REQUEST", "projectId: is required of a grant for some projects")
    }
    if (projectId !== null) {
      const isThere = yield* tenants.hasProject(orgId, projectId)
      if (!isThere || !reaches(reach, { orgId, projectId })) return yield* new TenantNotFound({ orgId, projectId })
    }
    if (reach !== null && runId !== undefined && !runId.startsWith(`${orgId}.`)) {
      return yield* failure("INVALID_INPUT", `runId: must begin with the id of the organization and a dot`)
    }
    return { orgId, projectId }
  })

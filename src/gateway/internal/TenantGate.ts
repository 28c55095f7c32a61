import { Effect, Option } from "effect"
import { type Access, type Principal, TenantNotFound, type Tenants } from "../../access/index.ts"
import { RunStore } from "../../journal/index.ts"
import { type Actor, type CatalogScope, type Reach, reaches } from "../../model/index.ts"
import type { PersistenceError } from "../../persistence/index.ts"
import { failure, type GatewayFailure, type TenantUse } from "../contract.ts"
import { isObject } from "./Json.ts"

/** A method, as far as the gate has to know it. */
interface Gated {
  readonly scope: CatalogScope
  readonly tenantUse: TenantUse | undefined
}

type Missing = RunStore.RunNotFound | TenantNotFound

/** Lets the grants of an organization to what is that organization's, and to nothing else. */
interface TenantGate {
  /** Whether the method is there for grants of organizations at all. */
  readonly opens: (
    method: Gated,
    name: string,
    principal: Principal.Principal,
    origin?: Pick<Actor, "requestId" | "traceId">
  ) => Effect.Effect<void, GatewayFailure>
  /** How far the caller reaches; fails as for something that is not there when what it names is not within that. */
  readonly admit: (
    method: Gated,
    name: string,
    principal: Principal.Principal,
    payload: unknown
  ) => Effect.Effect<Reach | null, Missing | PersistenceError | GatewayFailure>
}

/**
 * The one place that decides which calls an organization's grants may make. What they may not know of is answered as what
 * is not there, by the same reads: one indexed row for a run, none for an organization or a project.
 */
export const makeTenantGate = (
  access: Access.Access["Type"],
  tenants: Tenants["Type"],
  runs: RunStore.RunStore["Type"]
): TenantGate => {
  const text = (payload: unknown, field: string): string | undefined => {
    const value = isObject(payload) ? payload[field] : undefined
    return typeof value === "string" ? value : undefined
  }

  const findRun = Effect.fnUntraced(function*(reach: Reach, payload: unknown) {
    const runId = text(payload, "runId") ?? ""
    const tenant = yield* runs.tenantOf(runId)
    if (Option.isNone(tenant) || !reaches(reach, tenant.value)) return yield* new RunStore.RunNotFound({ runId })
  })

  const findOrg = Effect.fnUntraced(function*(reach: Reach, name: string, payload: unknown) {
    const orgId = text(payload, "orgId") ?? ""
    const projectId = text(payload, "projectId") ?? null
    if (orgId !== reach.orgId) return yield* new TenantNotFound({ orgId, projectId: null })
    if (reaches(reach, { orgId, projectId })) return
    if (projectId !== null) return yield* new TenantNotFound({ orgId, projectId })
    return yield* failure("FORBIDDEN", `${name} needs a grant for the whole organization, or a projectId`)
  })

  return {
    opens: (method, name, principal, origin) =>
      principal.tenant === null || method.tenantUse !== undefined
        ? Effect.void
        : Effect.zipRight(
          access.noteRefused(principal, name, "*", origin),
          Effect.fail(
            failure("FORBIDDEN", `${name} is reserved to the operator of the service`, { requiredScope: "*" })
          )
        ),
    admit: (method, name, principal, payload) => {
      const { tenant, tokenId } = principal
      if (tenant === null) return Effect.succeed(null)
      // A grant ends with its organization; what an identity provider said of somebody does not.
      const standing = tokenId !== null ? Effect.void : Effect.flatMap(
        tenants.hasOrg(tenant.orgId),
        (isThere) => isThere ? Effect.void : new TenantNotFound({ orgId: tenant.orgId, projectId: null })
      )
      return Effect.tap(Effect.zipRight(standing, access.reach(principal, method.scope)), (reach) => {
        if (reach === null) return Effect.void
        switch (method.tenantUse) {
          case "run":
            return findRun(reach, payload)
          case "org":
            return findOrg(reach, name, payload)
          default:
            return Effect.void
        }
      })
    }
  }
}

import { Context } from "effect"
import type { CatalogScope } from "../../model/index.ts"

/** The scope that a caller has to hold. */
export class RequiredScope extends Context.Tag("smithers-orchestrator/gateway/contract/Annotations/RequiredScope")<
  RequiredScope,
  CatalogScope
>() {}

/** Older names under which the method is served as well. */
export class Aliases
  extends Context.Tag("smithers-orchestrator/gateway/contract/Annotations/Aliases")<Aliases, ReadonlyArray<string>>()
{}

/**
 * What grants of an organization may do with the method: `run` with runs of that organization, `org` with that
 * organization itself; `own`: it answers each of them with its own; `shared`: what is nobody's. Without this annotation
 * the method is the operator's alone.
 */
export type TenantUse = "run" | "org" | "own" | "shared"
export class ForTenants
  extends Context.Tag("smithers-orchestrator/gateway/contract/Annotations/ForTenants")<ForTenants, TenantUse>()
{}

/** Reserved to the roles `admin` and `org-owner` and to grants of everything, whatever the scope says. */
export class AdminOnly
  extends Context.Tag("smithers-orchestrator/gateway/contract/Annotations/AdminOnly")<AdminOnly, true>()
{}

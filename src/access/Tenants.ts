import { Context, Effect } from "effect"
import type { CatalogScope, Reach } from "../model/index.ts"
import { type PersistenceError, Write } from "../persistence/index.ts"

/**
 * What has to be known of organizations to bind grants to them. A port: the control plane knows. Unless it is filled,
 * there is no organization, and every grant is the operator's.
 */
export class Tenants extends Context.Reference<Tenants>()("smithers-orchestrator/access/Tenants", {
  defaultValue: (): {
    readonly hasOrg: (orgId: string) => Effect.Effect<boolean, PersistenceError>
    readonly hasProject: (orgId: string, projectId: string) => Effect.Effect<boolean, PersistenceError>
    /** Passes in a commit unless the organization was deleted before it: a deleted one is given no grants. */
    readonly stands: <E>(orgId: string, gone: () => E) => Write.Write<unknown, E>
    /** Projects in which the teams that there are do not let the user do what needs the scope. */
    readonly closedProjects: (
      orgId: string,
      userId: string,
      scope: CatalogScope
    ) => Effect.Effect<Reach["except"], PersistenceError>
  } => ({
    hasOrg: () => Effect.succeed(false),
    hasProject: () => Effect.succeed(false),
    stands: () => Write.none,
    closedProjects: () => Effect.succeed([])
  })
}) {}

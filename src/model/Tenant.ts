import { Schema } from "effect"

/** Whose something is: an organization's, or that of one of its projects. Null in its place: the operator's. */
export const Tenant = Schema.Struct({ orgId: Schema.String, projectId: Schema.NullOr(Schema.String) })
export type Tenant = typeof Tenant.Type

/** How far whoever acts for an organization reaches. Null in its place: everywhere, as the operator does. */
export const Reach = Schema.Struct({
  orgId: Schema.String,
  /** Null: the organization with all its projects. */
  projectIds: Schema.NullOr(Schema.Array(Schema.String)),
  /** Projects of these that are closed to it all the same. */
  except: Schema.Array(Schema.String)
})
export type Reach = typeof Reach.Type

/** The tenant of a row that names one. */
export const tenantOf = (
  { orgId, projectId }: { readonly orgId: string | null; readonly projectId: string | null }
): Tenant | null => orgId === null ? null : { orgId, projectId }

const reachesProject = ({ except, projectIds }: Reach, projectId: string | null): boolean =>
  projectId === null
    ? projectIds === null
    : (projectIds === null || projectIds.includes(projectId)) && !except.includes(projectId)

/** Whether something of `tenant` is within reach; what is the operator's own is within nobody else's. */
export const reaches = (reach: Reach | null, tenant: Tenant | null): boolean =>
  reach === null || (tenant !== null && tenant.orgId === reach.orgId && reachesProject(reach, tenant.projectId))

import { Effect } from "effect"
import { Access } from "../access/index.ts"
import { Audit } from "../audit/index.ts"
import { ControlPlane, OrgEnding } from "../control-plane/index.ts"
import { Authorized, Caller } from "./Caller.ts"
import {
  CheckQuota,
  ControlPlaneRpcs,
  CreateOrg,
  CreateProject,
  DeleteOrg,
  DeleteProject,
  ExportOrg,
  GetOrg,
  GetProject,
  ListOrgs,
  ListProjects,
  ListQuotas,
  ListReservations,
  ListUsage,
  RecordUsage,
  ReleaseReservation,
  RemoveQuota,
  ReserveUsage,
  SetQuota,
  SettleReservation,
  SummarizeUsage,
  UpdateOrg,
  UpdateProject
} from "./contract.ts"
import { planeMethods, removed } from "./internal/planeMethods.ts"

/** Answers `ControlPlaneRpcs` from the control plane; each part of an export leaves a row in the audit, before it is answered. */
export const layer = ControlPlaneRpcs.middleware(Authorized).toLayer(Effect.gen(function*() {
  const access = yield* Access.Access
  const plane = yield* ControlPlane.ControlPlane
  const audit = yield* Audit.Audit
  const ending = yield* OrgEnding.OrgEnding
  const { changing, reading } = yield* planeMethods

  const noteExport = ({ cursor, orgId, ...span }: typeof ExportOrg.payloadSchema.Type) =>
    Effect.flatMap(Caller, ({ actor }) =>
      audit.record({
        actor,
        action: "org.export",
        target: orgId,
        orgId,
        runId: null,
        outcome: "ok",
        reason: null,
        detail: {
          orgId,
          ...(span.sinceMs === undefined ? {} : { sinceMs: span.sinceMs }),
          ...(span.untilMs === undefined ? {} : { untilMs: span.untilMs }),
          ...(cursor === undefined ? {} : { cursor })
        }
      }))

  return {
    "orgs.create": changing(CreateOrg, plane.createOrg),
    "orgs.get": reading(GetOrg, ({ orgId }) => plane.getOrg(orgId)),
    "orgs.list": reading(ListOrgs, plane.listOrgs),
    "orgs.update": changing(UpdateOrg, plane.updateOrg),
    "orgs.delete": changing(DeleteOrg, (input) =>
      Effect.gen(function*() {
        const { actor } = yield* Caller
        // Nobody acts for it while it goes.
        yield* plane.getOrg(input.orgId)
        yield* access.revokeOrg(input.orgId, actor)
        const deleted = yield* plane.deleteOrg(input)
        // It is gone, whatever fails here; that is tried again in the background.
        yield* Effect.catchAll(ending.end(input.orgId, actor), (error) => Effect.logWarning(error.message))
        return deleted
      })),
    "orgs.export": reading(ExportOrg, (input) => Effect.zipRight(noteExport(input), plane.exportOrgPart(input))),
    "projects.create": changing(CreateProject, plane.createProject),
    "projects.get": reading(GetProject, plane.getProject),
    "projects.list": reading(ListProjects, plane.listProjects),
    "projects.update": changing(UpdateProject, plane.updateProject),
    "projects.delete": changing(DeleteProject, plane.deleteProject),
    "usage.record": changing(RecordUsage, plane.recordUsage),
    "usage.list": reading(ListUsage, plane.listUsage),
    "usage.summary": reading(SummarizeUsage, plane.summarizeUsage),
    "quotas.set": changing(SetQuota, plane.setUsageLimit),
    "quotas.list": reading(ListQuotas, plane.listUsageLimits),
    "quotas.check": reading(CheckQuota, plane.checkUsageLimit),
    "quotas.remove": changing(RemoveQuota, (input) => removed(plane.deleteUsageLimit(input))),
    "reservations.make": changing(ReserveUsage, plane.reserveUsage),
    "reservations.settle": changing(SettleReservation, plane.settleUsage),
    "reservations.release": changing(
      ReleaseReservation,
      (input) => Effect.map(plane.releaseUsage(input), (released) => ({ released }))
    ),
    "reservations.list": reading(ListReservations, plane.listReservations)
  }
}))

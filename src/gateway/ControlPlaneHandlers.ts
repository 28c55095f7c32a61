import { Effect, Schema } from "effect"
import { Access } from "../access/index.ts"
import { ControlPlane, CurrentActor, InvalidInput } from "../control-plane/index.ts"
import { SecretGuard } from "../secrets/index.ts"
import { Authorized, Caller } from "./Caller.ts"
import {
  CheckQuota,
  ControlPlaneRpcs,
  CreateOrg,
  CreateProject,
  DeleteOrg,
  DeleteProject,
  GetOrg,
  ListOrgs,
  ListProjects,
  ListQuotas,
  RecordUsage,
  RemoveQuota,
  SetQuota,
  SummarizeUsage,
  UpdateOrg
} from "./contract.ts"
import { failAs } from "./internal/wireErrors.ts"

/** Changes are made by whoever calls. */
const asCaller = <A, E, R>(change: Effect.Effect<A, E, R>) =>
  Effect.flatMap(Caller, ({ actor }) => Effect.provideService(change, CurrentActor, actor))

const textOf = Schema.encodeSync(Schema.parseJson())

/** Answers `ControlPlaneRpcs` from the control plane. */
export const layer = ControlPlaneRpcs.middleware(Authorized).toLayer(Effect.gen(function*() {
  const access = yield* Access.Access
  const plane = yield* ControlPlane.ControlPlane
  const guard = yield* SecretGuard.SecretGuard

  /** Nothing that holds a secret comes to rest. */
  const storing = <I, A, E, R>(change: (input: I) => Effect.Effect<A, E, R>) => (input: I) => {
    const text = textOf(input)
    return guard.suspects(text)
      ? guard.check({ field: "input", text }).pipe(
        Effect.mapError(({ path, problem }) => new InvalidInput({ field: path, bound: problem })),
        Effect.zipRight(change(input))
      )
      : change(input)
  }
  const createOrg = storing(plane.createOrg)
  const updateOrg = storing(plane.updateOrg)
  const createProject = storing(plane.createProject)
  const recordUsage = storing(plane.recordUsage)
  const setUsageLimit = storing(plane.setUsageLimit)

  const creatingOrg = failAs(CreateOrg.errorSchema)
  const gettingOrg = failAs(GetOrg.errorSchema)
  const listingOrgs = failAs(ListOrgs.errorSchema)
  const updatingOrg = failAs(UpdateOrg.errorSchema)
  const deletingOrg = failAs(DeleteOrg.errorSchema)
  const creatingProject = failAs(CreateProject.errorSchema)
  const listingProjects = failAs(ListProjects.errorSchema)
  const deletingProject = failAs(DeleteProject.errorSchema)
  const recording = failAs(RecordUsage.errorSchema)
  const summarizing = failAs(SummarizeUsage.errorSchema)
  const setting = failAs(SetQuota.errorSchema)
  const listingQuotas = failAs(ListQuotas.errorSchema)
  const checking = failAs(CheckQuota.errorSchema)
  const removing = failAs(RemoveQuota.errorSchema)

  return {
    "orgs.create": (input) => creatingOrg(asCaller(createOrg(input))),
    "orgs.get": ({ orgId }) => gettingOrg(plane.getOrg(orgId)),
    "orgs.list": (input) => listingOrgs(plane.listOrgs(input)),
    "orgs.update": (input) => updatingOrg(asCaller(updateOrg(input))),
    "orgs.delete": (input) =>
      deletingOrg(Effect.gen(function*() {
        const { actor } = yield* Caller
        // Whoever could still act for it afterwards could act for a later one of the same id.
        yield* plane.getOrg(input.orgId)
        yield* access.revokeOrg(input.orgId, actor)
        return yield* asCaller(plane.deleteOrg(input))
      })),
    "projects.create": (input) => creatingProject(asCaller(createProject(input))),
    "projects.list": (input) => listingProjects(plane.listProjects(input)),
    "projects.delete": (input) => deletingProject(asCaller(plane.deleteProject(input))),
    "usage.record": (input) => recording(recordUsage(input)),
    "usage.summary": (input) => summarizing(plane.summarizeUsage(input)),
    "quotas.set": (input) => setting(asCaller(setUsageLimit(input))),
    "quotas.list": (input) => listingQuotas(plane.listUsageLimits(input)),
    "quotas.check": (input) => checking(plane.checkUsageLimit(input)),
    "quotas.remove": (input) => removing(Effect.as(asCaller(plane.deleteUsageLimit(input)), { removed: true as const }))
  }
}))

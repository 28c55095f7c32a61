import { Context, Effect, Layer } from "effect"
import { Audit } from "../audit/index.ts"
import { Persistence } from "../persistence/index.ts"
import * as BillingAccount from "./BillingAccount.ts"
import * as IdentityProvider from "./IdentityProvider.ts"
import { makePlane, type Plane } from "./internal/Plane.ts"
import { migrations } from "./migrations.ts"
import * as Organization from "./Organization.ts"
import * as OrgAudit from "./OrgAudit.ts"
import * as OrgExport from "./OrgExport.ts"
import * as OrgSecretRef from "./OrgSecretRef.ts"
import * as Project from "./Project.ts"
import * as Quota from "./Quota.ts"
import * as Reservation from "./Reservation.ts"
import * as Team from "./Team.ts"
import * as Usage from "./Usage.ts"
import { UsageFeed } from "./UsageFeed.ts"
import * as UsageLimit from "./UsageLimit.ts"

/** Every operation of the control plane. */
export interface Methods
  extends
    Organization.OrganizationMethods,
    Team.TeamMethods,
    Project.ProjectMethods,
    BillingAccount.BillingAccountMethods,
    IdentityProvider.IdentityProviderMethods,
    OrgSecretRef.OrgSecretRefMethods,
    Usage.UsageMethods,
    UsageLimit.UsageLimitMethods,
    Quota.QuotaMethods,
    Reservation.ReservationMethods,
    OrgAudit.OrgAuditMethods,
    OrgExport.OrgExportMethods
{}

/**
 * The durable data contract of a multi-tenant product: organizations and what they have.
 *
 * Every input is checked; a refusal (`InvalidInput`) names field and bound, and nothing was written. Every change but
 * usage and reservations is committed together with a row in the audit of its organization and an entry in that of the
 * service, made by `CurrentActor`. Whatever answers is durable as `Persistence.write` says. Texts that look like
 * credentials are refused where references, URLs and metadata are taken; what a secret's value is, nobody here knows: the
 * gateway refuses those that this process has resolved, too.
 *
 * Nothing here decides who may: whoever calls has been authorized for the organization it names.
 */
export class ControlPlane extends Context.Tag("smithers-orchestrator/control-plane/ControlPlane")<
  ControlPlane,
  Methods
>() {}

/** @internal */
export const methodsOn = (plane: Plane): Methods => {
  const quotas = Quota.makeQuotas(plane)
  const recorder = Usage.makeRecorder(plane)
  const parts = {
    ...Organization.make(plane),
    ...Team.make(plane),
    ...Project.make(plane),
    ...BillingAccount.make(plane),
    ...IdentityProvider.make(plane),
    ...OrgSecretRef.make(plane),
    ...Usage.make(plane, recorder),
    ...UsageLimit.make(plane),
    ...Quota.make(quotas),
    ...Reservation.make(plane, quotas, recorder),
    ...OrgAudit.make(plane)
  }
  return { ...parts, ...OrgExport.make(plane, parts) }
}

const make = Effect.gen(function*() {
  const persistence = yield* Persistence.Persistence
  const audit = yield* Audit.Audit
  yield* persistence.migrate(migrations)
  const feed = yield* UsageFeed
  if (feed !== null) yield* feed.attach
  return ControlPlane.of(methodsOn(makePlane(persistence, audit.append, feed?.isOpen === true ? feed : null)))
})

/** The control plane in the one database; migrates its tables. */
export const layer = Layer.effect(ControlPlane, make)

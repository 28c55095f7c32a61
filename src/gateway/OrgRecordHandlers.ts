import { Effect } from "effect"
import { ControlPlane } from "../control-plane/index.ts"
import { Authorized } from "./Caller.ts"
import {
  GetBilling,
  GetIdentityProvider,
  GetSecretRef,
  ListBilling,
  ListIdentityProviders,
  ListOrgAudit,
  ListSecretRefs,
  OrgRecordRpcs,
  RecordOrgAudit,
  RemoveBilling,
  RemoveIdentityProvider,
  RemoveSecretRef,
  SetBilling,
  SetIdentityProvider,
  SetSecretRef,
  VerifyOrgAudit
} from "./contract.ts"
import { planeMethods, removed } from "./internal/planeMethods.ts"

/** Answers `OrgRecordRpcs` from the control plane. */
export const layer = OrgRecordRpcs.middleware(Authorized).toLayer(Effect.gen(function*() {
  const plane = yield* ControlPlane.ControlPlane
  const { changing, reading } = yield* planeMethods
  return {
    "billing.set": changing(SetBilling, plane.upsertBillingAccount),
    "billing.get": reading(GetBilling, plane.getBillingAccount),
    "billing.list": reading(ListBilling, plane.listBillingAccounts),
    "billing.remove": changing(RemoveBilling, (input) => removed(plane.deleteBillingAccount(input))),
    "identityProviders.set": changing(SetIdentityProvider, plane.upsertIdentityProvider),
    "identityProviders.get": reading(GetIdentityProvider, plane.getIdentityProvider),
    "identityProviders.list": reading(ListIdentityProviders, plane.listIdentityProviders),
    "identityProviders.remove": changing(
      RemoveIdentityProvider,
      (input) => removed(plane.deleteIdentityProvider(input))
    ),
    "secretRefs.set": changing(SetSecretRef, plane.putSecretRef),
    "secretRefs.get": reading(GetSecretRef, plane.getSecretRef),
    "secretRefs.list": reading(ListSecretRefs, plane.listSecretRefs),
    "secretRefs.remove": changing(RemoveSecretRef, (input) => removed(plane.deleteSecretRef(input))),
    "orgAudit.record": changing(RecordOrgAudit, plane.recordAuditEvent),
    "orgAudit.list": reading(ListOrgAudit, plane.listAuditEvents),
    "orgAudit.verify": reading(VerifyOrgAudit, plane.verifyOrgAudit)
  }
}))

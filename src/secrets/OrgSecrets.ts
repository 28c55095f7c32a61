import { Context, type Effect } from "effect"
import type { Tenant } from "../model/index.ts"
import { type SecretNotFound, SecretUnavailable } from "./SecretError.ts"
import type { SecretRef } from "./SecretRef.ts"

/** The provider of references like `org:deploy-token`; no other one may have this id. */
export const orgProvider = "org"

/**
 * Where organizations keep their secrets. A port: the control plane knows. Unless it is filled, nothing named `org:…` can
 * be had.
 */
export class OrgSecrets extends Context.Reference<OrgSecrets>()("smithers-orchestrator/secrets/OrgSecrets", {
  defaultValue: (): {
    /**
     * Which secret of the operator's providers a name stands for in runs of the tenant, at this moment: nothing is
     * remembered. Fails where the operator does not let it point there.
     */
    readonly locate: (tenant: Tenant, name: string) => Effect.Effect<SecretRef, SecretNotFound | SecretUnavailable>
  } => ({
    locate: (_, name) =>
      new SecretUnavailable({
        provider: orgProvider,
        secretName: name,
        reason: "UnknownProvider",
        detail: "there are no organizations here"
      })
  })
}) {}

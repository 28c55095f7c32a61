import { Context, type Effect, Schema } from "effect"

/** Whom an identity provider of an organization vouches for. */
export interface Identity {
  readonly orgId: string
  readonly userId: string
  /** `org-owner`, `admin`, `member`, `auditor` or `viewer`, in that organization and nowhere else. */
  readonly role: string
  readonly expiresAtMs: number
  /** Id of the provider's record. */
  readonly provider: string
}

/**
 * A credential of somebody else's making vouches for nobody here.
 *
 * - `Malformed`: no JWT, too large, or without what has to be in it
 * - `UnknownIssuer`: no active provider has this issuer and audience
 * - `Unsupported`: the issuer is a SAML provider, or it is a SAML assertion: these are not verified here
 * - `Misconfigured`: the provider's record does not say what is needed
 * - `KeysUnavailable`: the provider's keys cannot be had
 * - `BadSignature`: signed by nobody it names, or by an algorithm that is not allowed
 * - `Expired`, `NotYetValid`: outside of its time
 * - `NotAllowed`: vouched for, but the record demands claims that it does not have, or has no role for it
 */
export class IdentityRefused extends Schema.TaggedError<IdentityRefused>()("IdentityRefused", {
  reason: Schema.Literal(
    "Malformed",
    "UnknownIssuer",
    "Unsupported",
    "Misconfigured",
    "KeysUnavailable",
    "BadSignature",
    "Expired",
    "NotYetValid",
    "NotAllowed"
  ),
  /** Never quotes the credential. */
  detail: Schema.String
}) {
  override get message(): string {
    return this.detail
  }
}

/** Verifies bearer tokens that are not ours; nobody unless provided. A hosted service supplies its own. */
export class IdentityVerifier
  extends Context.Reference<IdentityVerifier>()("smithers-orchestrator/access/IdentityVerifier", {
    defaultValue: (): {
      readonly verify: (token: string) => Effect.Effect<Identity, IdentityRefused>
    } => ({
      verify: () => new IdentityRefused({ reason: "UnknownIssuer", detail: "No identity provider is known." })
    })
  })
{}

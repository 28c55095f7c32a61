import { Effect, Schema } from "effect"
import { Write } from "../persistence/index.ts"
import { type ChangeError, type ReadError, RecordNotFound } from "./ControlPlaneError.ts"
import { AtMs, Id, Metadata, page, Ref, SecretName, Url } from "./Fields.ts"
import { orgExists } from "./internal/Guards.ts"
import { checked, oneOf } from "./internal/Input.ts"
import type { Plane } from "./internal/Plane.ts"
import { makeTable } from "./internal/Table.ts"

const Type = oneOf("saml", "oidc")
const Status = oneOf("active", "disabled")

/** How an organization's people sign in: configuration only; assertions are verified by the hosted service. */
export const IdentityProvider = Schema.Struct({
  orgId: Id,
  providerId: Id,
  type: Type,
  /** The entity id (SAML) or the issuer (OIDC). */
  issuer: Schema.String,
  ssoUrl: Schema.NullOr(Schema.String),
  /** Where the certificate is kept. */
  certificateRef: Schema.NullOr(Schema.String),
  /** The audience of its tokens (OIDC). */
  clientId: Schema.NullOr(Schema.String),
  /** Where its keys are published, when not by discovery (OIDC). */
  jwksUrl: Schema.NullOr(Schema.String),
  status: Status,
  metadata: Metadata,
  createdAtMs: AtMs,
  updatedAtMs: AtMs
})
export type IdentityProvider = typeof IdentityProvider.Type

const Given = Schema.Struct({
  orgId: Id,
  providerId: Id,
  type: Type,
  issuer: Ref,
  ssoUrl: Schema.optional(Schema.NullOr(Url)),
  certificateRef: Schema.optional(Schema.NullOr(Ref)),
  clientId: Schema.optional(Schema.NullOr(SecretName)),
  jwksUrl: Schema.optional(Schema.NullOr(Url)),
  /** `active` unless given. */
  status: Schema.optional(Status),
  metadata: Schema.optional(Metadata)
})
const One = Schema.Struct({ orgId: Id, providerId: Id })
const Page = Schema.Struct({ orgId: Id, status: Schema.optional(Status), ...page })

const checkGiven = checked(Given)
const checkOne = checked(One)
const checkPage = checked(Page)

export interface IdentityProviderMethods {
  /** Adds it, or writes it anew. */
  readonly upsertIdentityProvider: (input: typeof Given.Encoded) => Effect.Effect<IdentityProvider, ChangeError>
  readonly getIdentityProvider: (
    input: typeof One.Encoded
  ) => Effect.Effect<IdentityProvider, RecordNotFound | ReadError>
  /** By id, after the id `after`. */
  readonly listIdentityProviders: (
    input: typeof Page.Encoded
  ) => Effect.Effect<ReadonlyArray<IdentityProvider>, ReadError>
  readonly deleteIdentityProvider: (input: typeof One.Encoded) => Effect.Effect<void, ChangeError>
}

export const make = ({ change, persistence }: Plane): IdentityProviderMethods => {
  const table = makeTable(persistence, "_smithers_cp_identity_providers", IdentityProvider, {
    key: ["orgId", "providerId"],
    kept: ["createdAtMs"]
  })
  const about = (action: string, orgId: string, providerId: string) => ({
    orgId,
    action,
    targetType: "identity_provider",
    targetId: providerId
  })
  const notFound = (orgId: string, id: string) => new RecordNotFound({ kind: "identity-provider", orgId, id })

  return {
    upsertIdentityProvider: Effect.fn("ControlPlane.upsertIdentityProvider")(function*(input) {
      const given = yield* checkGiven(input)
      const { issuer, orgId, providerId, status = "active", type } = given
      const detail = { type, issuer, status }
      const [, rows] = yield* change(
        { ...about("identity_provider.upsert", orgId, providerId), detail },
        (nowMs) =>
          Write.all([
            orgExists(orgId),
            table.upsert({
              orgId,
              providerId,
              type,
              issuer,
              status,
              ssoUrl: given.ssoUrl ?? null,
              certificateRef: given.certificateRef ?? null,
              clientId: given.clientId ?? null,
              jwksUrl: given.jwksUrl ?? null,
              metadata: given.metadata ?? {},
              createdAtMs: nowMs,
              updatedAtMs: nowMs
            })
          ])
      )
      return yield* table.one(rows)
    }),
    getIdentityProvider: Effect.fn("ControlPlane.getIdentityProvider")(function*(input) {
      const { orgId, providerId } = yield* checkOne(input)
      const [provider] = yield* table.select("WHERE org_id = ? AND provider_id = ?", [orgId, providerId])
      return provider ?? (yield* notFound(orgId, providerId))
    }),
    listIdentityProviders: Effect.fn("ControlPlane.listIdentityProviders")(function*(input) {
      const { after = "", limit = 50, orgId, status = null } = yield* checkPage(input)
      return yield* table.select(
        "WHERE org_id = ? AND provider_id > ? AND status = COALESCE(?, status) ORDER BY provider_id LIMIT ?",
        [orgId, after, status, limit]
      )
    }),
    deleteIdentityProvider: Effect.fn("ControlPlane.deleteIdentityProvider")(function*(input) {
      const { orgId, providerId } = yield* checkOne(input)
      yield* change(about("identity_provider.delete", orgId, providerId), () =>
        Write.guard(
          "DELETE FROM _smithers_cp_identity_providers WHERE org_id = ? AND provider_id = ?",
          [orgId, providerId],
          () => notFound(orgId, providerId)
        ))
    })
  }
}

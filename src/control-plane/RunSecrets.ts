import { Effect, Either, Layer, Option, Schema } from "effect"
import { orgProvider, OrgSecrets, SecretNotFound, SecretRef, SecretUnavailable } from "../secrets/index.ts"
import * as ControlPlane from "./ControlPlane.ts"
import { permit } from "./OrgSecretRules.ts"
import { OrgSecretsConfig, setting } from "./OrgSecretsConfig.ts"

const decodeRef = Schema.decodeUnknownEither(SecretRef.SecretRef)

const make = Effect.gen(function*() {
  const { getSecretRef } = yield* ControlPlane.ControlPlane
  const { rules } = yield* OrgSecretsConfig

  return OrgSecrets.of({
    locate: ({ orgId, projectId }, name) =>
      Effect.gen(function*() {
        const unavailable = (reason: "NotAllowed" | "Failed", detail: string) =>
          new SecretUnavailable({ provider: orgProvider, secretName: name, reason, detail })
        const find = (of: string | null) =>
          getSecretRef({ orgId, projectId: of, name }).pipe(
            Effect.asSome,
            Effect.catchTags({
              RecordNotFound: () => Effect.succeedNone,
              // Nothing can be called so.
              InvalidInput: () => Effect.succeedNone,
              PersistenceError: () => unavailable("Failed", "the references of organizations cannot be read")
            })
          )
        const own = projectId === null ? Option.none() : yield* find(projectId)
        const found = Option.isSome(own) ? own : yield* find(null)
        if (Option.isNone(found)) return yield* new SecretNotFound({ provider: orgProvider, secretName: name })
        if (rules.length === 0) {
          return yield* unavailable("NotAllowed", `${setting} is not set, so references of organizations point nowhere`)
        }
        const ref = decodeRef({ provider: found.value.provider, name: found.value.ref })
        return Either.isRight(ref) && permit(rules, { orgId, projectId }, ref.right)
          ? ref.right
          : yield* unavailable("NotAllowed", `what it points to is not within ${setting}`)
      })
  })
})

/**
 * Secrets of organizations by the references that are stored for them: `org:NAME` is what the run's project calls so,
 * else what its organization does, as far as `OrgSecretsConfig` lets it point there.
 */
export const layer = Layer.effect(OrgSecrets, make)

import { Clock, DateTime, Effect, Layer, Option, Predicate, Schema } from "effect"
import { decodeJwt, decodeProtectedHeader, errors, type JWTPayload, jwtVerify, type JWTVerifyGetKey } from "jose"
import { type Identity, IdentityRefused, IdentityVerifier } from "../access/index.ts"
import { Outbound } from "../outbound/index.ts"
import { Persistence } from "../persistence/index.ts"
import { IdentityProvider } from "./IdentityProvider.ts"
import { makeKeySets } from "./internal/KeySets.ts"
import { makeTable } from "./internal/Table.ts"

/** Characters of a token; what carries more is refused unread. */
const tokenChars = 16_384
const audiences = 16
/** By how much the clocks of a provider and of the service may differ. */
const skewSeconds = 60

/** Verified with a public key each: a provider's key never signs. */
const algorithms = [
  "RS256",
  "RS384",
  "RS512",
  "PS256",
  "PS384",
  "PS512",
  "ES256",
  "ES384",
  "ES512",
  "EdDSA",
  "Ed25519"
] as const

/** From most to least. */
const roles = ["org-owner", "admin", "member", "auditor", "viewer"] as const
const Role = Schema.Literal(...roles)

/** What the metadata of a provider's record may say under `oidc`. */
const Settings = Schema.Struct({
  /** Which of our algorithms it signs with; all unless given. */
  algorithms: Schema.optionalWith(Schema.NonEmptyArray(Schema.Literal(...algorithms)), { default: () => algorithms }),
  /** The claim that names the user; `sub` unless given. */
  userClaim: Schema.optionalWith(Schema.String, { default: () => "sub" }),
  /** The claim, or path with dots, that holds roles or groups: a text or a list of texts. */
  roleClaim: Schema.optional(Schema.String),
  /** What they mean here. Of several the first of org-owner, admin, member, auditor, viewer counts. */
  roles: Schema.optionalWith(Schema.Record({ key: Schema.String, value: Role }), { default: () => ({}) }),
  /** Of whoever has none of them; null: is not let in. `viewer` unless given. */
  defaultRole: Schema.optionalWith(Schema.NullOr(Role), { default: () => "viewer" as const }),
  /** Claims that have to be there with these very values, like `{"hd":"acme.example"}`. */
  require: Schema.optionalWith(
    Schema.Record({ key: Schema.String, value: Schema.Union(Schema.String, Schema.Number, Schema.Boolean) }),
    { default: () => ({}) }
  )
})

const decodeSettings = Schema.decodeUnknownOption(Schema.Struct({
  oidc: Schema.optionalWith(Settings, { default: () => Schema.decodeUnknownSync(Settings)({}) })
}))

const refused = (reason: IdentityRefused["reason"], detail: string) => new IdentityRefused({ reason, detail })

/** Signed by a key that is not among those at hand. */
class UnknownKey {
  readonly _tag = "UnknownKey"
}

/** What jose says, in our words. */
const refusalOf = (cause: unknown): IdentityRefused => {
  if (cause instanceof errors.JWTExpired) return refused("Expired", "The token has expired.")
  if (cause instanceof errors.JWTClaimValidationFailed) {
    return cause.claim === "nbf" || cause.claim === "iat"
      ? refused("NotYetValid", "The token is not valid yet.")
      : refused("Malformed", `The token's claim ${cause.claim} is not what it has to be.`)
  }
  return refused("BadSignature", "The token is not signed by a key of its issuer.")
}

const claimOf = (payload: JWTPayload, name: string): unknown =>
  Object.hasOwn(payload, name) ? payload[name] : name.split(".").reduce<unknown>(
    (value, key) => Predicate.isRecord(value) && Object.hasOwn(value, key) ? value[key] : undefined,
    payload
  )

const textsOf = (value: unknown): ReadonlyArray<string> =>
  typeof value === "string" ? [value] : Array.isArray(value) ? value.filter(Predicate.isString) : []

/** Before anything is verified: who it says made it, and for whom. */
const readClaims = (token: string) =>
  Effect.try({
    try: () => {
      const { typ } = decodeProtectedHeader(token)
      const { aud, iss } = decodeJwt(token)
      return { type: typ, issuer: iss, audience: textsOf(aud) }
    },
    catch: () => refused("Malformed", "It is no JWT.")
  })

const types: ReadonlyArray<string | undefined> = [undefined, "JWT", "jwt", "at+jwt", "application/at+jwt"]

const make = Effect.gen(function*() {
  const persistence = yield* Persistence.Persistence
  const keysOf = makeKeySets(yield* Outbound.Outbound, yield* Effect.scope)
  const table = makeTable(persistence, "_smithers_cp_identity_providers", IdentityProvider, {
    key: ["orgId", "providerId"]
  })

  /** Records that the token may be meant for: the oldest first, so that who copies a record gets nobody's users. */
  const candidates = (issuer: string, audience: ReadonlyArray<string>) =>
    Effect.orDie(table.select(
      `WHERE issuer = ? AND status = 'active' AND (type = 'saml' OR client_id IN (SELECT value FROM json_each(?)))
        ORDER BY created_at_ms, org_id, provider_id LIMIT 20`,
      [issuer, JSON.stringify(audience)]
    ))

  const verifyWith = (token: string, keys: JWTVerifyGetKey, options: Parameters<typeof jwtVerify>[2]) =>
    Effect.tryPromise({
      try: () => jwtVerify(token, keys, options),
      catch: (cause) => cause instanceof errors.JWKSNoMatchingKey ? new UnknownKey() : refusalOf(cause)
    })

  const verified = Effect.fnUntraced(function*(token: string, provider: IdentityProvider) {
    const settings = decodeSettings(provider.metadata)
    if (Option.isNone(settings)) {
      return yield* refused("Misconfigured", `What provider ${provider.providerId} says under oidc is not acceptable.`)
    }
    const { oidc } = settings.value
    const nowMs = yield* Clock.currentTimeMillis
    const options = {
      issuer: provider.issuer,
      audience: provider.clientId ?? [],
      algorithms: [...oidc.algorithms],
      requiredClaims: ["exp"],
      clockTolerance: skewSeconds,
      currentDate: DateTime.toDate(DateTime.unsafeMake(nowMs))
    }
    const keys = yield* keysOf(provider.issuer, provider.jwksUrl)
    const { payload } = yield* verifyWith(token, keys, options).pipe(
      // It may be a new one.
      Effect.catchTag("UnknownKey", (unknown) =>
        Effect.flatMap(
          keysOf(provider.issuer, provider.jwksUrl, keys),
          (renewed) => renewed === keys ? Effect.fail(unknown) : verifyWith(token, renewed, options)
        )),
      Effect.catchTag(
        "UnknownKey",
        () => refused("BadSignature", "The token is signed by a key that its issuer does not publish.")
      )
    )
    const { aud, azp } = payload
    if (Array.isArray(aud) && aud.length > 1 && azp !== undefined && azp !== provider.clientId) {
      return yield* refused("UnknownIssuer", "The token was made for somebody else.")
    }
    return yield* identityOf(payload, provider, oidc)
  })

  const identityOf = (
    payload: JWTPayload,
    { orgId, providerId }: IdentityProvider,
    { defaultRole, require, roleClaim, roles: meanings, userClaim }: typeof Settings.Type
  ): Effect.Effect<Identity, IdentityRefused> => {
    const userId = claimOf(payload, userClaim)
    if (typeof userId !== "string" || !/^[^\p{Cc}\p{Cs}]{1,256}$/u.test(userId)) {
      return refused("Malformed", `The token's claim ${userClaim} names nobody.`)
    }
    const lacking = Object.entries(require).find(([claim, value]) => claimOf(payload, claim) !== value)
    if (lacking !== undefined) return refused("NotAllowed", `The token's claim ${lacking[0]} is not what is required.`)
    const held = new Set(
      (roleClaim === undefined ? [] : textsOf(claimOf(payload, roleClaim)))
        .map((word) => Object.hasOwn(meanings, word) ? meanings[word] : undefined)
    )
    const role = roles.find((role) => held.has(role)) ?? defaultRole
    if (role === null) return refused("NotAllowed", `Provider ${providerId} has no role for the bearer.`)
    // Verified to be there, and a number.
    return Effect.succeed({ orgId, userId, role, expiresAtMs: payload.exp! * 1_000, provider: providerId })
  }

  return {
    verify: Effect.fn("IdentityVerifier.verify")(function*(token: string) {
      if (token.length > tokenChars) return yield* refused("Malformed", "It is too large.")
      if (/^\s*<|^PD94|^PHNhbWw/.test(token)) {
        return yield* refused("Unsupported", "SAML assertions are not verified by this service.")
      }
      const { audience, issuer, type } = yield* readClaims(token)
      if (!types.includes(type) || issuer === undefined || audience.length === 0 || audience.length > audiences) {
        return yield* refused("Malformed", "It is no ID or access token.")
      }
      const found = yield* candidates(issuer, audience)
      const [first, ...others] = found.filter((provider) => provider.type === "oidc")
      if (first === undefined) {
        return yield* found.length > 0
          ? refused("Unsupported", "SAML assertions are not verified by this service.")
          : refused("UnknownIssuer", "No active identity provider has this issuer and audience.")
      }
      // One issuer and client may serve several organizations, told apart by what their records require.
      return yield* others.reduce(
        (verifying, provider) =>
          Effect.catchIf(verifying, ({ reason }) => reason === "NotAllowed", () => verified(token, provider)),
        verified(token, first)
      )
    })
  }
})

/**
 * Bearer tokens of OpenID providers: ID and access tokens that are JWTs, verified against the active records of identity
 * providers. A token is for the organization whose record has its issuer and, as client id, its audience; where several
 * have both, for the oldest whose `require` it meets.
 */
export const layer = Layer.scoped(IdentityVerifier, make)

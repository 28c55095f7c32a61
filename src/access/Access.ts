import {
  Clock,
  Context,
  Duration,
  Effect,
  Either,
  Layer,
  Metric,
  MetricKey,
  Number,
  Option,
  type Redacted
} from "effect"
import { Audit } from "../audit/index.ts"
import { type Actor, actorName, Bounds, type CatalogScope, type Reach, reaches, systemActor } from "../model/index.ts"
import { Persistence, type PersistenceError, Write } from "../persistence/index.ts"
import { SecretGuard } from "../secrets/index.ts"
import { AccessConfig } from "./AccessConfig.ts"
import { Forbidden, InvalidGrant, TenantNotFound, TokenNotFound, Unauthorized } from "./AccessError.ts"
import { type Identity, IdentityVerifier } from "./IdentityVerifier.ts"
import { makeAdminTokenFile } from "./internal/AdminTokenFile.ts"
import { checkMs, checkRequest } from "./internal/checkRequest.ts"
import { ensureAdminToken } from "./internal/ensureAdminToken.ts"
import { endOf, makeGrants } from "./internal/Grants.ts"
import { makeGrantWrites, newRow } from "./internal/GrantWrites.ts"
import { makeRefusals } from "./internal/Refusals.ts"
import { allows, covers } from "./internal/Scopes.ts"
import { generate, isPlausible, sha256 } from "./internal/TokenFormat.ts"
import { makeQueries, type TokenRow, touch } from "./internal/TokenTable.ts"
import { Methods } from "./Methods.ts"
import { migrations } from "./migrations.ts"
import { Permit } from "./Permit.ts"
import { type Principal, toActor } from "./Principal.ts"
import { administersTenant, isTenantRole, outranks, tenantRoles } from "./TenantRoles.ts"
import { Tenants } from "./Tenants.ts"
import { grantBounds, type TokenGrant } from "./TokenGrant.ts"

/** A new token. The secret exists here and nowhere else. */
export interface Issued {
  readonly secret: Redacted.Redacted
  readonly grant: TokenGrant
}

/** The request in which somebody is let do something or not, as the audit names it. */
type Origin = Pick<Actor, "requestId" | "traceId">

/**
 * Who may do what: token grants, and the check of a scope.
 *
 * Every change of a grant is committed together with its audit row and is in force for the next request. Only the
 * SHA-256 of a secret is kept. Requests are answered from memory.
 */
export class Access extends Context.Tag("smithers-orchestrator/access/Access")<Access, {
  /**
   * Makes a token. Nobody gives what they do not hold: the actor's own scopes must imply every scope asked for, and
   * only an `admin`, whoever holds `*`, or the service itself (`systemActor`) may make an `admin`.
   *
   * Of an organization (`orgId`) the role is one of `tenantRoles`, which says what it may do; `scopes` may only be fewer.
   * Whoever acts for an organization makes grants of that organization only, of its own rank or below, and for no
   * project that it does not reach itself.
   */
  readonly issue: (request: {
    readonly role: string
    /** Needed unless a role of an organization says them. */
    readonly scopes?: ReadonlyArray<string> | undefined
    readonly orgId?: string | undefined
    /** At most 64; all of the organization, or all that the actor reaches of it, unless given. */
    readonly projectIds?: ReadonlyArray<string> | undefined
    readonly userId?: string | undefined
    /** Default: 24 hours, or the configured maximum if that is shorter. */
    readonly ttlMs?: number | undefined
    readonly label?: string | undefined
    readonly actor: Actor
  }) => Effect.Effect<Issued, InvalidGrant | Forbidden | TenantNotFound | PersistenceError>
  /**
   * Who the bearer of `presented` is, at this moment. Costs no SQL, unless it is a JWT that is none of our tokens: that
   * is for the `IdentityVerifier`.
   */
  readonly authenticate: (presented: string) => Effect.Effect<Principal, Unauthorized>
  /** Whether the principal holds `scope` (`wire-protocol.md` §3.5), for the sake of `method` if one is called. */
  readonly authorize: <S extends CatalogScope>(
    principal: Principal,
    scope: S,
    method?: string,
    origin?: Origin
  ) => Effect.Effect<Permit<S>, Forbidden>
  /** The same without a permit, for what is shown or not. */
  readonly permits: (principal: Principal, scope: CatalogScope, method?: string) => boolean
  /** How far the principal reaches where `scope` is needed; null: everywhere. Costs no SQL unless teams limit it. */
  readonly reach: (principal: Principal, scope: CatalogScope) => Effect.Effect<Reach | null, PersistenceError>
  /** Puts into the audit that the principal was not let do something; of many of a kind a few a minute. */
  readonly noteRefused: (
    principal: Principal,
    operation: string,
    requiredScope: string,
    origin?: Origin
  ) => Effect.Effect<void>
  /**
   * Ends a grant now. A grant that has been revoked already stays as it is. Whoever acts for an organization finds no
   * other grants than those of its own, and ends none that outranks it.
   */
  readonly revoke: (
    tokenId: string,
    actor: Actor
  ) => Effect.Effect<TokenGrant, TokenNotFound | Forbidden | PersistenceError>
  /** Ends every grant of an organization, which is about to go; answers how many. */
  readonly revokeOrg: (orgId: string, actor: Actor) => Effect.Effect<number, PersistenceError>
  /**
   * A new token with the scopes, role, user, label and lifetime of the old one, which is revoked at once or, if asked
   * for, after an overlap of at most a day. The actor has to hold what the grant gives, unless it is its own.
   */
  readonly rotate: (
    tokenId: string,
    actor: Actor,
    options?: { readonly overlapMs?: number | undefined }
  ) => Effect.Effect<Issued, TokenNotFound | InvalidGrant | Forbidden | PersistenceError>
  /** One page of grants, newest first, ended ones included; `afterTokenId` is the last of the previous page. */
  readonly list: (query: {
    readonly afterTokenId?: string | undefined
    readonly limit: number
    /** Who asks: for an organization, it sees that organization's; the operator unless given. */
    readonly actor?: Actor | undefined
  }) => Effect.Effect<ReadonlyArray<TokenGrant>, PersistenceError>
  /** Waits until the grant ends, and says how. For whoever holds something open on its strength. */
  readonly ended: (tokenId: string) => Effect.Effect<"revoked" | "expired">
  /** Where the operator finds the admin token; none when it was given by `SMITHERS_ADMIN_TOKEN`. */
  readonly adminTokenFile: Option.Option<string>
}>() {}

/** How long the times of last use are gathered before they are written. */
const usesEvery = "1 minute"

const authenticationCount = MetricKey.counter("smithers_access_authentications_total", {
  description: "Credentials presented, by outcome",
  incremental: true
})

/** The outcome becomes part of the key: `Metric.tagged` would look the metric up anew at every update. */
const authentications = (outcome: string) =>
  Metric.fromMetricKey(MetricKey.tagged(authenticationCount, "outcome", outcome))
const authenticated = authentications("ok")
const refusedAs = {
  Missing: authentications("missing"),
  Invalid: authentications("invalid"),
  Revoked: authentications("revoked"),
  Expired: authentications("expired")
}

const isJwt = /^[\w-]+\.[\w-]+\.[\w-]*$/

const endReason = { revoked: "Revoked", expired: "Expired" } as const

const toGrant = ({ sha256: _, ...grant }: TokenRow): TokenGrant => grant

/** A text that is no id may be a secret pasted by mistake, and is not repeated. */
const noToken = (tokenId: string) =>
  new TokenNotFound({ tokenId: /^[0-9a-f]{16}$/.test(tokenId) ? tokenId : "(malformed)" })

/** Whether the actor may know of the grant: one of its own organization, which reaches no further than it does itself. */
const sees = ({ reach }: Actor, { orgId, projectIds }: TokenGrant): boolean => {
  if (reach === null || reach === undefined) return true
  const own = reach.projectIds
  return orgId === reach.orgId && (own === null || projectIds?.every((projectId) => own.includes(projectId)) === true)
}

const make = Effect.gen(function*() {
  const config = yield* AccessConfig
  const persistence = yield* Persistence.Persistence
  const audit = yield* Audit.Audit
  const methods = yield* Methods
  const tenants = yield* Tenants
  const verifier = yield* IdentityVerifier
  const guard = yield* SecretGuard.SecretGuard
  // One that we made is known by its format.
  yield* Option.match(config.adminToken, {
    onNone: () => Effect.void,
    onSome: (token) => Effect.ignore(guard.watch({ provider: "smithers", name: "admin-token" }, token))
  })
  const adminFile = yield* makeAdminTokenFile(persistence.home)
  yield* persistence.migrate(migrations)

  const queries = makeQueries(persistence.sql)
  const grants = makeGrants(yield* queries.load(yield* Clock.currentTimeMillis, grantBounds.live))
  const writes = makeGrantWrites(audit, grants)
  const noteRefusal = makeRefusals(audit, yield* Effect.scope)
  const maxTtlMs = Duration.toMillis(config.tokenMaxTtl)
  yield* ensureAdminToken(persistence, config, grants, writes, adminFile)

  const writeUses = Effect.suspend(() => {
    const uses = grants.takeUses()
    if (uses.length === 0) return Effect.void
    return Effect.catchAll(persistence.write(touch(uses)), (error) => {
      grants.giveBack(uses)
      return Effect.logWarning("When tokens were last used could not be written", error)
    })
  })
  yield* Effect.addFinalizer(() => writeUses)
  yield* Effect.forkScoped(Effect.forever(Effect.zipRight(grants.used, Effect.delay(writeUses, usesEvery))))

  /** Joined with a new grant: of an organization that goes meanwhile none is left. */
  const standing = <E>(orgId: string | null, gone: (orgId: string) => E): Write.Write<unknown, E> =>
    orgId === null ? Write.none : tenants.stands(orgId, () => gone(orgId))

  const find = Effect.fnUntraced(function*(tokenId: string, actor: Actor) {
    const row = grants.get(tokenId) ?? Option.getOrUndefined(yield* queries.find(tokenId))
    return row === undefined || !sees(actor, row) ? yield* noToken(tokenId) : row
  })

  const refuseGiving = Effect.fnUntraced(function*(operation: string, actor: Actor, lacking: string) {
    const error = new Forbidden({ requiredScope: lacking, method: operation })
    yield* noteRefusal(operation, error._tag, actor, error.message)
    return yield* error
  })

  /** Within an organization nobody disposes of what outranks them. */
  const checkRank = (operation: string, actor: Actor, role: string) =>
    actor.reach && !outranks(actor.role, role) ? refuseGiving(operation, actor, role) : Effect.void

  /** Nobody gives what they do not hold; the service itself may give everything. */
  const checkGiver = Effect.fnUntraced(function*(
    operation: string,
    actor: Actor,
    { role, scopes }: Pick<TokenGrant, "role" | "scopes">
  ) {
    if (actor === systemActor) return
    yield* checkRank(operation, actor, role)
    const makesAdmin = !actor.reach && administersTenant(role.toLowerCase()) && actor.role.toLowerCase() !== "admin"
    const lacking = (makesAdmin ? ["*", ...scopes] : scopes).find((scope) => !covers(actor.scopes, scope, methods))
    if (lacking !== undefined) return yield* refuseGiving(operation, actor, lacking)
  })

  /** The organization and the projects that a new grant is for, if there are such and the actor reaches them. */
  const checkTenant = Effect.fnUntraced(function*(
    { reach = null }: Actor,
    orgId: string,
    projectIds: ReadonlyArray<string> | undefined
  ) {
    if (reach === null ? !(yield* tenants.hasOrg(orgId)) : reach.orgId !== orgId) {
      return yield* new TenantNotFound({ orgId, projectId: null })
    }
    for (const projectId of projectIds ?? []) {
      if (!(yield* tenants.hasProject(orgId, projectId)) || !reaches(reach, { orgId, projectId })) {
        return yield* new TenantNotFound({ orgId, projectId })
      }
    }
    return { orgId, projectIds: projectIds === undefined ? reach?.projectIds ?? null : [...new Set(projectIds)] }
  })

  const refuseSecret = (field: string, text = "") =>
    guard.suspects(text)
      ? Effect.mapError(guard.check({ field, text }), ({ path, problem }) =>
        new InvalidGrant({ field: path, bound: problem }))
      : Effect.void

  const checkRoom = (nowMs: number) =>
    grants.hasRoom(nowMs)
      ? Effect.void
      : new InvalidGrant({ field: "tokens", bound: `must not be more than ${grantBounds.live} at once` })

  const refuse = (reason: Unauthorized["reason"], tokenId: string | null, detail?: string) => {
    const error = new Unauthorized({ reason })
    const actor: Actor = { userId: null, tokenId, role: "anonymous", scopes: [] }
    const noted = reason === "Missing"
      ? Effect.void
      : noteRefusal("token.authenticate", reason, actor, detail ?? error.message)
    return Effect.zipRight(Effect.zipRight(Metric.increment(refusedAs[reason]), noted), error)
  }

  /** A token of an identity provider is for the organization that the provider belongs to, and nothing else. */
  const authenticateForeign = (presented: string): Effect.Effect<Principal, Unauthorized> =>
    Effect.matchEffect(verifier.verify(presented), {
      onFailure: ({ message, reason }) => refuse(reason === "Expired" ? "Expired" : "Invalid", null, message),
      onSuccess: ({ expiresAtMs, orgId, role, userId }: Identity) => {
        if (!isTenantRole(role)) return refuse("Invalid", null, `No organization has the role ${role}`)
        authenticated.unsafeUpdate(1, [])
        return Effect.succeed({
          userId,
          tokenId: null,
          role,
          scopes: tenantRoles[role],
          expiresAtMs,
          tenant: { orgId, projectIds: null }
        })
      }
    })

  const noteRefused = (principal: Principal, operation: string, requiredScope: string, origin?: Origin) =>
    noteRefusal(
      "access.refuse",
      requiredScope,
      { ...toActor(principal), ...origin },
      `${operation} needs ${requiredScope}`
    )

  return Access.of({
    issue: Effect.fn("Access.issue")(function*({ actor, label, projectIds, role, ttlMs, userId, ...asked }) {
      const orgId = asked.orgId ?? actor.reach?.orgId
      const scopes = asked.scopes ?? (orgId !== undefined && isTenantRole(role) ? tenantRoles[role] : [])
      const lifetimeMs = ttlMs ?? Math.min(grantBounds.defaultTtlMs, maxTtlMs)
      yield* checkRequest({ role, scopes, label, userId, orgId, projectIds }, lifetimeMs, maxTtlMs, methods)
      yield* refuseSecret("role", role)
      yield* refuseSecret("userId", userId)
      yield* refuseSecret("label", label)
      const tenant = orgId === undefined ? undefined : yield* checkTenant(actor, orgId, projectIds)
      yield* checkGiver("token.issue", actor, { role, scopes })
      const nowMs = yield* Clock.currentTimeMillis
      yield* checkRoom(nowMs)
      const secret = yield* generate
      const row = newRow(secret, {
        origin: "issued",
        role,
        scopes: [...new Set(scopes)],
        userId: userId ?? null,
        orgId: tenant?.orgId ?? null,
        projectIds: tenant?.projectIds ?? null,
        label: label ?? null,
        issuedBy: actorName(actor),
        rotatedFrom: null,
        issuedAtMs: nowMs,
        expiresAtMs: nowMs + lifetimeMs
      })
      const gone = (orgId: string) => new TenantNotFound({ orgId, projectId: null })
      yield* persistence.write(Write.all([standing(row.orgId, gone), writes.issue(row, actor)]))
      return { secret, grant: toGrant(row) }
    }),

    authenticate: (presented) =>
      Effect.flatMap(Clock.currentTimeMillis, (nowMs) => {
        if (presented === "") return refuse("Missing", null)
        const held = isPlausible(presented) ? grants.find(sha256(presented)) : undefined
        if (held === undefined) {
          return isJwt.test(presented) ? authenticateForeign(presented) : refuse("Invalid", null)
        }
        const end = endOf(held.row, nowMs)
        if (end !== null) return refuse(endReason[end], held.row.tokenId)
        grants.use(held, nowMs)
        authenticated.unsafeUpdate(1, [])
        return Effect.succeed(held.principal)
      }),

    authorize: (principal, scope, method, origin) =>
      allows(principal.scopes, scope, method, methods)
        ? Effect.succeed(new Permit(principal, scope))
        : Effect.zipRight(
          noteRefused(principal, method ?? scope, scope, origin),
          new Forbidden({ requiredScope: scope, method: method ?? null })
        ),

    permits: (principal, scope, method) => allows(principal.scopes, scope, method, methods),

    reach: ({ role, tenant, userId }, scope) =>
      tenant === null
        ? Effect.succeed(null)
        : userId === null || administersTenant(role)
        ? Effect.succeed({ ...tenant, except: [] })
        : Effect.map(tenants.closedProjects(tenant.orgId, userId, scope), (except) => ({ ...tenant, except })),

    noteRefused,

    revoke: Effect.fn("Access.revoke")(function*(tokenId, actor) {
      const row = yield* find(tokenId, actor)
      if (actor.tokenId !== tokenId) yield* checkRank("token.revoke", actor, row.role)
      const nowMs = yield* Clock.currentTimeMillis
      return yield* persistence.write(writes.revoke(row, actor, nowMs)).pipe(
        Effect.as({ ...toGrant(row), revokedAtMs: nowMs }),
        Effect.catchIf((error) => error === "AlreadyRevoked", () => Effect.map(find(tokenId, actor), toGrant))
      )
    }),

    revokeOrg: Effect.fn("Access.revokeOrg")(function*(orgId, actor) {
      const rows = yield* queries.ofOrg(orgId)
      const nowMs = yield* Clock.currentTimeMillis
      const ended = yield* Effect.forEach(
        rows,
        (row) =>
          Effect.match(persistence.write(writes.revoke(row, actor, nowMs)), {
            onFailure: (error) => error === "AlreadyRevoked" ? Either.right(0) : Either.left(error),
            onSuccess: () => Either.right(1)
          }),
        { concurrency: 64 }
      )
      return (yield* Either.all(ended)).reduce((sum, one) => sum + one, 0)
    }),

    rotate: Effect.fn("Access.rotate")(function*(tokenId, actor, options) {
      const overlapMs = options?.overlapMs ?? 0
      yield* checkMs("overlapMs", overlapMs, 0, grantBounds.maxOverlapMs) ?? Effect.void
      const old = yield* find(tokenId, actor)
      if (actor.tokenId !== tokenId) yield* checkGiver("token.rotate", actor, old)
      const nowMs = yield* Clock.currentTimeMillis
      yield* checkRoom(nowMs)
      const secret = yield* generate
      const successor = newRow(secret, {
        ...old,
        issuedBy: actorName(actor),
        rotatedFrom: tokenId,
        issuedAtMs: nowMs,
        expiresAtMs: old.expiresAtMs === null ? null : nowMs + Math.min(old.expiresAtMs - old.issuedAtMs, maxTtlMs)
      })
      const written = persistence.write(Write.all([
        standing(successor.orgId, () => noToken(tokenId)),
        writes.rotate(tokenId, successor, actor, nowMs + overlapMs)
      ]))
      const filed = old.origin === "admin" && Option.isNone(config.adminToken)
        // The caller has the secret in any case, and the next start makes good what is missing here.
        ? Effect.catchAll(adminFile.write(secret), (error) => Effect.logWarning(error.message))
        : Effect.void
      yield* Effect.uninterruptible(Effect.zipRight(written, filed))
      return { secret, grant: toGrant(successor) }
    }),

    list: Effect.fn("Access.list")(function*({ actor, afterTokenId, limit }) {
      const size = Number.clamp(limit, { minimum: 0, maximum: Bounds.pageRows })
      const rows = yield* queries.page(afterTokenId, size, actor?.reach ?? null)
      return rows.map((row) => ({ ...toGrant(row), lastUsedAtMs: grants.lastUse(row.tokenId) ?? row.lastUsedAtMs }))
    }),

    ended: grants.ended,
    adminTokenFile: Option.isNone(config.adminToken) ? Option.some(adminFile.file) : Option.none()
  })
})

/** Grants of the deployment's database; makes the operator's admin token if there is none. */
export const layer = Layer.scoped(Access, make)

import { Clock, Context, Duration, Effect, Layer, Metric, MetricKey, Number, Option, type Redacted } from "effect"
import { Audit } from "../audit/index.ts"
import { type Actor, actorName, Bounds, type CatalogScope, systemActor } from "../model/index.ts"
import { Persistence, type PersistenceError } from "../persistence/index.ts"
import { SecretGuard } from "../secrets/index.ts"
import { AccessConfig } from "./AccessConfig.ts"
import { Forbidden, InvalidGrant, TokenNotFound, Unauthorized } from "./AccessError.ts"
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
   */
  readonly issue: (request: {
    readonly role: string
    readonly scopes: ReadonlyArray<string>
    readonly userId?: string | undefined
    /** Default: 24 hours, or the configured maximum if that is shorter. */
    readonly ttlMs?: number | undefined
    readonly label?: string | undefined
    readonly actor: Actor
  }) => Effect.Effect<Issued, InvalidGrant | Forbidden | PersistenceError>
  /** Who the bearer of `presented` is, at this moment. Costs no SQL. */
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
  /** Puts into the audit that the principal was not let do something; of many of a kind a few a minute. */
  readonly noteRefused: (
    principal: Principal,
    operation: string,
    requiredScope: string,
    origin?: Origin
  ) => Effect.Effect<void>
  /** Ends a grant now. A grant that has been revoked already stays as it is. */
  readonly revoke: (tokenId: string, actor: Actor) => Effect.Effect<TokenGrant, TokenNotFound | PersistenceError>
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

const endReason = { revoked: "Revoked", expired: "Expired" } as const

const toGrant = ({ sha256: _, ...grant }: TokenRow): TokenGrant => grant

/** A text that is no id may be a secret pasted by mistake, and is not repeated. */
const noToken = (tokenId: string) =>
  new TokenNotFound({ tokenId: /^[0-9a-f]{16}$/.test(tokenId) ? tokenId : "(malformed)" })

const make = Effect.gen(function*() {
  const config = yield* AccessConfig
  const persistence = yield* Persistence.Persistence
  const audit = yield* Audit.Audit
  const methods = yield* Methods
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

  const find = Effect.fnUntraced(function*(tokenId: string) {
    const row = grants.get(tokenId) ?? Option.getOrUndefined(yield* queries.find(tokenId))
    return row === undefined ? yield* noToken(tokenId) : row
  })

  /** Nobody gives what they do not hold; the service itself may give everything. */
  const checkGiver = Effect.fnUntraced(function*(
    operation: string,
    actor: Actor,
    { role, scopes }: Pick<TokenGrant, "role" | "scopes">
  ) {
    if (actor === systemActor) return
    const makesAdmin = role.toLowerCase() === "admin" && actor.role.toLowerCase() !== "admin"
    const lacking = (makesAdmin ? ["*", ...scopes] : scopes).find((scope) => !covers(actor.scopes, scope, methods))
    if (lacking === undefined) return
    const error = new Forbidden({ requiredScope: lacking, method: operation })
    yield* noteRefusal(operation, error._tag, actor, error.message)
    return yield* error
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

  const refuse = (reason: Unauthorized["reason"], tokenId: string | null) => {
    const error = new Unauthorized({ reason })
    const actor: Actor = { userId: null, tokenId, role: "anonymous", scopes: [] }
    const noted = reason === "Missing" ? Effect.void : noteRefusal("token.authenticate", reason, actor, error.message)
    return Effect.zipRight(Effect.zipRight(Metric.increment(refusedAs[reason]), noted), error)
  }

  const noteRefused = (principal: Principal, operation: string, requiredScope: string, origin?: Origin) =>
    noteRefusal(
      "access.refuse",
      requiredScope,
      { ...toActor(principal), ...origin },
      `${operation} needs ${requiredScope}`
    )

  return Access.of({
    issue: Effect.fn("Access.issue")(function*({ actor, label, role, scopes, ttlMs, userId }) {
      const lifetimeMs = ttlMs ?? Math.min(grantBounds.defaultTtlMs, maxTtlMs)
      yield* checkRequest({ role, scopes, label, userId }, lifetimeMs, maxTtlMs, methods)
      yield* refuseSecret("role", role)
      yield* refuseSecret("userId", userId)
      yield* refuseSecret("label", label)
      yield* checkGiver("token.issue", actor, { role, scopes })
      const nowMs = yield* Clock.currentTimeMillis
      yield* checkRoom(nowMs)
      const secret = yield* generate
      const row = newRow(secret, {
        origin: "issued",
        role,
        scopes: [...new Set(scopes)],
        userId: userId ?? null,
        label: label ?? null,
        issuedBy: actorName(actor),
        rotatedFrom: null,
        issuedAtMs: nowMs,
        expiresAtMs: nowMs + lifetimeMs
      })
      yield* persistence.write(writes.issue(row, actor))
      return { secret, grant: toGrant(row) }
    }),

    authenticate: (presented) =>
      Effect.flatMap(Clock.currentTimeMillis, (nowMs) => {
        if (presented === "") return refuse("Missing", null)
        const held = isPlausible(presented) ? grants.find(sha256(presented)) : undefined
        if (held === undefined) return refuse("Invalid", null)
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

    noteRefused,

    revoke: Effect.fn("Access.revoke")(function*(tokenId, actor) {
      const row = yield* find(tokenId)
      const nowMs = yield* Clock.currentTimeMillis
      return yield* persistence.write(writes.revoke(tokenId, actor, nowMs)).pipe(
        Effect.as({ ...toGrant(row), revokedAtMs: nowMs }),
        Effect.catchIf((error) => error === "AlreadyRevoked", () => Effect.map(find(tokenId), toGrant))
      )
    }),

    rotate: Effect.fn("Access.rotate")(function*(tokenId, actor, options) {
      const overlapMs = options?.overlapMs ?? 0
      yield* checkMs("overlapMs", overlapMs, 0, grantBounds.maxOverlapMs) ?? Effect.void
      const old = yield* find(tokenId)
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
      const written = persistence.write(writes.rotate(tokenId, successor, actor, nowMs + overlapMs))
      const filed = old.origin === "admin" && Option.isNone(config.adminToken)
        // The caller has the secret in any case, and the next start makes good what is missing here.
        ? Effect.catchAll(adminFile.write(secret), (error) => Effect.logWarning(error.message))
        : Effect.void
      yield* Effect.uninterruptible(Effect.zipRight(written, filed))
      return { secret, grant: toGrant(successor) }
    }),

    list: Effect.fn("Access.list")(function*({ afterTokenId, limit }) {
      const rows = yield* queries.page(afterTokenId, Number.clamp(limit, { minimum: 0, maximum: Bounds.pageRows }))
      return rows.map((row) => ({ ...toGrant(row), lastUsedAtMs: grants.lastUse(row.tokenId) ?? row.lastUsedAtMs }))
    }),

    ended: grants.ended,
    adminTokenFile: Option.isNone(config.adminToken) ? Option.some(adminFile.file) : Option.none()
  })
})

/** Grants of the deployment's database; makes the operator's admin token if there is none. */
export const layer = Layer.scoped(Access, make)

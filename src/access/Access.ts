import { Context, type Effect, type Option, type Redacted } from "effect"
import type { Actor, CatalogScope } from "../model/index.ts"
import type { PersistenceError } from "../persistence/index.ts"
import type { Forbidden, InvalidGrant, TokenNotFound, Unauthorized } from "./AccessError.ts"
import type { Permit } from "./Permit.ts"
import type { Principal } from "./Principal.ts"
import type { TokenGrant } from "./TokenGrant.ts"

/** A new token. The secret exists here and nowhere else. */
export interface Issued {
  readonly secret: Redacted.Redacted
  readonly grant: TokenGrant
}

/**
 * Who may do what: token grants, and the check of a scope.
 *
 * Every change of a grant is committed together with its audit row and is in force for the next request. Only the
 * SHA-256 of a secret is kept. Requests are answered from memory.
 */
export class Access extends Context.Tag("smithers-orchestrator/access/Access")<Access, {
  /**
   * Makes a token. Nobody gives what they do not hold: the actor's own scopes must imply every scope asked for, and only
   * an `admin` (or the service itself) may make an `admin`.
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
    method?: string
  ) => Effect.Effect<Permit<S>, Forbidden>
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

import type { Actor } from "../model/index.ts"

/** What an credential is: made by `Access.authenticate`, or by a gateway mode that knows callers otherwise. */
export interface Principal {
  readonly userId: string | null
  /** Null when the caller holds no token of ours (proxy, identity provider, open loopback mode). */
  readonly tokenId: string | null
  readonly role: string
  /** As granted: see `Access.authorize` for what they imply. */
  readonly scopes: ReadonlyArray<string>
  readonly expiresAtMs: number | null
}

/** The principal as it is recorded with what it does. */
export const toActor = ({ role, scopes, tokenId, userId }: Principal): Actor => ({ userId, tokenId, role, scopes })

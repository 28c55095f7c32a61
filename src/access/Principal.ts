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
  /** The organization that it acts for, and the projects of it (null: all); null: the operator. */
  readonly tenant: { readonly orgId: string; readonly projectIds: ReadonlyArray<string> | null } | null
}

/** The principal as it is recorded with what it does. */
export const toActor = ({ role, scopes, tenant, tokenId, userId }: Principal): Actor => ({
  userId,
  tokenId,
  role,
  scopes,
  ...(tenant !== null && { reach: { ...tenant, except: [] } })
})

import { Context, type Effect, type Schema } from "effect"
import type { GatewayError } from "../gateway/client.ts"
import type { IssueToken, TokenRow } from "../gateway/contract.ts"

/** A token that was just made, with its secret. */
export type Issued = Schema.Schema.Type<typeof IssueToken.successSchema>

/** What is asked for a new token. */
interface TokenRequest {
  readonly role: string
  /** Undefined: what the role gives. */
  readonly scopes: ReadonlyArray<string> | undefined
  readonly orgId: string | undefined
  readonly projectIds: ReadonlyArray<string> | undefined
  readonly userId: string | undefined
  readonly label: string | undefined
  readonly ttlMs: number | undefined
}

/** Token grants, wherever they can be reached: through the running service, or in its home while it does not run. */
export class TokenDesk extends Context.Tag("smithers-orchestrator/cli/TokenDesk")<TokenDesk, {
  readonly issue: (request: TokenRequest) => Effect.Effect<Issued, DeskError>
  readonly list: (limit: number) => Effect.Effect<ReadonlyArray<TokenRow>, DeskError>
  readonly rotate: (tokenId: string, overlapMs: number | undefined) => Effect.Effect<Issued, DeskError>
  readonly revoke: (tokenId: string) => Effect.Effect<TokenRow, DeskError>
}>() {}

/** Refusals of the service, or of `access` itself: `explain` knows them all. */
type DeskError = GatewayError | { readonly _tag: string; readonly message: string }

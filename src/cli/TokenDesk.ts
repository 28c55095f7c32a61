import { FetchHttpClient, HttpClient, Path } from "@effect/platform"
import { Context, Effect, Layer, Option, type Schema } from "effect"
import type { GatewayError } from "../gateway/client.ts"
import type { IssueToken, TokenRow } from "../gateway/contract.ts"
import * as Connection from "./Connection.ts"
import { ConnectionConfig, layerConfig } from "./ConnectionConfig.ts"
import { readAddress } from "./Home.ts"

/** A token that was just made, with its secret. */
export type Issued = Schema.Schema.Type<typeof IssueToken.successSchema>

/** What is asked for a new token. */
export interface TokenRequest {
  readonly role: string
  readonly scopes: ReadonlyArray<string>
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
export type DeskError = GatewayError | { readonly _tag: string; readonly message: string }

const layerRemote = Layer.effect(
  TokenDesk,
  Effect.map(Connection.Connection, ({ client }) =>
    TokenDesk.of({
      issue: (request) => client["tokens.issue"](request),
      list: (limit) => client["tokens.list"]({ limit }),
      rotate: (tokenId, overlapMs) => client["tokens.rotate"]({ tokenId, overlapMs }),
      revoke: (tokenId) => client["tokens.revoke"]({ tokenId })
    }))
)

/** Whether the service of this home answers where it said it would. */
const isUp = Effect.gen(function*() {
  const path = yield* Path.Path
  const http = yield* HttpClient.HttpClient
  const { home } = yield* ConnectionConfig
  const address = yield* readAddress(path.resolve(home))
  if (Option.isNone(address)) return false
  return yield* http.get(`${address.value}/health`).pipe(
    Effect.timeout("2 seconds"),
    Effect.match({ onFailure: () => false, onSuccess: ({ status }) => status === 200 }),
    Effect.scoped
  )
})

const choose = Effect.fnUntraced(function*(options: Connection.ConnectionOptions) {
  const { url } = yield* ConnectionConfig
  if (Option.isSome(options.url) || Option.isSome(url) || (yield* isUp)) {
    return Layer.provide(layerRemote, Connection.layer(options))
  }
  const { layerLocal } = yield* Effect.promise(() => import("./LocalTokens.ts"))
  return layerLocal
})

/** The running service if an address is given or it answers; else the home itself, which takes its instance lock. */
export const layer = (options: Connection.ConnectionOptions) =>
  Layer.unwrapEffect(choose(options)).pipe(Layer.provide([layerConfig, FetchHttpClient.layer]))

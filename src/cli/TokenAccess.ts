import { FetchHttpClient, HttpClient, Path } from "@effect/platform"
import { Effect, Layer, Option } from "effect"
import * as Connection from "./Connection.ts"
import { ConnectionConfig, layerConfig } from "./ConnectionConfig.ts"
import { readAddress } from "./Home.ts"
import { TokenDesk } from "./TokenDesk.ts"

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

import { FetchHttpClient, Path } from "@effect/platform"
import * as NodeSocket from "@effect/platform-node/NodeSocket"
import { Context, Effect, Layer, Option, Redacted } from "effect"
import { type GatewayClient, make as makeClient } from "../gateway/client.ts"
import { CommandFailed } from "./CommandFailed.ts"
import { ConnectionConfig, layerConfig } from "./ConnectionConfig.ts"
import { readAddress, readAdminToken } from "./Home.ts"

/** The running service, as the operator's commands call it. */
export class Connection extends Context.Tag("smithers-orchestrator/cli/Connection")<Connection, {
  readonly url: string
  readonly client: GatewayClient
}>() {}

/** What the command line says about the connection. */
export interface ConnectionOptions {
  readonly url: Option.Option<string>
  readonly token: Option.Option<Redacted.Redacted>
}

export const parseUrl = (text: string) =>
  Effect.mapError(
    Effect.filterOrFail(Effect.try(() => new URL(text)), ({ protocol }) => /^https?:$/.test(protocol)),
    () =>
      new CommandFailed({
        outcome: "usage",
        code: "INVALID_URL",
        field: "--url",
        message: `"${text}" is not the address of a service.`,
        fix: "Give --url (or SMITHERS_URL) as http://host:port."
      })
  )

const make = Effect.fnUntraced(function*(options: ConnectionOptions) {
  const path = yield* Path.Path
  const config = yield* ConnectionConfig
  const home = path.resolve(config.home)
  const published = yield* readAddress(home)
  const { origin: url } = yield* parseUrl(
    options.url.pipe(
      Option.orElse(() => config.url),
      Option.orElse(() => published),
      Option.getOrElse(() => `http://${config.host}:${config.port}`)
    )
  )
  const token = Option.orElse(options.token, () => config.token)
  const known = Option.isSome(token) ? token : Option.map(yield* readAdminToken(home), Redacted.make)
  if (Option.isNone(known)) {
    return yield* new CommandFailed({
      outcome: "forbidden",
      code: "NO_TOKEN",
      field: "--token",
      message: `There is no token to sign in with: none was given, and ${
        path.join(home, "admin-token")
      } cannot be read.`,
      fix: "Give --token or SMITHERS_TOKEN, or set SMITHERS_HOME to the home of the service."
    })
  }
  return Connection.of({ url, client: yield* makeClient({ baseUrl: url, token: known.value }) })
})

export const layer = (options: ConnectionOptions) =>
  Layer.effect(Connection, make(options)).pipe(
    Layer.provide([FetchHttpClient.layer, NodeSocket.layerWebSocketConstructor, layerConfig])
  )

import { Config, Context, Effect, Layer, type Option, type Redacted } from "effect"
import { defaultOf } from "./ConfigCatalogue.ts"

/** Where the operator's commands look for the service, and what they sign in with, unless options say otherwise. */
export class ConnectionConfig extends Context.Tag("smithers-orchestrator/cli/ConnectionConfig")<ConnectionConfig, {
  readonly url: Option.Option<string>
  readonly token: Option.Option<Redacted.Redacted>
  readonly home: string
  readonly host: string
  readonly port: string
}>() {}

/** From `SMITHERS_URL`, `SMITHERS_TOKEN`, `SMITHERS_HOME`, `SMITHERS_HOST` and `SMITHERS_PORT`. */
export const layerConfig = Layer.effect(
  ConnectionConfig,
  Effect.map(
    Config.nested(
      Config.all({
        url: Config.option(Config.nonEmptyString("URL")),
        token: Config.option(Config.redacted("TOKEN")),
        home: Config.withDefault(Config.nonEmptyString("HOME"), defaultOf("SMITHERS_HOME")),
        host: Config.withDefault(Config.nonEmptyString("HOST"), defaultOf("SMITHERS_HOST")),
        port: Config.withDefault(Config.nonEmptyString("PORT"), defaultOf("SMITHERS_PORT"))
      }),
      "SMITHERS"
    ),
    ConnectionConfig.of
  )
)

import { type CommandExecutor } from "@effect/platform"
import { Config, type ConfigError, Context, Effect, Layer, Schema } from "effect"
import * as CommandProvider from "./CommandProvider.ts"
import * as EnvironmentProvider from "./EnvironmentProvider.ts"
import * as FileProvider from "./FileProvider.ts"
import type { InvalidSecretInput } from "./SecretError.ts"
import type { SecretProvider } from "./SecretProvider.ts"

/** The places where secrets are kept; of two with the same id the later one counts. */
export class SecretProviders extends Context.Tag("smithers-orchestrator/secrets/SecretProviders")<
  SecretProviders,
  ReadonlyMap<string, SecretProvider>
>() {}

export const of = (providers: Iterable<SecretProvider>): SecretProviders["Type"] =>
  new Map([...providers].map((provider) => [provider.id, provider]))

/** These and no others. */
export const layer = (providers: Iterable<SecretProvider>): Layer.Layer<SecretProviders> =>
  Layer.succeed(SecretProviders, of(providers))

const Commands = Schema.parseJson(Schema.Record({ key: Schema.String, value: Schema.Array(Schema.String) }))

/**
 * Environment and files, and the programs of `SMITHERS_SECRETS_COMMANDS`, a JSON object from ids to argument lists:
 * `{"vault":["vault","kv","get","-field=value","secret/{name}"]}`.
 */
export const layerConfig: Layer.Layer<
  SecretProviders,
  ConfigError.ConfigError | InvalidSecretInput,
  CommandExecutor.CommandExecutor
> = Layer.effect(
  SecretProviders,
  Effect.gen(function*() {
    const commands = yield* Config.withDefault(
      Config.nested(Schema.Config("SECRETS_COMMANDS", Commands), "SMITHERS"),
      {}
    )
    const environment = yield* EnvironmentProvider.make
    const programs = yield* Effect.forEach(
      Object.entries(commands),
      ([id, argv]) => CommandProvider.make({ id, argv })
    )
    return of([environment, FileProvider.make(), ...programs])
  })
)

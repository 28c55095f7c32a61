import { Config, ConfigError, Effect } from "effect"
import { SecretNotFound } from "./SecretError.ts"
import { type SecretProvider, unavailable } from "./SecretProvider.ts"

const id = "env"
const variable = /^[A-Za-z_][A-Za-z0-9_]{0,127}$/

/** `env:NAME`: the variables of the service, by the ConfigProvider that is in force when the provider is made. */
export const make: Effect.Effect<SecretProvider> = Effect.map(
  Effect.configProviderWith(Effect.succeed),
  (environment) => ({
    id,
    read: (name) =>
      variable.test(name)
        ? Effect.mapError(environment.load(Config.redacted(name)), (error) =>
          ConfigError.isMissingDataOnly(error)
            ? new SecretNotFound({ provider: id, secretName: name })
            : unavailable(id, name)("Unreadable", "the environment cannot be read"))
        : new SecretNotFound({ provider: id, secretName: name })
  })
)

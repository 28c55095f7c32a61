import { Config, Context, Duration, Effect, Layer } from "effect"

export interface Settings {
  /** For how long a value that a provider gave is used again: 0 to 15 minutes; longer ones count as 15 minutes. */
  readonly ttl: Duration.Duration
  /** Values that the guard watches, and that are kept for `ttl`. */
  readonly maxValues: number
  /** Characters of all watched values together. */
  readonly maxChars: number
}

export const defaults: Settings = { ttl: Duration.minutes(1), maxValues: 1_000, maxChars: 1_048_576 }

/** How long and how many values are held; the defaults unless provided. */
export class SecretsConfig extends Context.Reference<SecretsConfig>()("smithers-orchestrator/secrets/SecretsConfig", {
  defaultValue: () => defaults
}) {}

export const longest = Duration.minutes(15)

/** From `SMITHERS_SECRETS_TTL`. */
export const layerConfig = Layer.effect(
  SecretsConfig,
  Effect.map(
    Config.nested(Config.duration("SECRETS_TTL"), "SMITHERS").pipe(
      Config.withDefault(defaults.ttl),
      Config.validate({
        message: "Expected a duration of at most 15 minutes",
        validation: (ttl) => Duration.lessThanOrEqualTo(ttl, longest)
      })
    ),
    (ttl) => SecretsConfig.of({ ...defaults, ttl })
  )
)

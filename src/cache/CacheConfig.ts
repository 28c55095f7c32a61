import { Config, Context, Duration, Effect, Layer } from "effect"

export interface Settings {
  /** Beyond these the least recently used entries go. */
  readonly maxEntries: number
  readonly maxBytes: number
  /** A larger result is given to those who wait for it and not stored. */
  readonly maxEntryBytes: number
  /** How often expired entries are swept. */
  readonly sweepInterval: Duration.Duration
}

export const defaults: Settings = {
  maxEntries: 100_000,
  maxBytes: 1_073_741_824,
  maxEntryBytes: 16_777_216,
  sweepInterval: Duration.minutes(1)
}

/** How much the cache keeps; the defaults unless provided. */
export class CacheConfig extends Context.Reference<CacheConfig>()("smithers-orchestrator/cache/CacheConfig", {
  defaultValue: () => defaults
}) {}

const atLeastOne = (setting: Config.Config<number>, otherwise: number) =>
  Config.withDefault(
    Config.validate(setting, {
      message: "Expected a whole number of at least 1",
      validation: (n) => n >= 1
    }),
    otherwise
  )

/** From `SMITHERS_CACHE_MAX_ENTRIES`, `SMITHERS_CACHE_MAX_BYTES` and `SMITHERS_CACHE_MAX_ENTRY_BYTES`. */
export const layerConfig = Layer.effect(
  CacheConfig,
  Effect.map(
    Config.nested(
      Config.all({
        maxEntries: atLeastOne(Config.integer("CACHE_MAX_ENTRIES"), defaults.maxEntries),
        maxBytes: atLeastOne(Config.integer("CACHE_MAX_BYTES"), defaults.maxBytes),
        maxEntryBytes: atLeastOne(Config.integer("CACHE_MAX_ENTRY_BYTES"), defaults.maxEntryBytes)
      }),
      "SMITHERS"
    ),
    (config) => CacheConfig.of({ ...defaults, ...config })
  )
)

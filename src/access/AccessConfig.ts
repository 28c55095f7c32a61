import { Config, Context, Duration, Effect, Layer, type Option, type Redacted } from "effect"

/** How long tokens may live, and the operator's own token. */
export class AccessConfig extends Context.Tag("smithers-orchestrator/access/AccessConfig")<AccessConfig, {
  /** The longest lifetime that a grant may be issued for. */
  readonly tokenMaxTtl: Duration.Duration
  /** None: one is made on first start and written to `<home>/admin-token`. */
  readonly adminToken: Option.Option<Redacted.Redacted>
}>() {}

/** From `SMITHERS_TOKEN_MAX_TTL` (30 days) and `SMITHERS_ADMIN_TOKEN`. */
export const layerConfig = Layer.effect(
  AccessConfig,
  Effect.map(
    Config.nested(
      Config.all({
        tokenMaxTtl: Config.withDefault(
          Config.validate(Config.duration("TOKEN_MAX_TTL"), {
            message: "must be between 1 minute and 3650 days",
            validation: (ttl) => Duration.between(ttl, { minimum: "1 minute", maximum: "3650 days" })
          }),
          Duration.days(30)
        ),
        adminToken: Config.option(Config.redacted("ADMIN_TOKEN"))
      }),
      "SMITHERS"
    ),
    AccessConfig.of
  )
)

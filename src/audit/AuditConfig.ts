import { Config, Context, Duration, Effect, Layer, Option } from "effect"

/** No audit is pruned that is younger than this. */
export const youngestPruned = Duration.days(30)

export interface Settings {
  /** A checkpoint is signed after so many rows … */
  readonly checkpointRows: number
  /** … and when the last one is so old, whether there are new rows or not. */
  readonly checkpointInterval: Duration.Duration
  /** Rows older than this are sealed and removed once a day; none: they are kept for ever. */
  readonly retention: Option.Option<Duration.Duration>
}

export const defaults: Settings = {
  checkpointRows: 10_000,
  checkpointInterval: Duration.minutes(10),
  retention: Option.none()
}

/** How often the audit is signed; the defaults unless provided. */
export class AuditConfig extends Context.Reference<AuditConfig>()("smithers-orchestrator/audit/AuditConfig", {
  defaultValue: () => defaults
}) {}

const checkpointRows = Config.integer("AUDIT_CHECKPOINT_ROWS").pipe(
  Config.validate({
    message: "Expected a whole number from 1 to 1000000",
    validation: (n) => n >= 1 && n <= 1_000_000
  }),
  Config.withDefault(defaults.checkpointRows)
)

const checkpointInterval = Config.duration("AUDIT_CHECKPOINT_INTERVAL").pipe(
  Config.validate({
    message: "Expected from 1 second to 1 day",
    validation: (interval) => Duration.between(interval, { minimum: "1 second", maximum: "1 day" })
  }),
  Config.withDefault(defaults.checkpointInterval)
)

const retention = Config.option(
  Config.validate(Config.duration("AUDIT_RETENTION"), {
    message: "Expected at least 30 days",
    validation: Duration.greaterThanOrEqualTo(youngestPruned)
  })
)

/** From `SMITHERS_AUDIT_CHECKPOINT_ROWS`, `SMITHERS_AUDIT_CHECKPOINT_INTERVAL` and `SMITHERS_AUDIT_RETENTION`. */
export const layerConfig = Layer.effect(
  AuditConfig,
  Effect.map(
    Config.nested(Config.all({ checkpointRows, checkpointInterval, retention }), "SMITHERS"),
    (settings) => AuditConfig.of(settings)
  )
)

import { Config, Context, Duration, Effect, Layer, Option } from "effect"

/** How the engine bounds what runs do. */
export class EngineConfig extends Context.Tag("smithers-orchestrator/engine/EngineConfig")<
  EngineConfig,
  {
    /** How long a cancelled run's tasks may take to stop before they are abandoned. */
    readonly cancelGrace: Duration.Duration
    /** Resumes in a row that bring no finished step before a run is quarantined. */
    readonly maxResumesWithoutProgress: number
    /** How often the supervisor looks after runs; at least one second. */
    readonly supervisorInterval: Duration.Duration
    /** Runs that ended longer ago than this are removed, with all that hangs on them; none: they are kept for ever. */
    readonly runRetention: Option.Option<Duration.Duration>
  }
>() {}

export const defaults: EngineConfig["Type"] = {
  cancelGrace: Duration.seconds(10),
  maxResumesWithoutProgress: 10,
  supervisorInterval: Duration.seconds(5),
  runRetention: Option.none()
}

/** From `SMITHERS_CANCEL_GRACE`, `SMITHERS_MAX_RESUMES` and `SMITHERS_RUN_RETENTION`. */
export const layerConfig = Layer.effect(
  EngineConfig,
  Effect.gen(function*() {
    const config = yield* Config.nested(
      Config.all({
        cancelGrace: Config.withDefault(Config.duration("CANCEL_GRACE"), defaults.cancelGrace),
        maxResumesWithoutProgress: Config.withDefault(
          Config.validate(Config.integer("MAX_RESUMES"), {
            message: "Expected a whole number from 1 to 1000000",
            validation: (n) => n >= 1 && n <= 1_000_000
          }),
          defaults.maxResumesWithoutProgress
        ),
        runRetention: Config.option(
          Config.validate(Config.duration("RUN_RETENTION"), {
            message: "Expected at least 1 day",
            validation: Duration.greaterThanOrEqualTo(Duration.days(1))
          })
        )
      }),
      "SMITHERS"
    )
    return EngineConfig.of({ ...defaults, ...config })
  })
)

/** The defaults, for embedding and tests. */
export const layerDefault = Layer.succeed(EngineConfig, defaults)

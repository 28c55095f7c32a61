import { Config, Context, Effect, Layer } from "effect"

/** Where the database lies and how durable a commit is. */
export class PersistenceConfig extends Context.Tag("smithers-orchestrator/persistence/PersistenceConfig")<
  PersistenceConfig,
  {
    /** Absolute path of `SMITHERS_HOME`: database, backups, sandboxes, admin token. */
    readonly home: string
    /** `full`: a commit survives a power cut. `normal`: it survives a crash of the process only. */
    readonly synchronous: "full" | "normal"
    /** Start although the database lies on a network file system, where WAL may corrupt it. */
    readonly allowNetworkFileSystem: boolean
  }
>() {}

/** From `SMITHERS_HOME`, `SMITHERS_SYNCHRONOUS` and `SMITHERS_ALLOW_NETWORK_FS`. */
export const layerConfig = Layer.effect(
  PersistenceConfig,
  Effect.gen(function*() {
    const config = yield* Config.nested(
      Config.all({
        home: Config.withDefault(Config.nonEmptyString("HOME"), ".smithers"),
        synchronous: Config.withDefault(Config.literal("full", "normal")("SYNCHRONOUS"), "full" as const),
        allowNetworkFileSystem: Config.withDefault(Config.boolean("ALLOW_NETWORK_FS"), false)
      }),
      "SMITHERS"
    )
    return PersistenceConfig.of(config)
  })
)

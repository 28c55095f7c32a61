import { Config, Context, Effect, Layer } from "effect"
import { RuntimeName } from "./SandboxRuntime.ts"

export interface Settings {
  /** The runtime of a sandbox that names none. */
  readonly runtime: RuntimeName
  /** Sandboxes that execute at once; more wait. */
  readonly maxConcurrent: number
}

export const defaults: Settings = { runtime: "bubblewrap", maxConcurrent: 10 }

/** Where and how many; the defaults unless provided. */
export class SandboxConfig extends Context.Reference<SandboxConfig>()("smithers-orchestrator/sandbox/SandboxConfig", {
  defaultValue: () => defaults
}) {}

/** From `SMITHERS_SANDBOX_RUNTIME` and `SMITHERS_MAX_CONCURRENT_SANDBOXES` (1 to 1000). */
export const layerConfig = Layer.effect(
  SandboxConfig,
  Effect.map(
    Config.nested(
      Config.all({
        runtime: Config.withDefault(Config.literal(...RuntimeName.literals)("SANDBOX_RUNTIME"), defaults.runtime),
        maxConcurrent: Config.withDefault(
          Config.validate(Config.integer("MAX_CONCURRENT_SANDBOXES"), {
            message: "Expected a whole number from 1 to 1000",
            validation: (n) => n >= 1 && n <= 1_000
          }),
          defaults.maxConcurrent
        )
      }),
      "SMITHERS"
    ),
    SandboxConfig.of
  )
)

import { Config, Effect, Option } from "effect"
import { catalogue } from "./ConfigCatalogue.ts"

/** Every setting as it is set here; secrets are named, not shown. */
export const readSettings = Effect.forEach(
  catalogue,
  (setting) =>
    Effect.map(Config.option(Config.string(setting.key)), (given) => ({
      ...setting,
      value: Option.isNone(given) ? setting.default : setting.secret ? "<redacted>" : given.value,
      source: Option.isNone(given) ? "default" as const : "env" as const
    }))
)

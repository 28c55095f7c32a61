import { Config, ConfigError, Context, Effect, Either, Layer, Option } from "effect"
import { parse, type Rule } from "./OrgSecretRules.ts"

/** What the setting is called, wherever somebody has to be told of it. */
export const setting = "SMITHERS_ORG_SECRETS"

/** What references of organizations may point to; nothing unless provided. */
export class OrgSecretsConfig
  extends Context.Reference<OrgSecretsConfig>()("smithers-orchestrator/control-plane/OrgSecretsConfig", {
    defaultValue: (): { readonly rules: ReadonlyArray<Rule> } => ({ rules: [] })
  })
{}

/** From `SMITHERS_ORG_SECRETS`: `provider:prefix`, separated by commas. */
export const layerConfig = Layer.effect(
  OrgSecretsConfig,
  Effect.gen(function*() {
    const given = yield* Config.option(Config.nested(Config.nonEmptyString("ORG_SECRETS"), "SMITHERS"))
    if (Option.isNone(given)) return { rules: [] }
    return yield* Either.match(parse(given.value), {
      onLeft: (problem) => Effect.fail(ConfigError.InvalidData([setting], problem)),
      onRight: (rules) => Effect.succeed({ rules })
    })
  })
)

import { Config, Context, Layer } from "effect"

/** What was deployed, as each audit row names it: `SMITHERS_DEPLOYMENT`, else the version of the product. */
export class Deployment extends Context.Reference<Deployment>()("smithers-orchestrator/audit/Deployment", {
  defaultValue: (): string | null => null
}) {}

const longest = 256

/** From `SMITHERS_DEPLOYMENT` (1 to 256 characters), else `version`. */
export const layerConfig = (version: string) =>
  Layer.effect(
    Deployment,
    Config.withDefault(
      Config.validate(Config.nested(Config.nonEmptyString("DEPLOYMENT"), "SMITHERS"), {
        message: `Expected at most ${longest} characters`,
        validation: (text) => text.length <= longest
      }),
      version
    )
  )

import { Config, Context, Effect, Layer } from "effect"
import { isRange } from "./PublicAddress.ts"

/** Where the service may send requests; the default when nothing is provided is the Internet alone. */
export class OutboundConfig
  extends Context.Reference<OutboundConfig>()("smithers-orchestrator/outbound/OutboundConfig", {
    defaultValue: (): {
      /** Networks that are not public and may be reached all the same: `10.1.0.0/16`, `::1/128`. */
      readonly allowed: ReadonlyArray<string>
    } => ({ allowed: [] })
  })
{}

/** From `SMITHERS_OUTBOUND_ALLOW`, ranges separated by commas. */
export const layerConfig = Layer.effect(
  OutboundConfig,
  Effect.map(
    Config.nested(Config.array(Config.string(), "OUTBOUND_ALLOW"), "SMITHERS").pipe(
      Config.withDefault([]),
      Config.validate({
        message: "Expected address ranges like 10.1.0.0/16 or ::1/128, separated by commas",
        validation: (ranges: ReadonlyArray<string>) => ranges.every(isRange)
      })
    ),
    (allowed) => OutboundConfig.of({ allowed })
  )
)

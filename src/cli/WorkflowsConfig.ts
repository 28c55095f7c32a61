import { Config, Context, Effect, Layer, Option } from "effect"

/** Which workflow modules the service loads. */
export class WorkflowsConfig extends Context.Tag("smithers-orchestrator/cli/WorkflowsConfig")<WorkflowsConfig, {
  /** `.ts` or `.js` files; none: the shipped examples. */
  readonly files: Option.Option<ReadonlyArray<string>>
}>() {}

/** From `SMITHERS_WORKFLOWS`. */
export const layerConfig = Layer.effect(
  WorkflowsConfig,
  Effect.map(
    Config.nested(Config.option(Config.string("WORKFLOWS")), "SMITHERS"),
    (text) =>
      WorkflowsConfig.of({
        files: Option.map(text, (list) => list.split(",").map((file) => file.trim()).filter((file) => file !== ""))
      })
  )
)

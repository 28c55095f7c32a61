import { Command } from "@effect/cli"
import { type ConfigError, Effect } from "effect"
import { CommandFailed } from "../CommandFailed.ts"
import { ConfigDocument } from "../Documents.ts"
import { configProblems } from "../Explanation.ts"
import { Output } from "../Output.ts"
import { readSettings } from "../Settings.ts"
import { local, provideOutput } from "../SharedOptions.ts"
import { table } from "../Table.ts"

/** Shows every setting; `check` reads them all as the service would. */
export const configCommand = (check: Effect.Effect<void, ConfigError.ConfigError>) =>
  Command.make("config", local, () =>
    Effect.gen(function*() {
      const output = yield* Output
      const settings = yield* readSettings
      const problems = yield* Effect.match(check, { onFailure: configProblems, onSuccess: () => [] })
      yield* output.print(ConfigDocument, { settings, problems }, () =>
        table(
          ["SETTING", "VALUE", "SOURCE", "DEFAULT", "MEANING"],
          settings.map(({ default: byDefault, key, meaning, source, value }) => [
            key,
            value ?? "-",
            source,
            byDefault ?? "-",
            meaning
          ])
        ))
      if (problems.length > 0) {
        return yield* new CommandFailed({
          outcome: "usage",
          code: "INVALID_CONFIG",
          message: problems.map(({ key, problem }) => `${key}: ${problem}.`).join(" "),
          field: problems[0]?.key ?? "",
          fix: "The service does not start with these."
        })
      }
    })).pipe(
      Command.withDescription("Show every setting, where its value comes from and what it means."),
      provideOutput
    )

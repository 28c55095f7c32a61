import { Prompt } from "@effect/cli"
import { Effect } from "effect"
import { CommandFailed } from "./CommandFailed.ts"
import { Output } from "./Output.ts"

/** Asks the person at the terminal, unless `--yes` answered already. Programs are not asked. */
export const confirm = Effect.fnUntraced(function*(question: string, answered: boolean) {
  const output = yield* Output
  if (answered || !output.live) return
  const agreed = yield* Effect.orElseSucceed(Prompt.run(Prompt.confirm({ message: question })), () => false)
  if (!agreed) {
    return yield* new CommandFailed({ outcome: "failed", code: "DECLINED", message: "Nothing was done." })
  }
})

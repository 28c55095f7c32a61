import { Duration, Effect, Option } from "effect"
import { CommandFailed } from "./CommandFailed.ts"

const units: Readonly<Record<string, string>> = { s: "seconds", m: "minutes", h: "hours", d: "days" }

/** `24h` as well as `24 hours`. */
const spelledOut = (text: string): string =>
  text.trim().replace(/^(\d+)\s*([smhd])$/, (_, amount: string, unit: string) => `${amount} ${units[unit]}`)

/** What an option says of a span of time, in milliseconds. */
export const toMillis = Effect.fnUntraced(function*(option: string, text: Option.Option<string>) {
  if (Option.isNone(text)) return undefined
  return yield* Effect.mapBoth(Duration.decodeUnknown(spelledOut(text.value)), {
    onFailure: () =>
      new CommandFailed({
        outcome: "usage",
        code: "INVALID_INPUT",
        field: option,
        message: `${option} "${text.value}" is not a duration.`,
        fix: "Give it as 30m, 24h or 7d."
      }),
    onSuccess: (duration) => Math.round(Duration.toMillis(duration))
  })
})

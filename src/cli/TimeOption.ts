import { DateTime, Effect, Option } from "effect"
import { CommandFailed } from "./CommandFailed.ts"

/** A time as it is given on the command line. */
export const toTime = (option: string, given: Option.Option<string>) =>
  Option.match(given, {
    onNone: () => Effect.succeed(undefined),
    onSome: (time) =>
      Option.match(DateTime.make(time), {
        onNone: () =>
          new CommandFailed({
            outcome: "usage",
            code: "INVALID_INPUT",
            field: option,
            message: `${option} "${time}" is not a time.`,
            fix: "Give it as 2026-01-31 or 2026-01-31T12:00:00Z."
          }),
        onSome: (at) => Effect.succeed(DateTime.toEpochMillis(at))
      })
  })

import { Effect, Layer, Logger } from "effect"

/** Logs go to stderr: for people on a terminal, one JSON object a line elsewhere. */
export const layer = Layer.unwrapEffect(Effect.sync(() =>
  Logger.replace(
    Logger.defaultLogger,
    process.stderr.isTTY ? Logger.prettyLogger({ stderr: true }) : Logger.withConsoleError(Logger.jsonLogger)
  )
))

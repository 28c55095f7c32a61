import { Effect, FiberRef, HashMap, HashSet, Layer, List, Logger, LogSpan } from "effect"
import { redactCause, redactValue } from "./Redaction.ts"
import { SecretGuard } from "./SecretGuard.ts"

/** The logger, which sees nothing but redacted messages, annotations, causes and names of spans. */
export const make = <Output>(
  guard: SecretGuard["Type"],
  logger: Logger.Logger<unknown, Output>
): Logger.Logger<unknown, Output> =>
  Logger.mapInputOptions(logger, (options) => ({
    ...options,
    message: redactValue(options.message, guard.redact),
    cause: redactCause(options.cause, guard.redact),
    annotations: HashMap.fromIterable(
      Array.from(options.annotations, ([key, value]) => [guard.redact(key), redactValue(value, guard.redact)] as const)
    ),
    spans: List.map(options.spans, ({ label, startTime }) => LogSpan.make(guard.redact(label), startTime))
  }))

/** Redacts what all loggers see that are there when it is built: provide it to what logs, and them to it. */
export const layer: Layer.Layer<never, never, SecretGuard> = Layer.scopedDiscard(
  Effect.flatMap(
    SecretGuard,
    (guard) => Effect.locallyScopedWith(FiberRef.currentLoggers, HashSet.map((logger) => make(guard, logger)))
  )
)

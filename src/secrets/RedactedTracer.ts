import { Effect, Exit, Layer, Tracer } from "effect"
import { redactCause, redactValue } from "./Redaction.ts"
import { SecretGuard } from "./SecretGuard.ts"

const attributes = (clean: (text: string) => string, given: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(Object.entries(given).map(([key, value]) => [clean(key), redactValue(value, clean)]))

/** Everything but what takes text goes on as it was, so that a tracer recognises its own span. */
const redactedSpan = (span: Tracer.Span, clean: (text: string) => string): Tracer.Span => {
  const own: Pick<Tracer.Span, "attribute" | "event" | "end" | "addLinks"> = {
    attribute: (key, value) => span.attribute(clean(key), redactValue(value, clean)),
    event: (name, startTime, given) => span.event(clean(name), startTime, given && attributes(clean, given)),
    end: (endTime, exit) => span.end(endTime, Exit.mapErrorCause(exit, (cause) => redactCause(cause, clean))),
    addLinks: (links) =>
      span.addLinks(links.map((link) => ({ ...link, attributes: attributes(clean, link.attributes) })))
  }
  return Object.assign(Object.create(span) as Tracer.Span, own) // -- everything else is the span's own
}

/** The tracer, which sees nothing but redacted names, attributes, events, links and errors. */
export const make = (guard: SecretGuard["Type"], tracer: Tracer.Tracer): Tracer.Tracer =>
  Tracer.make({
    span: (name, parent, context, links, startTime, kind, options) =>
      redactedSpan(
        tracer.span(
          guard.redact(name),
          parent,
          context,
          links.map((link) => ({ ...link, attributes: attributes(guard.redact, link.attributes) })),
          startTime,
          kind,
          options?.attributes === undefined
            ? options
            : { ...options, attributes: attributes(guard.redact, options.attributes) }
        ),
        guard.redact
      ),
    context: (f, fiber) => tracer.context(f, fiber)
  })

/** Redacts what the tracer sees that is there when it is built: provide it to what makes spans, and the tracer to it. */
export const layer: Layer.Layer<never, never, SecretGuard> = Layer.unwrapEffect(
  Effect.map(
    Effect.all([SecretGuard, Effect.tracer]),
    ([guard, tracer]) => Layer.setTracer(make(guard, tracer))
  )
)

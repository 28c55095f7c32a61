import { Context, Effect, Layer } from "effect"
import type { DeliveryFailed } from "./AuditError.ts"
import type { SignedStatement } from "./Statement.ts"

/**
 * Where signed statements go besides the database and the file beside it: a place that whoever owns this machine cannot
 * rewrite. Only what is there tells a log that was rewritten as a whole, files and key included, from the true one.
 */
export class AuditSink extends Context.Tag("smithers-orchestrator/audit/AuditSink")<AuditSink, {
  /**
   * Takes one statement, in the order of their numbers, each at least once: after a start the last one comes again. It is
   * not offered again when this fails: what must arrive is kept by the sink.
   */
  readonly deliver: (signed: SignedStatement) => Effect.Effect<void, DeliveryFailed>
}>() {}

/** Nowhere. */
export const layerNone = Layer.succeed(AuditSink, { deliver: () => Effect.void })

import { Effect, Layer } from "effect"
import { AuditFeed, AuditSink, DeliveryFailed } from "../audit/index.ts"
import { type UsageEvent, UsageFeed } from "../control-plane/index.ts"
import type { AuditRecord } from "../model/index.ts"
import { Persistence, Write } from "../persistence/index.ts"
import * as Outbox from "./Outbox.ts"

/** Rows of the audit that name an organization go to the channel `audit`. */
const audit = Layer.effect(
  AuditFeed,
  Effect.map(Outbox.Outbox, (outbox) =>
    outbox.isOpen("audit")
      ? {
        post: <A>(row: (answer: A) => AuditRecord) =>
          outbox.post("audit", (answer: A) => {
            const data = row(answer)
            return [{ kind: "audit", orgId: data.orgId, data }]
          })
      }
      : null)
)

/** Usage events go to the channel `billing`. */
const usage = Layer.effect(
  UsageFeed,
  Effect.map(Outbox.Outbox, (outbox) =>
    outbox.isOpen("billing")
      ? {
        post: <A>(events: (answer: A) => ReadonlyArray<UsageEvent>) =>
          outbox.post("billing", (answer: A) =>
            events(answer).map((data) => ({ kind: "usage", orgId: data.orgId, data })))
      }
      : null)
)

/** Signed checkpoints go to the channel `audit`, as the service's own. */
const checkpoints = Layer.effect(
  AuditSink.AuditSink,
  Effect.gen(function*() {
    const outbox = yield* Outbox.Outbox
    const persistence = yield* Persistence.Persistence
    return AuditSink.AuditSink.of({
      deliver: (signed) =>
        outbox.isOpen("audit")
          ? Effect.mapError(
            persistence.write(
              Write.none.pipe(outbox.post("audit", () => [{ kind: "checkpoint", orgId: null, data: signed }]))
            ),
            ({ message }) => new DeliveryFailed({ detail: message })
          )
          : Effect.void
    })
  })
)

/** Fills what audit and control plane tell of their rows, and where checkpoints go, from the outbox. */
export const layer = Layer.mergeAll(audit, usage, checkpoints)

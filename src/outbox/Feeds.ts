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

const triggerName = "_smithers_outbox_usage"

// What `UsageEvent` says of a row: the same whoever wrote it.
const triggerText = `CREATE TRIGGER ${triggerName} AFTER INSERT ON _smithers_cp_usage_events BEGIN
  INSERT INTO _smithers_outbox (channel, org_id, message) VALUES ('billing', NEW.org_id, json_object(
    'kind', 'usage', 'orgId', NEW.org_id, 'data', json_object('id', NEW.id, 'orgId', NEW.org_id,
      'projectId', NEW.project_id, 'runId', NEW.run_id, 'metric', NEW.metric, 'quantity', NEW.quantity,
      'unit', NEW.unit, 'observedAtMs', NEW.observed_at_ms, 'recordedAtMs', NEW.recorded_at_ms,
      'idempotencyKey', NEW.idempotency_key, 'metadata', json(NEW.metadata_json))));
END`

/**
 * Usage events go to the channel `billing`, each once and in the order of their commits, by a trigger: also those of a
 * script on the same file, which knows nothing of an outbox.
 */
const usage = Layer.effect(
  UsageFeed,
  Effect.gen(function*() {
    const outbox = yield* Outbox.Outbox
    const { write } = yield* Persistence.Persistence
    const isOpen = outbox.isOpen("billing")
    return {
      // Made anew at each start: it is that of this version then.
      attach: write(Write.discard([
        Write.run(`DROP TRIGGER IF EXISTS ${triggerName}`, []),
        ...(isOpen ? [Write.run(triggerText, [])] : [])
      ])),
      isOpen,
      post: <A>(events: (answer: A) => ReadonlyArray<UsageEvent>) =>
        outbox.stir("billing", (answer: A) => events(answer).map(({ orgId }) => orgId))
    }
  })
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

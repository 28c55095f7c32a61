import { NodeContext } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, Queue, Schedule } from "effect"
import { OutboxDocument } from "../../src/cli/Documents.ts"
import { checkSignature, linesOf, makeReceiver, type Received, signingSecret } from "../outbox/support.ts"
import { document, makeHome, service, smithers } from "./Smithers.ts"

it.scopedLive("what an organization does is delivered to the webhook of the service, or lies among the dead letters", () =>
  Effect.gen(function*() {
    const receiver = yield* makeReceiver
    const { env } = yield* service(yield* makeHome, {
      SMITHERS_AUDIT_WEBHOOK: `${receiver.url}/audit/{orgId}`,
      SMITHERS_AUDIT_WEBHOOK_SECRET: "env:SIGNING",
      SMITHERS_OUTBOUND_ALLOW: "127.0.0.0/8",
      SMITHERS_OUTBOX_ATTEMPTS: "1",
      SIGNING: signingSecret
    })
    // Answered at once, whatever the commands are about: checkpoints and what comes again are taken.
    const seen = yield* Queue.unbounded<Received>()
    const refused = new Set<string>()
    yield* Effect.forkScoped(Effect.forever(Effect.flatMap(receiver.take, (received) => {
      checkSignature(received)
      if (received.path === "/audit/") return Effect.sync(() => received.answer(200))
      received.answer(refused.has(received.body) ? 204 : 500)
      refused.add(received.body)
      return Queue.offer(seen, received)
    })))
    const call = (...args: ReadonlyArray<string>) => smithers(args, env)
    yield* call("org", "create", "--id", "acme", "--slug", "acme", "--name", "Acme")
    const taken = yield* Queue.take(seen)
    assert.strictEqual(taken.path, "/audit/acme")
    assert.strictEqual(linesOf(taken)[0]!.data.action, "org.create")
    const dead = yield* Effect.retry(
      Effect.filterOrFail(
        Effect.flatMap(
          call("outbox", "list", "--state", "dead", "--org", "acme", "--json"),
          (ended) => document(OutboxDocument, ended)
        ),
        ({ batches }) => batches.length > 0
      ),
      Schedule.recurs(20)
    )
    const { id, messages } = dead.batches[0]!
    assert.strictEqual(messages, 1)
    assert.strictEqual((yield* call("outbox", "retry", String(id))).stdout, "1 dead letter is delivered again.\n")
    const again = yield* Queue.take(seen)
    assert.strictEqual(again.body, taken.body)
    assert.strictEqual((yield* call("outbox", "drop", "--yes", String(id))).code, 0)
  }).pipe(Effect.provide(NodeContext.layer)))

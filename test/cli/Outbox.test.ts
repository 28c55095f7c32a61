import { NodeContext } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { OutboxDocument } from "../../src/cli/Documents.ts"
import { checkSignature, linesOf, makeReceiver, signingSecret } from "../outbox/support.ts"
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
    // The first checkpoint of the service.
    const checkpoint = yield* receiver.take
    assert.strictEqual(checkpoint.path, "/audit/")
    checkSignature(checkpoint)
    checkpoint.answer(200)
    const call = (...args: ReadonlyArray<string>) => smithers(args, env)
    yield* call("org", "create", "--id", "acme", "--slug", "acme", "--name", "Acme")
    const taken = yield* receiver.take
    assert.strictEqual(taken.path, "/audit/acme")
    assert.strictEqual(linesOf(taken)[0]!.data.action, "org.create")
    checkSignature(taken)
    taken.answer(500)
    const dead = yield* Effect.retry(
      Effect.filterOrFail(
        Effect.flatMap(
          call("outbox", "list", "--state", "dead", "--json"),
          (ended) => document(OutboxDocument, ended)
        ),
        ({ batches }) => batches.length > 0
      ),
      Schedule.recurs(20)
    )
    const { id, orgId } = dead.batches[0]!
    assert.strictEqual(orgId, "acme")
    assert.strictEqual((yield* call("outbox", "retry", String(id))).stdout, "1 dead letter is delivered again.\n")
    const again = yield* receiver.take
    assert.strictEqual(again.body, taken.body)
    again.answer(204)
    assert.strictEqual((yield* call("outbox", "drop", String(id))).stdout, "0 dead letters are removed.\n")
  }).pipe(Effect.provide(NodeContext.layer)))

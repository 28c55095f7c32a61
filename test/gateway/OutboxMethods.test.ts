import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Audit } from "../../src/audit/index.ts"
import { Persistence, Write } from "../../src/persistence/index.ts"
import { rpc } from "./support/Http.ts"
import { gatewayWith, tokenFor } from "./support/Service.ts"

const insert = (id: number, state: string) =>
  Write.run(
    `INSERT INTO _smithers_outbox_batches
      (id, channel, org_id, delivery_id, messages, body, state, attempts, since_at_ms, next_at_ms, error)
      VALUES (?, 'billing', 'acme', ?, 1, 'private', ?, 3, 1, 2, 'status 500')`,
    [id, `d${id}`, state]
  )

layer(gatewayWith(), { excludeTestServices: true })("outbox methods", (it) => {
  it.effect("an administrator lists what is not delivered, retries it and drops it", () =>
    Effect.gen(function*() {
      const { write } = yield* Persistence.Persistence
      yield* write(Write.discard([insert(1, "dead"), insert(2, "due"), insert(3, "dead")]))
      const all = yield* rpc("outbox.list")
      assert.deepStrictEqual(all.frame.payload.map(({ id }: { id: number }) => id), [1, 2, 3])
      assert.notInclude(all.text, "private")
      const dead = yield* rpc("outbox.list", { state: "dead", orgId: "acme", after: 1 })
      assert.deepInclude(dead.frame.payload[0], { id: 3, attempts: 3, error: "status 500" })
      assert.deepStrictEqual((yield* rpc("outbox.retry", { ids: [1, 2] })).frame.payload, { retried: 1 })
      assert.deepStrictEqual((yield* rpc("outbox.drop", { ids: [1, 2, 3] })).frame.payload, { dropped: 1 })
      const audit = yield* Audit.Audit
      const [entry] = yield* audit.list({ action: "outbox.drop", limit: 1 })
      assert.deepInclude(entry, { target: "1,2,3", role: "admin" })
    }))

  it.effect("only an administrator reaches them, and ids are bounded", () =>
    Effect.gen(function*() {
      const { token } = yield* tokenFor(["run:admin"])
      for (const method of ["outbox.list", "outbox.retry", "outbox.drop"]) {
        const { frame } = yield* rpc(method, { ids: [1] }, token)
        assert.strictEqual(frame.error.code, "FORBIDDEN")
      }
      for (const ids of [[], [0], [1.5], Array.from({ length: 1_001 }, () => 1)]) {
        assert.strictEqual((yield* rpc("outbox.retry", { ids })).status, 400)
      }
    }))
})

import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import { Duration, Effect, FastCheck as fc, Layer, TestClock } from "effect"
import { Audit, AuditSink } from "../../src/audit/index.ts"
import { ControlPlane, ControlPlaneStore } from "../../src/control-plane/index.ts"
import { systemActor } from "../../src/model/index.ts"
import { DeadLetters } from "../../src/outbox/index.ts"
import { Persistence } from "../../src/persistence/index.ts"
import { makeHome, persistenceAt } from "../support/Home.ts"
import {
  checkSignature,
  delivering,
  linesOf,
  makeReceiver,
  onTemp,
  org,
  quantities,
  storing,
  untilListed,
  use
} from "./support.ts"

const stored = (table: string) =>
  Effect.flatMap(
    Persistence.Persistence,
    ({ read }) => Effect.map(read(`SELECT COUNT(*) AS n FROM ${table}`, []), ([row]) => Number(row!["n"]))
  )

/** What a program beside the service has of the same file. */
const script = Effect.gen(function*() {
  const { file } = yield* Persistence.Persistence
  const database = yield* Effect.acquireRelease(
    Effect.sync(() => new Sqlite(file)),
    (db) => Effect.sync(() => db.close())
  )
  return new ControlPlaneStore(database)
})

const withReceiver = <A, E, R>(
  test: (receiver: Effect.Effect.Success<typeof makeReceiver>) => Effect.Effect<A, E, R>
) => Effect.scoped(Effect.flatMap(makeReceiver, test))

/** Waits until so many attempts have failed, and lets the time of the next one come. */
const untilNextAttempt = (attempts: number) =>
  Effect.flatMap(
    untilListed(([batch]) => batch?.attempts === attempts),
    ([batch]) => TestClock.setTime(batch!.nextAtMs)
  )

describe("Outbox", () => {
  it.effect("usage arrives signed, in its order, under an id of its own, and is gone when it was taken", () =>
    withReceiver((receiver) =>
      Effect.gen(function*() {
        yield* TestClock.setTime(1_000_000)
        yield* org("acme")
        const event = yield* use("acme", 1)
        const first = yield* receiver.take
        assert.strictEqual(first.path, "/hooks/acme")
        assert.deepInclude(first.headers, {
          "content-type": "application/x-ndjson",
          "smithers-channel": "billing",
          "smithers-organization": "acme",
          "smithers-messages": "1",
          "smithers-attempt": "1"
        })
        assert.strictEqual(checkSignature(first), 1_000)
        assert.deepStrictEqual(linesOf(first), [{ kind: "usage", orgId: "acme", data: { ...event } }])
        // What is recorded while a delivery is under way waits for its end, and then goes together.
        yield* use("acme", 2)
        yield* use("acme", 3)
        first.answer(204)
        const second = yield* receiver.take
        assert.deepStrictEqual(quantities(second), [2, 3])
        assert.notStrictEqual(second.headers["smithers-delivery"], first.headers["smithers-delivery"])
        second.answer(200)
        yield* untilListed((batches) => batches.length === 0)
        assert.strictEqual(yield* stored("_smithers_outbox"), 0)
      }).pipe(Effect.provide(delivering(`${receiver.url}/hooks/{orgId}`).pipe(Layer.provideMerge(onTemp))))
    ))

  it.effect("rows of the audit that name an organization, and checkpoints, go to the audit's channel", () =>
    withReceiver((receiver) =>
      Effect.gen(function*() {
        yield* org("acme")
        const row = yield* receiver.take
        row.answer(200)
        const audit = yield* Audit.Audit
        const [entry] = yield* audit.list({ action: "org.create", limit: 1 })
        assert.deepStrictEqual(linesOf(row), [{ kind: "audit", orgId: "acme", data: { ...entry } }])
        yield* audit.record({
          actor: systemActor,
          action: "of.nobody",
          target: null,
          runId: null,
          outcome: "ok",
          reason: null,
          detail: {}
        })
        const signed = { statement: "{}", keyId: "k", signature: "s" }
        yield* Effect.flatMap(AuditSink.AuditSink, ({ deliver }) => deliver(signed))
        const checkpoint = yield* receiver.take
        assert.deepStrictEqual(linesOf(checkpoint), [{ kind: "checkpoint", orgId: null, data: signed }])
        assert.notProperty(checkpoint.headers, "smithers-organization")
        checkpoint.answer(200)
        yield* untilListed((batches) => batches.length === 0)
      }).pipe(
        Effect.provide(delivering(receiver.url, { channels: ["audit"] }).pipe(Layer.provideMerge(onTemp)))
      )
    ))

  it.effect("usage that a script records on the same file is delivered with the service's own, in order and once", () =>
    withReceiver((receiver) =>
      Effect.gen(function*() {
        yield* org("acme")
        const store = yield* script
        const metered = { orgId: "acme", metric: "tokens" }
        const event = store.recordUsage({ ...metered, quantity: 1, runId: "r", metadata: { by: ["a", "<script>"] } })
        // Nothing has told the service of it.
        yield* TestClock.adjust("5 seconds")
        const first = yield* receiver.take
        assert.deepStrictEqual(linesOf(first), [{ kind: "usage", orgId: "acme", data: { ...event } }])
        store.recordUsage({ ...metered, quantity: 2 })
        yield* use("acme", 3)
        for (const _ of [1, 2]) store.recordUsage({ ...metered, quantity: 4, idempotencyKey: "k" })
        yield* use("acme", 5)
        store.reserveUsage({ ...metered, reservationId: "s", quantity: 9 })
        store.settleUsage({ orgId: "acme", reservationId: "s", quantity: 6 })
        first.answer(200)
        const second = yield* receiver.take
        assert.deepStrictEqual(quantities(second), [2, 3, 4, 5, 6])
        second.answer(200)
        yield* untilListed((batches) => batches.length === 0)
        yield* TestClock.adjust("5 seconds")
        assert.deepStrictEqual([yield* stored("_smithers_outbox"), yield* receiver.size], [0, 0])
      }).pipe(Effect.provide(delivering(receiver.url).pipe(Layer.provideMerge(onTemp))))
    ))

  it.effect("usage of a script is kept for a service that does not run, its organization gone or not, and only while somebody listens", () =>
    withReceiver((receiver) =>
      Effect.gen(function*() {
        const at = persistenceAt(yield* makeHome)
        const before = yield* Effect.gen(function*() {
          yield* org("acme")
          return (yield* Persistence.Persistence).file
        }).pipe(Effect.provide(storing({ channels: ["billing"] }).pipe(Layer.provideMerge(at))))

        const database = new Sqlite(before)
        const store = new ControlPlaneStore(database)
        store.recordUsage({ orgId: "acme", metric: "tokens", quantity: 1 })
        store.deleteOrg({ orgId: "acme" })
        yield* Effect.gen(function*() {
          const taken = yield* receiver.take
          assert.deepStrictEqual(quantities(taken), [1])
          taken.answer(200)
          yield* untilListed((batches) => batches.length === 0)
        }).pipe(Effect.provide(delivering(receiver.url).pipe(Layer.provideMerge(Layer.merge(at, NodeContext.layer)))))

        yield* Effect.gen(function*() {
          yield* org("other")
          store.recordUsage({ orgId: "other", metric: "tokens", quantity: 2 })
          assert.strictEqual(yield* stored("_smithers_outbox"), 0)
        }).pipe(Effect.provide(storing({}).pipe(Layer.provideMerge(at))))
        database.close()
      })
    ))

  it.effect("nothing is kept when nobody listens", () =>
    Effect.gen(function*() {
      yield* org("acme")
      yield* use("acme", 1)
      yield* Effect.flatMap(
        AuditSink.AuditSink,
        ({ deliver }) => deliver({ statement: "{}", keyId: "k", signature: "s" })
      )
      assert.strictEqual(yield* stored("_smithers_outbox"), 0)
    }).pipe(Effect.provide(storing({}).pipe(Layer.provideMerge(onTemp)))))

  it.effect("what is not stored is not told: a repeated key is one message, a refused change none", () =>
    Effect.gen(function*() {
      const plane = yield* ControlPlane.ControlPlane
      yield* org("acme")
      const before = yield* stored("_smithers_outbox")
      const usage = { orgId: "acme", metric: "tokens", quantity: 1, idempotencyKey: "k" }
      yield* Effect.all([plane.recordUsage(usage), plane.recordUsage(usage)], { concurrency: 2 })
      yield* plane.recordUsage(usage)
      yield* Effect.flip(plane.createOrg({ orgId: "acme", slug: "other", name: "x" }))
      assert.strictEqual(yield* stored("_smithers_outbox"), before + 1)
    }).pipe(Effect.provide(storing({ channels: ["audit", "billing"] }).pipe(Layer.provideMerge(onTemp)))))

  it.effect("settled reservations are usage like any other", () =>
    Effect.gen(function*() {
      const plane = yield* ControlPlane.ControlPlane
      yield* org("acme")
      yield* plane.reserveUsage({ orgId: "acme", reservationId: "r", metric: "tokens", quantity: 5 })
      yield* plane.settleUsage({ orgId: "acme", reservationId: "r", quantity: 3 })
      yield* plane.settleUsage({ orgId: "acme", reservationId: "r", quantity: 3 })
      assert.strictEqual(yield* stored("_smithers_outbox"), 1)
    }).pipe(Effect.provide(storing({ channels: ["billing"] }).pipe(Layer.provideMerge(onTemp)))))

  it.effect("what is not taken is offered again, the same, before all that came after it", () =>
    withReceiver((receiver) =>
      Effect.gen(function*() {
        yield* org("acme")
        yield* use("acme", 1)
        const first = yield* receiver.take
        yield* use("acme", 2)
        first.answer(500)
        for (let attempts = 1; attempts <= 12; attempts++) {
          const [batch] = yield* untilListed(([batch]) => batch?.attempts === attempts)
          assert.strictEqual(batch!.error, "The receiver answered with status 500.")
          // Never longer than the bound says, and never at once.
          const most = Math.min(1_000 * 2 ** (attempts - 1), 15 * 60_000)
          const now = yield* TestClock.currentTimeMillis
          assert.isAtLeast(batch!.nextAtMs - now, most / 2)
          assert.isAtMost(batch!.nextAtMs - now, most)
          yield* TestClock.setTime(batch!.nextAtMs)
          const again = yield* receiver.take
          assert.strictEqual(again.body, first.body)
          assert.strictEqual(again.headers["smithers-delivery"], first.headers["smithers-delivery"])
          assert.strictEqual(again.headers["smithers-attempt"], String(attempts + 1))
          checkSignature(again)
          again.answer(attempts === 12 ? 200 : 500)
        }
        const second = yield* receiver.take
        assert.deepStrictEqual(quantities(second), [2])
        second.answer(200)
        yield* untilListed((batches) => batches.length === 0)
      }).pipe(Effect.provide(delivering(receiver.url).pipe(Layer.provideMerge(onTemp))))
    ))

  it.effect("after its attempts a batch is a dead letter, audited, and the next one has its turn", () =>
    withReceiver((receiver) =>
      Effect.gen(function*() {
        const letters = yield* DeadLetters.DeadLetters
        yield* org("acme")
        yield* use("acme", 1)
        const first = yield* receiver.take
        yield* use("acme", 2)
        first.answer(410)
        yield* untilNextAttempt(1)
        const again = yield* receiver.take
        again.answer(410)
        const second = yield* receiver.take
        assert.deepStrictEqual(quantities(second), [2])
        second.answer(200)
        const [dead] = yield* untilListed((batches) => batches.length === 1 && batches[0]!.state === "dead")
        assert.deepInclude(dead, { orgId: "acme", channel: "billing", attempts: 2, messages: 1 })
        const audit = yield* Audit.Audit
        const [entry] = yield* audit.list({ action: "outbox.dead", limit: 1 })
        assert.deepInclude(entry, { target: dead!.deliveryId, outcome: "failed", orgId: null })

        assert.strictEqual(yield* letters.retry([dead!.id, 999], systemActor), 1)
        const revived = yield* receiver.take
        assert.strictEqual(revived.headers["smithers-delivery"], dead!.deliveryId)
        assert.deepStrictEqual(quantities(revived), [1])
        revived.answer(410)
        yield* untilListed(([batch]) => batch?.attempts === 1)
        // A batch that is tried is not dropped.
        assert.strictEqual(yield* letters.drop([dead!.id], systemActor), 0)
        yield* untilNextAttempt(1)
        ;(yield* receiver.take).answer(410)
        yield* untilListed(([batch]) => batch?.state === "dead")
        assert.strictEqual(yield* letters.drop([dead!.id], systemActor), 1)
        assert.deepStrictEqual(yield* letters.list({ limit: 10 }), [])
        assert.strictEqual((yield* audit.list({ action: "outbox.drop", limit: 10 })).length, 2)
      }).pipe(Effect.provide(delivering(receiver.url, { maxAttempts: 2 }).pipe(Layer.provideMerge(onTemp))))
    ))

  it.effect("a batch that is too old is not tried again", () =>
    withReceiver((receiver) =>
      Effect.gen(function*() {
        yield* org("acme")
        yield* use("acme", 1)
        // 1 s, 2 s, 4 s … each at least half of it: within a minute at most eight.
        for (let attempts = 1; attempts <= 8; attempts++) {
          ;(yield* receiver.take).answer(503)
          const [batch] = yield* untilListed(([batch]) => batch?.attempts === attempts)
          const ageMs = (yield* TestClock.currentTimeMillis) - batch!.sinceAtMs
          assert.strictEqual(batch!.state, ageMs >= 60_000 ? "dead" : "due")
          if (batch!.state === "dead") return
          yield* TestClock.setTime(batch!.nextAtMs)
        }
        assert.fail("It is tried longer than a minute")
      }).pipe(
        Effect.provide(delivering(receiver.url, { maxAge: Duration.minutes(1) }).pipe(Layer.provideMerge(onTemp)))
      )
    ))

  it.effect("a receiver that never answers holds up its own organization only, and not for ever", () =>
    withReceiver((receiver) =>
      Effect.gen(function*() {
        yield* org("dead")
        yield* org("live")
        yield* use("dead", 1)
        const silent = yield* receiver.take
        assert.strictEqual(silent.path, "/dead")
        for (let quantity = 1; quantity <= 3; quantity++) {
          yield* use("live", quantity)
          const taken = yield* receiver.take
          assert.deepStrictEqual([taken.path, quantities(taken)], ["/live", [quantity]])
          taken.answer(200)
        }
        yield* untilListed((batches) => batches.length === 1)
        yield* TestClock.adjust("10 seconds")
        const [batch] = yield* untilListed(([batch]) => batch?.attempts === 1)
        assert.strictEqual(batch!.error, "There was no answer within 10s.")
        yield* untilNextAttempt(1)
        const again = yield* receiver.take
        assert.strictEqual(again.headers["smithers-delivery"], silent.headers["smithers-delivery"])
        again.answer(200)
        yield* untilListed((batches) => batches.length === 0)
      }).pipe(Effect.provide(delivering(`${receiver.url}/{orgId}`).pipe(Layer.provideMerge(onTemp))))
    ))

  it.effect.prop(
    "whatever a receiver takes and refuses, what it took is all there is, once and in order",
    {
      bursts: fc.array(fc.integer({ min: 1, max: 250 }), { minLength: 1, maxLength: 4 }),
      answers: fc.array(fc.constantFrom(200, 500, 302), { maxLength: 6 })
    },
    ({ answers, bursts }) =>
      withReceiver((receiver) =>
        Effect.gen(function*() {
          yield* org("acme")
          let recorded = 0
          const remaining = [...answers]
          const taken = new Map<string, ReadonlyArray<number>>()
          for (const burst of bursts) {
            yield* Effect.forEach(Array.from({ length: burst }), () => use("acme", ++recorded), {
              concurrency: "unbounded",
              discard: true
            })
          }
          while ([...taken.values()].flat().length < recorded) {
            const received = yield* receiver.take
            const status = remaining.shift() ?? 200
            const id = String(received.headers["smithers-delivery"])
            const attempt = Number(received.headers["smithers-attempt"])
            if (status === 200) taken.set(id, quantities(received))
            received.answer(status, status === 302 ? { location: receiver.url } : {})
            if (status === 200) continue
            const [batch] = yield* untilListed(([batch]) => batch?.deliveryId === id && batch.attempts === attempt)
            yield* TestClock.setTime(batch!.nextAtMs)
          }
          assert.deepStrictEqual([...taken.values()].flat(), Array.from({ length: recorded }, (_, i) => i + 1))
        }).pipe(Effect.provide(delivering(receiver.url).pipe(Layer.provideMerge(onTemp))))
      ),
    { fastCheck: { numRuns: 8 }, timeout: 60_000 }
  )
})

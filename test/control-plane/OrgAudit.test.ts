import { assert, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import { Effect, TestClock } from "effect"
import { Persistence } from "../../src/persistence/index.ts"
import { turn } from "../support/Home.ts"
import { acme, Live } from "./support.ts"

/** What somebody with the file in hand can do; afterwards readers see it. */
const tamper = (...statements: ReadonlyArray<string>) =>
  Effect.zipLeft(
    Effect.flatMap(Persistence.Persistence, ({ file }) =>
      Effect.try({
        try: () => {
          const db = new Sqlite(file)
          try {
            for (const statement of statements) db.exec(statement)
          } finally {
            db.close()
          }
        },
        catch: (cause) => (cause as Error).message
      })),
    turn
  )

const withoutTriggers = ["update", "delete", "insert"].map((event) =>
  `DROP TRIGGER _smithers_cp_audit_events_no_${event}`
)

it.effect("an event is read back as it was given, and at the time of the clock unless given", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    yield* TestClock.setTime(9)
    const given = {
      orgId: "acme",
      projectId: "app",
      actorId: "ada@acme.example",
      action: "invoice.sent",
      targetType: "invoice",
      targetId: "in_1",
      metadata: { amount: 12 }
    }
    const event = yield* cp.recordAuditEvent(given)
    assert.deepStrictEqual(event, { ...given, id: event.id, occurredAtMs: 9, hash: event.hash })
    assert.deepStrictEqual(yield* cp.listAuditEvents({ orgId: "acme", sinceMs: 9 }), [event])
    const late = yield* cp.recordAuditEvent({ ...given, occurredAtMs: 3 })
    assert.deepStrictEqual(yield* cp.listAuditEvents({ orgId: "acme", untilMs: 3, sinceMs: 3 }), [late])
  }).pipe(Effect.provide(Live)))

it.effect("a hundred writers at once make one chain per organization", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    yield* cp.createOrg({ orgId: "other", slug: "other", name: "Other" })
    yield* Effect.forEach(Array.from({ length: 200 }, (_, i) => i), (i) =>
      cp.recordAuditEvent({ orgId: i % 2 === 0 ? "acme" : "other", action: "a", targetType: "t" }), {
      concurrency: "unbounded"
    })
    const last = (yield* cp.listAuditEvents({ orgId: "acme", limit: 1_000 })).at(-1)
    assert.deepStrictEqual(yield* cp.verifyOrgAudit({ orgId: "acme" }), {
      intact: true,
      events: 103,
      lastHash: last!.hash
    })
    assert.deepInclude(yield* cp.verifyOrgAudit({ orgId: "other" }), { intact: true, events: 101 })
  }).pipe(Effect.provide(Live)))

for (
  const [what, statement] of [
    ["changed", "UPDATE _smithers_cp_audit_events SET action = 'x'"],
    ["removed", "DELETE FROM _smithers_cp_audit_events WHERE id = 2"],
    [
      "replaced",
      `INSERT OR REPLACE INTO _smithers_cp_audit_events (id, org_id, action, target_type, occurred_at_ms, hash)
        VALUES (2, 'acme', 'x', 'x', 0, '')`
    ]
  ] as const
) {
  it.effect(`a row refuses to be ${what}`, () =>
    Effect.gen(function*() {
      yield* acme
      assert.strictEqual(yield* Effect.flip(tamper(statement)), "the audit is append-only")
    }).pipe(Effect.provide(Live)))
}

for (
  const [what, statement, badId] of [
    ["a changed row", "UPDATE _smithers_cp_audit_events SET metadata_json = '{\"a\":2}' WHERE id = 4", 4],
    ["a changed time", "UPDATE _smithers_cp_audit_events SET occurred_at_ms = 77 WHERE id = 4", 4],
    ["a removed row", "DELETE FROM _smithers_cp_audit_events WHERE id = 4", 5],
    [
      "an inserted row",
      `UPDATE _smithers_cp_audit_events SET id = id + 100 WHERE id > 4;
        INSERT INTO _smithers_cp_audit_events (id, org_id, action, target_type, occurred_at_ms, hash)
        SELECT 5, org_id, action, target_type, occurred_at_ms, hash FROM _smithers_cp_audit_events WHERE id = 4`,
      5
    ],
    [
      "two rows in another order",
      `UPDATE _smithers_cp_audit_events SET id = 99 WHERE id = 4;
        UPDATE _smithers_cp_audit_events SET id = 4 WHERE id = 5;
        UPDATE _smithers_cp_audit_events SET id = 5 WHERE id = 99`,
      4
    ]
  ] as const
) {
  it.effect(`${what} is found and named by whoever verifies`, () =>
    Effect.gen(function*() {
      const cp = yield* acme
      for (const action of ["a", "b", "c", "d"]) {
        yield* cp.recordAuditEvent({ orgId: "acme", action, targetType: "t" })
      }
      assert.isTrue((yield* cp.verifyOrgAudit({ orgId: "acme" })).intact)
      yield* tamper(...withoutTriggers, statement)
      assert.deepInclude(yield* cp.verifyOrgAudit({ orgId: "acme" }), { intact: false, badId })
    }).pipe(Effect.provide(Live)))
}

it.effect("a tail that was cut off is known by who remembers the last hash", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    const before = yield* cp.verifyOrgAudit({ orgId: "acme" })
    yield* tamper(...withoutTriggers, "DELETE FROM _smithers_cp_audit_events WHERE id = 3")
    const after = yield* cp.verifyOrgAudit({ orgId: "acme" })
    assert(before.intact && after.intact)
    assert.notStrictEqual(after.lastHash, before.lastHash)
  }).pipe(Effect.provide(Live)))

it.effect("an export has everything of one organization, its audit in pages when it is long", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    yield* cp.createOrg({ orgId: "other", slug: "other", name: "Other" })
    yield* Effect.forEach(
      Array.from({ length: 2_500 }),
      () => cp.recordAuditEvent({ orgId: "acme", action: "a", targetType: "t" }),
      { concurrency: "unbounded" }
    )
    const all = yield* cp.exportOrgAudit({ orgId: "acme" })
    assert.lengthOf(all.auditEvents, 2_503)
    assert.isNull(all.nextAfterId)
    assert.isTrue(
      all.auditEvents.every(({ id, orgId }, i) => orgId === "acme" && id > (all.auditEvents[i - 1]?.id ?? 0))
    )
    assert.deepStrictEqual(all.projects.map(({ projectId }) => projectId), ["app", "web"])
    const rest = yield* cp.exportOrgAudit({ orgId: "acme", afterId: all.auditEvents[2_499]!.id })
    assert.deepStrictEqual(rest.auditEvents, all.auditEvents.slice(2_500))
  }).pipe(Effect.provide(Live)))

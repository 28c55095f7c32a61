import { assert, it } from "@effect/vitest"
import Sqlite from "better-sqlite3"
import { Effect, TestClock } from "effect"
import { createHash } from "node:crypto"
import { ControlPlaneStore } from "../../src/control-plane/index.ts"
import { acme, Live, plane } from "./support.ts"

interface Line {
  readonly type: string
  readonly record: Readonly<Record<string, unknown>>
  readonly counts: Readonly<Record<string, number>>
  readonly hash: string
}

/** What whoever reads an export does: counts the records, computes the hash anew, and compares both with the last line. */
const examine = (text: string) => {
  const lines = text.split("\n")
  assert.strictEqual(lines.pop(), "", "ends with a line feed")
  const parsed = lines.map((line) => JSON.parse(line) as Line)
  let hash = "0".repeat(64)
  const counts: Record<string, number> = {}
  for (const [i, line] of lines.slice(0, -1).entries()) {
    hash = createHash("sha256").update(`${hash}\n${line}`).digest("hex")
    if (i > 0) counts[parsed[i]!.type] = (counts[parsed[i]!.type] ?? 0) + 1
  }
  const end = parsed.at(-1)!
  const whole = end.type === "end" && end.hash === hash &&
    Object.entries(end.counts).every(([type, count]) => (counts[type] ?? 0) === count)
  const of = (type: string) => parsed.filter((line) => line.type === type).map(({ record }) => record)
  return { whole, header: parsed[0], of, end }
}

/** The parts, one after the other. */
const exported = (input: { readonly orgId: string; readonly sinceMs?: number; readonly untilMs?: number }) =>
  Effect.gen(function*() {
    const cp = yield* plane
    const texts: Array<string> = []
    let cursor: string | undefined
    do {
      const part = yield* cp.exportOrgPart({ ...input, cursor })
      texts.push(part.text)
      cursor = part.next ?? undefined
    } while (cursor !== undefined)
    return texts
  })

const full = Effect.gen(function*() {
  const cp = yield* acme
  yield* cp.createOrg({ orgId: "other", slug: "other", name: "Other" })
  yield* cp.createTeam({ orgId: "other", teamId: "x", slug: "x", name: "X" })
  yield* cp.createTeam({ orgId: "acme", teamId: "ops", slug: "ops", name: "Ops" })
  yield* cp.addTeamMember({ orgId: "acme", teamId: "ops", userId: "ada@acme.example", role: "admin" })
  yield* cp.addProjectTeam({ orgId: "acme", projectId: "app", teamId: "ops", role: "member" })
  yield* cp.upsertBillingAccount({ orgId: "acme", plan: "business" })
  yield* cp.upsertIdentityProvider({ orgId: "acme", providerId: "idp", type: "oidc", issuer: "https://id.example" })
  yield* cp.putSecretRef({ orgId: "acme", projectId: "app", name: "deploy", provider: "vault", ref: "vault://d" })
  yield* cp.setUsageLimit({ orgId: "acme", metric: "m", limitQuantity: 9 })
  yield* cp.reserveUsage({ orgId: "acme", reservationId: "r", metric: "m", quantity: 1 })
  yield* cp.recordUsage({ orgId: "acme", projectId: "app", metric: "m", quantity: 2 })
  return cp
})

it.effect("an export has every record of the organization and of no other, in the lines that its last one counts", () =>
  Effect.gen(function*() {
    yield* TestClock.setTime(5_000)
    const cp = yield* full
    const texts = yield* exported({ orgId: "acme" })
    assert.lengthOf(texts, 1)
    const { end, header, of, whole } = examine(texts.join(""))
    assert.isTrue(whole)
    const last = (yield* cp.listAuditEvents({ orgId: "acme" })).at(-1)
    assert.deepStrictEqual<unknown>(header, {
      type: "org-export",
      format: 1,
      orgId: "acme",
      exportedAtMs: 5_000,
      sinceMs: null,
      untilMs: null,
      throughAuditId: last?.id
    })
    const document = yield* cp.exportOrgAudit({ orgId: "acme" })
    assert.deepStrictEqual<unknown>(of("org"), [document.org])
    assert.deepStrictEqual<unknown>(of("team"), document.teams)
    assert.deepStrictEqual<unknown>(of("teamMember"), document.teamMembers)
    assert.deepStrictEqual<unknown>(of("project"), document.projects)
    assert.deepStrictEqual<unknown>(of("projectTeam"), document.projectTeams)
    assert.deepStrictEqual<unknown>(of("billingAccount"), [document.billing])
    assert.deepStrictEqual<unknown>(of("identityProvider"), document.identityProviders)
    assert.deepStrictEqual<unknown>(of("secretRef"), document.secretRefs)
    assert.deepStrictEqual<unknown>(of("usageLimit"), document.usageLimits)
    assert.deepStrictEqual<unknown>(of("usage"), document.usage)
    assert.deepStrictEqual<unknown>(of("auditEvent"), document.auditEvents)
    assert.deepStrictEqual<unknown>(of("reservation"), yield* cp.listReservations({ orgId: "acme" }))
    assert.deepStrictEqual<unknown>(of("usageEvent"), yield* cp.listUsage({ orgId: "acme" }))
    assert.strictEqual(end.counts["auditEvent"], document.auditEvents.length)
    assert.strictEqual(end.counts["team"], 1)
  }).pipe(Effect.provide(Live)))

it.effect("a long export comes in parts that are one whole, and what is written meanwhile does not make it endless", () =>
  Effect.gen(function*() {
    const cp = yield* full
    yield* Effect.forEach(
      Array.from({ length: 1_600 }, (_, i) => i),
      (i) =>
        Effect.zipRight(
          cp.recordAuditEvent({ orgId: "acme", action: "a", targetType: "t" }),
          cp.recordUsage({ orgId: "acme", metric: "m", quantity: i })
        ),
      { concurrency: "unbounded", discard: true }
    )
    const through = (yield* cp.exportOrgAudit({ orgId: "acme" })).auditEvents.at(-1)!.id
    const texts: Array<string> = []
    let cursor: string | undefined
    do {
      const part = yield* cp.exportOrgPart({ orgId: "acme", cursor })
      assert.isBelow(part.records, 750)
      texts.push(part.text)
      cursor = part.next ?? undefined
      yield* cp.recordAuditEvent({ orgId: "acme", action: "meanwhile", targetType: "t" })
    } while (cursor !== undefined)
    assert.isAbove(texts.length, 2)
    const { of, whole } = examine(texts.join(""))
    assert.isTrue(whole)
    const ids = of("auditEvent").map(({ id }) => id as number)
    assert.deepStrictEqual(ids, [...new Set(ids)].sort((a, b) => a - b))
    assert.strictEqual(ids.at(-1), through)
    assert.lengthOf(of("usageEvent"), 1_601)
    assert.strictEqual(new Set(of("usageEvent").map(({ id }) => id)).size, 1_601)
  }).pipe(Effect.provide(Live)))

it.effect("the same cursor gives the same part again: who was cut off goes on where they were", () =>
  Effect.gen(function*() {
    const cp = yield* full
    yield* Effect.forEach(
      Array.from({ length: 600 }),
      () => cp.recordAuditEvent({ orgId: "acme", action: "a", targetType: "t" }),
      { concurrency: "unbounded", discard: true }
    )
    const first = yield* cp.exportOrgPart({ orgId: "acme" })
    const cursor = first.next
    assert(cursor !== null)
    const second = yield* cp.exportOrgPart({ orgId: "acme", cursor })
    assert.deepStrictEqual(yield* cp.exportOrgPart({ orgId: "acme", cursor }), second)
    assert.isTrue(examine(first.text + second.text).whole)
  }).pipe(Effect.provide(Live)))

for (
  const [what, damage] of [
    ["a changed line", (text: string) => text.replace("\"name\":\"Acme\"", "\"name\":\"Akme\"")],
    ["a lost line", (text: string) => text.split("\n").filter((_, i) => i !== 3).join("\n")],
    [
      "two lines in another order",
      (text: string) => text.split("\n").map((_, i, all) => all[[0, 1, 3, 2][i] ?? i]).join("\n")
    ],
    ["a lost end", (text: string) => `${text.split("\n").slice(0, -2).join("\n")}\n`]
  ] as const
) {
  it.effect(`${what} is found by who computes the hash`, () =>
    Effect.gen(function*() {
      yield* full
      const text = (yield* exported({ orgId: "acme" })).join("")
      assert.isTrue(examine(text).whole)
      assert.isFalse(examine(damage(text)).whole)
    }).pipe(Effect.provide(Live)))
}

it.effect("a span of time limits audit and usage, and nothing else", () =>
  Effect.gen(function*() {
    yield* TestClock.setTime(1_000)
    const cp = yield* full
    const later = 3_600_000
    yield* cp.recordAuditEvent({ orgId: "acme", action: "late", targetType: "t", occurredAtMs: later })
    yield* cp.recordUsage({ orgId: "acme", metric: "m", quantity: 5, observedAtMs: later })
    const { header, of, whole } = examine((yield* exported({ orgId: "acme", sinceMs: later, untilMs: later })).join(""))
    assert.isTrue(whole)
    assert.deepInclude<object>(header!, { sinceMs: later, untilMs: later })
    assert.deepStrictEqual(of("auditEvent").map(({ action }) => action), ["late"])
    assert.deepStrictEqual(of("usageEvent").map(({ quantity }) => quantity), [5])
    assert.deepStrictEqual(of("usage").map(({ quantity }) => quantity), [5])
    assert.lengthOf(of("project"), 2)
  }).pipe(Effect.provide(Live)))

it.effect("an organization that is not there, or goes meanwhile, has no export; nor has a cursor that was made up", () =>
  Effect.gen(function*() {
    const cp = yield* full
    assert.strictEqual((yield* Effect.flip(cp.exportOrgPart({ orgId: "no" })))._tag, "OrgNotFound")
    yield* Effect.forEach(
      Array.from({ length: 1_200 }),
      () => cp.recordAuditEvent({ orgId: "acme", action: "a", targetType: "t" }),
      { concurrency: "unbounded", discard: true }
    )
    const { next } = yield* cp.exportOrgPart({ orgId: "acme" })
    assert(next !== null)
    const position = JSON.parse(next) as object
    for (
      const wrong of [
        { hash: "x" },
        { section: "secrets" },
        { throughAuditId: -1 },
        { counts: { team: -1 } },
        { after: "x".repeat(1_000) },
        null
      ]
    ) {
      const cursor = wrong === null ? "{" : JSON.stringify({ ...position, ...wrong })
      const refused = yield* Effect.flip(cp.exportOrgPart({ orgId: "acme", cursor }))
      assert(refused._tag === "InvalidInput")
      assert.strictEqual(refused.message, "cursor must be what the part before answered")
    }
    yield* cp.deleteOrg({ orgId: "acme" })
    assert.strictEqual((yield* Effect.flip(cp.exportOrgPart({ orgId: "acme", cursor: next })))._tag, "OrgNotFound")
  }).pipe(Effect.provide(Live)))

it("a script exports part by part, too", () => {
  const database = new Sqlite(":memory:")
  const store = new ControlPlaneStore(database)
  store.createOrg({ orgId: "a", slug: "a", name: "A" })
  const { next, text } = store.exportOrgPart({ orgId: "a" })
  assert.isNull(next)
  assert.isTrue(examine(text).whole)
  database.close()
})

it.effect("events of audit and usage are found by what they have, however many others lie between", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    // More than are looked at without a pause.
    const count = 12_000
    yield* Effect.forEach(
      Array.from({ length: count }, (_, i) => i),
      (i) =>
        i % 5_000 === 7
          ? Effect.zipRight(
            cp.recordAuditEvent({
              orgId: "acme",
              projectId: "app",
              actorId: "ada",
              action: "rare",
              targetType: "t",
              occurredAtMs: i
            }),
            cp.recordUsage({
              orgId: "acme",
              projectId: "app",
              runId: "r",
              metric: "rare",
              quantity: i,
              observedAtMs: i
            })
          )
          : Effect.zipRight(
            cp.recordAuditEvent({ orgId: "acme", action: "a", targetType: "t", occurredAtMs: i }),
            cp.recordUsage({ orgId: "acme", metric: "m", quantity: 0, observedAtMs: i })
          ),
      { concurrency: 1_000, discard: true }
    )
    const audited = (filter: object) =>
      Effect.map(
        cp.listAuditEvents({ orgId: "acme", ...filter }),
        (events) => events.map(({ occurredAtMs }) => occurredAtMs)
      )
    const rare = [7, 5_007, 10_007]
    for (const filter of [{ action: "rare" }, { actorId: "ada" }, { projectId: "app", sinceMs: 1, action: "rare" }]) {
      assert.deepStrictEqual((yield* audited(filter)).sort((a, b) => a - b), rare)
    }
    assert.lengthOf(yield* audited({ action: "rare", limit: 2 }), 2)
    assert.deepStrictEqual(yield* audited({ sinceMs: 11_990, untilMs: 11_991, action: "a" }), [11_990, 11_991])
    const [first, ...others] = yield* cp.listAuditEvents({ orgId: "acme", action: "rare" })
    assert.deepStrictEqual(yield* cp.listAuditEvents({ orgId: "acme", action: "rare", afterId: first!.id }), others)
    const used = (filter: object) =>
      Effect.map(cp.listUsage({ orgId: "acme", ...filter }), (events) => events.map(({ quantity }) => quantity))
    for (
      const filter of [{ metric: "rare" }, { runId: "r" }, { projectId: "app" }, { metric: "rare", untilMs: 11_000 }]
    ) {
      assert.deepStrictEqual((yield* used(filter)).sort((a, b) => a - b), rare)
    }
    assert.deepStrictEqual(yield* used({ metric: "rare", sinceMs: 5_007, untilMs: 5_007 }), [5_007])
  }).pipe(Effect.provide(Live)))

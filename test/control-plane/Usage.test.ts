import { assert, it } from "@effect/vitest"
import { Effect, Either, Schema, TestClock } from "effect"
import { type ControlPlane } from "../../src/control-plane/index.ts"
import { spanAt } from "../../src/control-plane/Period.ts"
import { acme, Live, plane, rows } from "./support.ts"

const hour = 3_600_000
const day = 24 * hour

const tagOf = <A, E extends { readonly _tag: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.map(Effect.either(effect), (result) => Either.isLeft(result) ? result.left._tag : "ok")

it.effect("the same measurement under the same key is one event, however often and how many at once", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    yield* TestClock.setTime(5)
    const input = {
      orgId: "acme",
      projectId: "app",
      metric: "tokens",
      quantity: 7,
      idempotencyKey: "run-1/node-1/1",
      metadata: { model: "m", retries: 0 }
    }
    const answers = yield* Effect.all(Array.from({ length: 50 }, () => cp.recordUsage(input)), {
      concurrency: "unbounded"
    })
    yield* TestClock.setTime(6)
    answers.push(yield* cp.recordUsage(input))
    for (const answer of answers) assert.deepStrictEqual(answer, answers[0])
    assert.deepStrictEqual(yield* cp.listUsage({ orgId: "acme" }), [answers[0]!])
    assert.deepInclude((yield* cp.summarizeUsage({ orgId: "acme" }))[0], { quantity: 7, events: 1 })
  }).pipe(Effect.provide(Live)))

for (
  const [what, other] of [
    ["another quantity", { quantity: 8 }],
    ["another metric", { metric: "calls" }],
    ["another unit", { unit: "k" }],
    ["another project", { projectId: "web" }],
    ["no project", { projectId: null }],
    ["another run", { runId: "r2" }],
    ["another time", { observedAtMs: 4 }],
    ["other metadata", { metadata: { a: 2 } }]
  ] as const
) {
  it.effect(`a key that was used before is a conflict with ${what}, and counts nothing`, () =>
    Effect.gen(function*() {
      const cp = yield* acme
      const input = {
        orgId: "acme",
        projectId: "app",
        runId: "r1",
        metric: "tokens",
        quantity: 7,
        observedAtMs: 3,
        idempotencyKey: "k",
        metadata: { a: 1 }
      }
      yield* cp.recordUsage(input)
      const error = yield* Effect.flip(cp.recordUsage({ ...input, ...other }))
      assert.deepInclude(error, { _tag: "Conflict", reason: "KeyReused", id: "k" })
      assert.deepStrictEqual(
        (yield* cp.summarizeUsage({ orgId: "acme" })).map(({ events, metric }) => [metric, events]),
        [["tokens", 1]]
      )
    }).pipe(Effect.provide(Live)))
}

it.effect("two organizations may use the same key", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    yield* cp.createOrg({ orgId: "other", slug: "other", name: "Other" })
    const input = { metric: "m", quantity: 1, idempotencyKey: "k" }
    yield* cp.recordUsage({ orgId: "acme", ...input })
    assert.strictEqual(yield* tagOf(cp.recordUsage({ orgId: "other", ...input })), "ok")
  }).pipe(Effect.provide(Live)))

it.effect("an event counts in the period it was observed in, however late it comes", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    yield* TestClock.setTime(Date.UTC(2026, 4, 10))
    yield* cp.setUsageLimit({ orgId: "acme", metric: "m", period: "monthly", limitQuantity: 10 })
    const used = (atMs?: number) =>
      Effect.map(cp.checkUsageLimit({ orgId: "acme", metric: "m", atMs }), (check) => check?.usedQuantity)
    yield* cp.recordUsage({ orgId: "acme", metric: "m", quantity: 1 })
    yield* cp.recordUsage({ orgId: "acme", metric: "m", quantity: 2, observedAtMs: Date.UTC(2026, 4, 1) })
    yield* cp.recordUsage({ orgId: "acme", metric: "m", quantity: 4, observedAtMs: Date.UTC(2026, 4, 1) - 1 })
    assert.strictEqual(yield* used(), 3)
    assert.strictEqual(yield* used(Date.UTC(2026, 3, 15)), 4)
    assert.strictEqual(yield* used(Date.UTC(2026, 2, 15)), 0)
    // The month turns.
    yield* TestClock.setTime(Date.UTC(2026, 5, 1))
    assert.strictEqual(yield* used(), 0)
  }).pipe(Effect.provide(Live)))

it.effect("the day of a limit begins where its time zone says, also when the clocks change", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    yield* cp.setUsageLimit({
      orgId: "acme",
      metric: "m",
      period: "daily",
      timeZone: "Europe/Berlin",
      limitQuantity: 10
    })
    // 29 March 2026 has 23 hours in Berlin: from 23:00 UTC to 22:00 UTC.
    const [from, to] = [Date.UTC(2026, 2, 28, 23), Date.UTC(2026, 2, 29, 22)]
    for (const observedAtMs of [from - 1, from, to - 1, to]) {
      yield* cp.recordUsage({ orgId: "acme", metric: "m", quantity: 1, observedAtMs })
    }
    assert.deepInclude(yield* cp.checkUsageLimit({ orgId: "acme", metric: "m", atMs: from + 12 * hour }), {
      fromMs: from,
      toMs: to,
      usedQuantity: 2
    })
  }).pipe(Effect.provide(Live)))

it.effect("a check looks at the limits of project and organization, and tells of the one that has least left", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    const limit = { orgId: "acme", metric: "runs", period: "daily" } as const
    assert.isNull(yield* cp.checkUsageLimit({ ...limit, projectId: "app" }))
    yield* cp.setUsageLimit({ ...limit, limitQuantity: 3 })
    yield* cp.setUsageLimit({ ...limit, projectId: "app", limitQuantity: 1 })
    yield* cp.recordUsage({ orgId: "acme", projectId: "app", metric: "runs", quantity: 2 })
    yield* cp.recordUsage({ orgId: "acme", projectId: "web", metric: "runs", quantity: 1 })
    const ofOrg = { projectId: null, usedQuantity: 3, remainingQuantity: 0, exceeded: false }
    assert.deepInclude(yield* cp.checkUsageLimit(limit), ofOrg)
    assert.deepInclude(yield* cp.checkUsageLimit({ ...limit, projectId: "web" }), ofOrg)
    const check = yield* cp.checkUsageLimit({ ...limit, projectId: "app" })
    assert.deepInclude(check, { projectId: "app", usedQuantity: 2, remainingQuantity: 0, exceeded: true })
    assert.deepStrictEqual(check?.limits.map(({ projectId }) => projectId), ["app", null])
    yield* cp.deleteUsageLimit({ ...limit, projectId: "app" })
    assert.deepInclude(yield* cp.checkUsageLimit({ ...limit, projectId: "app" }), ofOrg)
  }).pipe(Effect.provide(Live)))

it.effect("a check without a period looks at all of them", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    for (const [period, limitQuantity] of [["daily", 5], ["weekly", 3], ["monthly", 9]] as const) {
      yield* cp.setUsageLimit({ orgId: "acme", metric: "m", period, limitQuantity })
    }
    const check = yield* cp.checkUsageLimit({ orgId: "acme", metric: "m" })
    assert(check !== null)
    assert.strictEqual(check.period, "weekly")
    assert.deepStrictEqual(check.limits.map(({ period }) => period), ["weekly", "daily", "monthly"])
  }).pipe(Effect.provide(Live)))

// Rollups beside a plain SUM over the events.

const zones = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kathmandu", "America/Havana"] as const
const base = Date.UTC(2026, 2, 1)

const Event = Schema.Struct({
  project: Schema.Literal("app", "web", null),
  metric: Schema.Literal("a", "b"),
  quantity: Schema.Int.pipe(Schema.between(0, 1_000_000_000_000)),
  at: Schema.Int.pipe(Schema.between(base, base + 70 * day))
})
const Query = Schema.Struct({
  project: Schema.Literal("app", "web", null),
  period: Schema.Literal("daily", "weekly", "monthly"),
  window: Schema.Literal("calendar", "rolling"),
  zone: Schema.Literal(...zones),
  at: Schema.Int.pipe(Schema.between(base, base + 70 * day)),
  since: Schema.Int.pipe(Schema.between(base, base + 70 * day))
})

it.effect.prop(
  "what a check and a summary say is the plain SUM over the events, for every period, zone and moment",
  [Schema.Array(Event).pipe(Schema.maxItems(40)), Schema.Array(Query).pipe(Schema.maxItems(12))],
  ([events, queries]) =>
    Effect.gen(function*() {
      const cp = yield* acme
      yield* Effect.forEach(events, ({ at, metric, project, quantity }) =>
        cp.recordUsage({ orgId: "acme", projectId: project, metric, quantity, observedAtMs: at }), {
        concurrency: "unbounded"
      })
      const sum = (project: string | null, metric: string, from: number, to: number) =>
        Effect.map(
          rows(
            `SELECT COALESCE(SUM(quantity), 0) AS total, COUNT(*) AS events FROM _smithers_cp_usage_events
              WHERE org_id = 'acme' AND metric = ? AND observed_at_ms >= ? AND observed_at_ms < ?
                AND (? IS NULL OR project_id = ?)`,
            metric,
            from,
            to,
            project,
            project
          ),
          ([row]) =>
            row!
        )
      for (const { at, period, project, since, window, zone } of queries) {
        yield* cp.setUsageLimit({
          orgId: "acme",
          projectId: project,
          metric: "a",
          period,
          window,
          timeZone: zone,
          limitQuantity: 1
        })
        const check = yield* cp.checkUsageLimit({ orgId: "acme", projectId: project, metric: "a", period, atMs: at })
        const state = check?.limits.find(({ projectId }) =>
          projectId === project
        )
        const { fromMs, toMs } = spanAt(period, window, zone, at)
        assert.strictEqual(state?.usedQuantity, (yield* sum(project, "a", fromMs, toMs))["total"])

        const quarter = hour / 4
        const untilMs = Math.max(at, since)
        const sinceMs = Math.min(at, since)
        for (const bounds of [{}, { sinceMs, untilMs }]) {
          const summary = yield* cp.summarizeUsage({ orgId: "acme", projectId: project, ...bounds })
          for (const metric of ["a", "b"]) {
            const plain = yield* "sinceMs" in bounds
              ? sum(
                project,
                metric,
                Math.floor(sinceMs / quarter) * quarter,
                (Math.floor(untilMs / quarter) + 1) * quarter
              )
              : sum(project, metric, 0, Number.MAX_SAFE_INTEGER)
            const found = summary.find((row) => row.metric === metric)
            assert.deepStrictEqual(
              [found?.quantity ?? 0, found?.events ?? 0],
              [plain["total"], plain["events"]] as ReadonlyArray<unknown>
            )
          }
        }
      }
    }).pipe(Effect.provide(Live)),
  { fastCheck: { numRuns: 40 } }
)

// Reservations.

const reserve = (cp: ControlPlane.ControlPlane["Type"], quantity: number, more: object = {}) =>
  cp.reserveUsage({ orgId: "acme", projectId: "app", metric: "runs", quantity, ...more })

it.effect("two hundred callers at once reserve no more than the tightest hard limit has", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    yield* cp.setUsageLimit({ orgId: "acme", metric: "runs", limitQuantity: 100 })
    yield* cp.setUsageLimit({ orgId: "acme", projectId: "app", metric: "runs", period: "daily", limitQuantity: 60 })
    yield* cp.recordUsage({ orgId: "acme", projectId: "web", metric: "runs", quantity: 10 })
    const ask = (projectId: string) => cp.reserveUsage({ orgId: "acme", projectId, metric: "runs", quantity: 1 })
    const answers = yield* Effect.forEach(
      Array.from({ length: 200 }, (_, i) => i % 2 === 0 ? "app" : "web"),
      (projectId) => Effect.map(ask(projectId), ({ _tag }) => `${projectId} ${_tag}`),
      { concurrency: "unbounded" }
    )
    const count = (answer: string) => answers.filter((given) => given === answer).length
    assert.isAtMost(count("app Reserved"), 60)
    assert.strictEqual(count("app Reserved") + count("web Reserved"), 90)
    assert.deepInclude(yield* cp.checkUsageLimit({ orgId: "acme", metric: "runs" }), {
      usedQuantity: 10,
      reservedQuantity: 90,
      remainingQuantity: 0
    })
  }).pipe(Effect.provide(Live)))

it.effect("two hundred callers that reserve, settle less or more, or release leave exactly what was used", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    yield* cp.setUsageLimit({ orgId: "acme", metric: "runs", limitQuantity: 500 })
    const used = yield* Effect.forEach(Array.from({ length: 200 }, (_, i) => i), (i) =>
      Effect.gen(function*() {
        const answer = yield* reserve(cp, 5, { reservationId: `r${i}` })
        if (answer._tag === "Refused") return 0
        if (i % 3 === 0) {
          yield* cp.releaseUsage({ orgId: "acme", reservationId: `r${i}` })
          return 0
        }
        const quantity = i % 3 === 1 ? 2 : 5
        yield* cp.settleUsage({ orgId: "acme", reservationId: `r${i}`, quantity })
        return quantity
      }), { concurrency: "unbounded" })
    const check = yield* cp.checkUsageLimit({ orgId: "acme", metric: "runs" })
    assert.deepInclude(check, { usedQuantity: used.reduce<number>((sum, one) => sum + one, 0), reservedQuantity: 0 })
    assert.isAtMost(check!.usedQuantity, 500)
    assert.deepStrictEqual(yield* cp.listReservations({ orgId: "acme" }), [])
  }).pipe(Effect.provide(Live)))

it.effect("a refusal names the limit, how it stands and when its period turns", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    yield* TestClock.setTime(Date.UTC(2026, 4, 10, 12))
    yield* cp.setUsageLimit({ orgId: "acme", metric: "runs", period: "daily", limitQuantity: 3 })
    yield* reserve(cp, 2)
    const refused = yield* reserve(cp, 2)
    assert(refused._tag === "Refused")
    assert.deepInclude(refused.limit, {
      projectId: null,
      period: "daily",
      reservedQuantity: 2,
      remainingQuantity: 1,
      toMs: Date.UTC(2026, 4, 11)
    })
    assert.strictEqual((yield* reserve(cp, 1))._tag, "Reserved")
    yield* cp.setUsageLimit({ orgId: "acme", metric: "runs", period: "daily", limitQuantity: 5 })
    assert.strictEqual((yield* reserve(cp, 2))._tag, "Reserved")
  }).pipe(Effect.provide(Live)))

it.effect("a soft limit refuses nothing and says that it is exceeded", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    yield* cp.setUsageLimit({ orgId: "acme", metric: "runs", limitQuantity: 1, enforcement: "soft" })
    const reserved = yield* reserve(cp, 5)
    assert(reserved._tag === "Reserved")
    yield* cp.settleUsage({ orgId: "acme", reservationId: reserved.reservation.reservationId, quantity: 5 })
    assert.deepInclude(yield* cp.checkUsageLimit({ orgId: "acme", metric: "runs" }), { exceeded: true })
  }).pipe(Effect.provide(Live)))

it.effect("a reservation expires by itself, and may be settled for a day after", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    yield* cp.setUsageLimit({ orgId: "acme", metric: "runs", limitQuantity: 5 })
    yield* reserve(cp, 5, { reservationId: "r", ttlMs: 60_000 })
    yield* TestClock.adjust("59 seconds")
    assert.strictEqual((yield* reserve(cp, 1))._tag, "Refused")
    yield* TestClock.adjust("1 second")
    assert.deepInclude(yield* cp.checkUsageLimit({ orgId: "acme", metric: "runs" }), { reservedQuantity: 0 })
    assert.strictEqual((yield* reserve(cp, 1, { reservationId: "other" }))._tag, "Reserved")
    const settled = yield* cp.settleUsage({ orgId: "acme", reservationId: "r", quantity: 4 })
    assert.deepInclude(settled, { quantity: 4, projectId: "app", idempotencyKey: "reservation:r" })
    // What expired more than a day ago goes with the next reservation.
    yield* TestClock.adjust("26 hours")
    yield* reserve(cp, 0, { reservationId: "third" })
    assert.strictEqual(
      yield* tagOf(cp.settleUsage({ orgId: "acme", reservationId: "other", quantity: 1 })),
      "RecordNotFound"
    )
  }).pipe(Effect.provide(Live)))

it.effect("reserving, settling and releasing may each be repeated", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    yield* cp.setUsageLimit({ orgId: "acme", metric: "runs", limitQuantity: 5 })
    const first = yield* reserve(cp, 5, { reservationId: "r" })
    assert.deepStrictEqual(yield* reserve(cp, 5, { reservationId: "r" }), first)
    assert.strictEqual(yield* tagOf(reserve(cp, 4, { reservationId: "r" })), "Conflict")
    const together = yield* Effect.all(
      Array.from({ length: 20 }, () => cp.settleUsage({ orgId: "acme", reservationId: "r", quantity: 3 })),
      { concurrency: "unbounded" }
    )
    for (const event of together) assert.strictEqual(event.id, together[0]?.id)
    assert.strictEqual(
      yield* tagOf(cp.settleUsage({ orgId: "acme", reservationId: "r", quantity: 4 })),
      "Conflict"
    )
    assert.deepInclude(yield* cp.checkUsageLimit({ orgId: "acme", metric: "runs" }), {
      usedQuantity: 3,
      reservedQuantity: 0
    })
    yield* reserve(cp, 1, { reservationId: "s" })
    assert.isTrue(yield* cp.releaseUsage({ orgId: "acme", reservationId: "s" }))
    assert.isFalse(yield* cp.releaseUsage({ orgId: "acme", reservationId: "s" }))
  }).pipe(Effect.provide(Live)))

it.effect("what is measured is bounded: an organization has at most 10,000 different sums", () =>
  Effect.gen(function*() {
    const cp = yield* acme
    const metrics = Array.from({ length: 10_001 }, (_, i) => `m${i}`)
    const answers = yield* Effect.forEach(
      metrics,
      (metric) => tagOf(cp.recordUsage({ orgId: "acme", metric, quantity: 1 })),
      { concurrency: 1_000 }
    )
    assert.strictEqual(answers.filter((answer) => answer === "ok").length, 10_000)
    assert.strictEqual(answers.filter((answer) => answer === "Conflict").length, 1)
    yield* plane
  }).pipe(Effect.provide(Live)))

import { assert, it } from "@effect/vitest"
import { Effect, Metric, MetricState, TestClock } from "effect"
import { Cache } from "../../src/cache/index.ts"
import { cacheLayer, cacheWith, entries, lookup, perform, request, tamper, until, verdict } from "./support.ts"

const tasks = Effect.map(entries, (all) => all.map(({ nodeId }) => nodeId).sort())

const counter = (name: string) =>
  Effect.map(Metric.snapshot, (pairs) => {
    const state = pairs.find(({ metricKey }) => metricKey.name === name)?.metricState
    return state !== undefined && MetricState.isCounterState(state) ? Number(state.count) : 0
  })

it.effect("expired entries are swept at the next round, others stay", () =>
  Effect.gen(function*() {
    yield* perform({ nodeId: "brief", policy: { ttlMs: 1_000 } })
    yield* perform({ nodeId: "long", policy: { ttlMs: 3_600_000 } })
    yield* perform({ nodeId: "ever" })
    yield* TestClock.adjust("59 seconds")
    assert.strictEqual((yield* entries).length, 3)
    yield* TestClock.adjust("1 second")
    yield* until(Effect.map(entries, (all) => all.length < 3))
    assert.deepStrictEqual(yield* tasks, ["ever", "long"])
  }).pipe(Effect.provide(cacheLayer)))

it.effect("an entry that may still be given out stale is not swept", () =>
  Effect.gen(function*() {
    const cache = yield* Cache.Cache
    yield* perform({ policy: { ttlMs: 1_000, staleMs: 1_000 } })
    yield* TestClock.setTime(1_999)
    yield* cache.tidy
    assert.strictEqual((yield* entries).length, 1)
    yield* TestClock.setTime(2_000)
    yield* cache.tidy
    assert.deepStrictEqual(yield* entries, [])
  }).pipe(Effect.provide(cacheLayer)))

it.effect("beyond the bound of entries the least recently used go", () =>
  Effect.gen(function*() {
    for (const nodeId of ["a", "b", "c"]) {
      yield* perform({ nodeId })
      yield* TestClock.adjust("1 second")
    }
    yield* lookup({ nodeId: "a" })
    yield* TestClock.adjust("1 second")
    yield* perform({ nodeId: "d" })
    yield* until(Effect.map(entries, (all) => all.length <= 3))
    assert.deepStrictEqual(yield* tasks, ["a", "c", "d"])
  }).pipe(Effect.provide(cacheWith({ maxEntries: 3 }))))

it.effect("beyond the bound of bytes the least recently used go, and a tenth is free afterwards", () =>
  Effect.gen(function*() {
    for (let i = 0; i < 30; i++) {
      yield* perform({ nodeId: `t${i}` }, JSON.stringify({ n: 1, pad: "x".repeat(2_000) }))
      yield* TestClock.adjust("1 second")
    }
    yield* until(Effect.map(entries, (all) => all.reduce((sum, { bytes }) => sum + bytes, 0) <= 30_000))
    const kept = yield* tasks
    assert.include(kept, "t29")
    assert.notInclude(kept, "t0")
  }).pipe(Effect.provide(cacheWith({ maxBytes: 30_000 }))))

it.effect("the bounds hold for what an earlier process has left", () =>
  Effect.gen(function*() {
    const cache = yield* Cache.Cache
    for (let i = 0; i < 5; i++) yield* perform({ nodeId: `t${i}` })
    yield* tamper(
      `INSERT INTO _smithers_cache SELECT cache_key || n, tenant, scope, task, parts_json, tags_json, workflow,
      run_id, frame_no, node_id, iteration, writer, bytes, duration_ms, created_at_ms, expires_at_ms, used_at_ms, hits,
      payload_sha256, payload_json FROM _smithers_cache, (SELECT value AS n FROM json_each('[1,2,3,4,5,6,7,8,9]'))`
    )
    assert.strictEqual((yield* entries).length, 50)
    yield* cache.tidy
    assert.strictEqual((yield* entries).length, 18)
  }).pipe(Effect.provide(cacheWith({ maxEntries: 20 }))))

it.effect("hits are noted together, and the last one is when an entry was used", () =>
  Effect.gen(function*() {
    yield* perform()
    yield* Effect.yieldNow()
    for (let i = 0; i < 3; i++) {
      yield* TestClock.adjust("1 second")
      yield* lookup()
    }
    assert.strictEqual((yield* entries)[0]!.hits, 0)
    yield* TestClock.adjust("5 seconds")
    yield* until(Effect.map(entries, ([entry]) => entry!.hits > 0))
    assert.deepInclude((yield* entries)[0], { hits: 3, lastHitAtMs: 3_000 })
  }).pipe(Effect.provide(cacheLayer)))

it.effect("purge removes by workflow, task, tag, run, tenant and age, and a dry run only counts", () =>
  Effect.gen(function*() {
    const cache = yield* Cache.Cache
    yield* perform({ nodeId: "a", policy: { tags: ["nightly"] } })
    yield* perform({ nodeId: "b", who: { workflow: "v" } })
    yield* perform({ nodeId: "c", who: { runId: "r2" } })
    yield* perform({ nodeId: "d", who: { tenant: "other" } })
    yield* perform({ nodeId: "e", policy: { key: "shared" } })
    yield* TestClock.adjust("1 hour")
    yield* perform({ nodeId: "f" })
    const filters = [
      [{ workflow: "v" }, "b"],
      [{ task: "a" }, "a"],
      [{ task: "shared" }, "e"],
      [{ tag: "nightly" }, "a"],
      [{ runId: "r2" }, "c"],
      [{ tenant: "other" }, "d"],
      [{ workflow: "w", olderThanMs: 1_800_000, tag: "nightly" }, "a"]
    ] as const
    for (const [filter, task] of filters) {
      assert.deepStrictEqual((yield* cache.list(filter)).map(({ nodeId }) => nodeId), [task])
      assert.strictEqual((yield* cache.purge(filter, { dryRun: true })).entries, 1)
    }
    assert.strictEqual((yield* cache.purge({ olderThanMs: 1_800_000 }, { dryRun: true })).entries, 5)
    assert.strictEqual((yield* entries).length, 6)
    const foretold = yield* cache.purge({ workflow: "w" }, { dryRun: true })
    assert.deepStrictEqual(yield* cache.purge({ workflow: "w" }), foretold)
    assert.deepStrictEqual(yield* tasks, ["b"])
    assert.strictEqual((yield* cache.purge({})).entries, 1)
  }).pipe(Effect.provide(cacheLayer)))

it.effect("a purge of many entries takes more than one commit and leaves none", () =>
  Effect.gen(function*() {
    const cache = yield* Cache.Cache
    yield* perform()
    yield* tamper(`WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)
      INSERT INTO _smithers_cache SELECT cache_key || i, tenant, scope, task, parts_json, tags_json, workflow,
      run_id, frame_no, node_id, iteration, writer, bytes, duration_ms, created_at_ms, expires_at_ms, used_at_ms, hits,
      payload_sha256, payload_json FROM _smithers_cache, n`)
    assert.strictEqual((yield* cache.purge({ task: "task" })).entries, 2_501)
    assert.deepStrictEqual(yield* entries, [])
  }).pipe(Effect.provide(cacheLayer)))

it.effect("list pages by key, newest first", () =>
  Effect.gen(function*() {
    const cache = yield* Cache.Cache
    for (let i = 0; i < 7; i++) {
      yield* perform({ nodeId: `t${i}` })
      if (i % 2 === 0) yield* TestClock.adjust("1 second")
    }
    const first = yield* cache.list({}, { limit: 3 })
    const second = yield* cache.list({}, { limit: 3, after: first[2] })
    const third = yield* cache.list({}, { limit: 3, after: second[2] })
    const all = [...first, ...second, ...third]
    assert.deepStrictEqual(all.map(({ key }) => key), (yield* entries).map(({ key }) => key))
    assert.deepStrictEqual(all.map(({ createdAtMs }) => createdAtMs), [3_000, 3_000, 2_000, 2_000, 1_000, 1_000, 0])
  }).pipe(Effect.provide(cacheLayer)))

it.effect("hits, misses, mismatches and saved time are counted", () =>
  Effect.gen(function*() {
    const names = ["hits", "misses", "mismatches", "saved_ms"].map((name) => `smithers_cache_${name}_total`)
    const before = yield* Effect.forEach(names, counter)
    yield* perform()
    yield* perform()
    yield* perform({ nodeId: "b" }, `{"n":"one"}`)
    yield* perform({ nodeId: "b" })
    const after = yield* Effect.forEach(names, counter)
    assert.deepStrictEqual(after.map((count, i) => count - before[i]!), [1, 3, 1, 7])
  }).pipe(Effect.provide(cacheLayer)))

it.effect("explain names the parts that differ from the nearest entry", () =>
  Effect.gen(function*() {
    const cache = yield* Cache.Cache
    yield* perform({ policy: { version: "1", by: { repo: "a", depth: 1 } } })
    yield* perform({ policy: { version: "0", by: { repo: "z", depth: 9 } } })
    const asked = request({ policy: { version: "1", by: { repo: "b", depth: 1 } } })
    const explanation = yield* cache.explain(asked)
    assert.strictEqual(explanation.verdict, "miss")
    assert.strictEqual(explanation.reason, `Compared with the nearest entry, by.repo is "b", was "a".`)
    assert.deepStrictEqual(explanation.parts.filter(({ same }) => !same), [
      { name: "by.repo", asked: `"b"`, stored: `"a"`, same: false }
    ])
    assert.include(explanation.nearest?.parts, { "by.repo": `"a"` })
    const found = yield* cache.lookup(asked)
    assert(found._tag === "Miss" && found.parts !== null)
    assert.deepStrictEqual(yield* cache.explainParts(found.parts), explanation)
  }).pipe(Effect.provide(cacheLayer)))

it.effect("explain names workflow, run, task, version and schema when they differ", () =>
  Effect.gen(function*() {
    const cache = yield* Cache.Cache
    yield* perform({ policy: { scope: "run", version: 1 } })
    const differing = (asked: Parameters<typeof request>[0]) =>
      Effect.map(
        cache.explain(request(asked)),
        ({ parts }) => parts.filter(({ same }) => !same).map(({ name }) => name)
      )
    const run = { scope: "run", version: 1 } as const
    assert.deepStrictEqual(yield* differing({ policy: run, who: { workflow: "v" } }), ["workflow"])
    assert.deepStrictEqual(yield* differing({ policy: run, who: { runId: "r2" } }), ["run"])
    assert.deepStrictEqual(yield* differing({ policy: run, nodeId: "other" }), ["task"])
    assert.deepStrictEqual(yield* differing({ policy: { ...run, version: 2 } }), ["version"])
    assert.deepStrictEqual(yield* differing({ policy: run }), [])
  }).pipe(Effect.provide(cacheLayer)))

it.effect("explain says of a hit who made it and of an expired entry how old it is", () =>
  Effect.gen(function*() {
    const cache = yield* Cache.Cache
    const policy = { ttlMs: 1_000 }
    yield* perform({ policy })
    yield* TestClock.adjust(400)
    const hit = yield* cache.explain(request({ policy }))
    assert.deepInclude(hit, { verdict: "hit", reason: "Stored 400 ms ago by node task of run r1." })
    yield* TestClock.adjust(600)
    const expired = yield* cache.explain(request({ policy }))
    assert.deepInclude(expired, { verdict: "miss", reason: "Stored 1000 ms ago, the ttl is 1000 ms." })
    const keyless = yield* cache.explain(request({ policy: { by: () => Symbol("s") } }))
    assert.deepInclude(keyless, { verdict: "miss", reason: "by is a symbol.", key: null })
  }).pipe(Effect.provide(cacheLayer)))

it.effect("a clock that was set back hits nothing that has a ttl", () =>
  Effect.gen(function*() {
    yield* TestClock.setTime(10_000)
    yield* perform({ policy: { ttlMs: 60_000 } })
    yield* TestClock.setTime(9_000)
    assert.strictEqual(yield* verdict({ policy: { ttlMs: 60_000 } }), "Expired")
  }).pipe(Effect.provide(cacheLayer)))

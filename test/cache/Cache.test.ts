import { assert, it } from "@effect/vitest"
import { Effect, Fiber, Redacted, Schema, TestClock } from "effect"
import { Cache, CurrentIdentity } from "../../src/cache/index.ts"
import {
  cacheLayer,
  cacheWith,
  commit,
  entries,
  identity,
  lookup,
  Output,
  perform,
  request,
  tamper,
  verdict
} from "./support.ts"

// What is stored is not trusted.

const damages: ReadonlyArray<readonly [string, string, string]> = [
  ["cut off", `UPDATE _smithers_cache SET payload_json = substr(payload_json, 1, 4)`, "Corrupt"],
  ["emptied", `UPDATE _smithers_cache SET payload_json = ''`, "Corrupt"],
  ["removed", `UPDATE _smithers_cache SET payload_json = NULL`, "Corrupt"],
  ["changed to another result that fits", `UPDATE _smithers_cache SET payload_json = '{"n":2}'`, "Corrupt"],
  ["robbed of its digest", `UPDATE _smithers_cache SET payload_sha256 = ''`, "Corrupt"]
]

for (const [damage, text, reason] of damages) {
  it.effect(`a stored result that was ${damage} is a miss, and the execution replaces it`, () =>
    Effect.gen(function*() {
      yield* perform()
      yield* tamper(text)
      assert.strictEqual(yield* perform(), reason)
      assert.strictEqual(yield* verdict(), "hit")
      assert.strictEqual((yield* entries).length, 1)
    }).pipe(Effect.provide(cacheLayer)))
}

it.effect("a result moved to the key of another is a miss", () =>
  Effect.gen(function*() {
    yield* perform({ policy: { by: "cheap" } }, `{"n":1}`)
    yield* perform({ policy: { by: "dear" } }, `{"n":100}`)
    yield* tamper(`UPDATE _smithers_cache SET (payload_json, payload_sha256) =
      (SELECT payload_json, payload_sha256 FROM _smithers_cache WHERE parts_json LIKE '%dear%')`)
    assert.strictEqual(yield* verdict({ policy: { by: "cheap" } }), "Corrupt")
  }).pipe(Effect.provide(cacheLayer)))

it.effect("a result that does not fit the schema is a miss with the reason, and is replaced", () =>
  Effect.gen(function*() {
    yield* perform({}, `{"n":"one"}`)
    const found = yield* lookup()
    assert(found._tag === "Miss")
    assert.strictEqual(found.reason, "Mismatch")
    assert.include(found.detail, "Expected number")
    assert.strictEqual(yield* perform(), "Mismatch")
    assert.strictEqual(yield* verdict(), "hit")
  }).pipe(Effect.provide(cacheLayer)))

it.effect("a database that cannot be read is a miss, not a failure", () =>
  Effect.gen(function*() {
    yield* tamper("ALTER TABLE _smithers_cache RENAME TO gone")
    assert.strictEqual(yield* verdict(), "Unavailable")
    assert.deepStrictEqual(yield* Cache.make({ key: "k", output: Output, execute: Effect.succeed({ n: 3 }) }), { n: 3 })
    yield* tamper("ALTER TABLE gone RENAME TO _smithers_cache")
  }).pipe(Effect.provide(cacheLayer)))

// Trust.

it.effect("tenants never share, not even what explain tells", () =>
  Effect.gen(function*() {
    const cache = yield* Cache.Cache
    const global = { scope: "global", key: "k" } as const
    yield* perform({ who: { tenant: "one" }, policy: global })
    assert.strictEqual(yield* verdict({ who: { tenant: "two" }, policy: global }), "Absent")
    const explanation = yield* cache.explain(request({ who: { tenant: "two" }, policy: global }))
    assert.isNull(explanation.nearest)
    assert.strictEqual(explanation.reason, "Nothing to compare with is stored for this tenant.")
  }).pipe(Effect.provide(cacheLayer)))

it.effect("an untrusted identity reads global entries and cannot poison them", () =>
  Effect.gen(function*() {
    const global = { scope: "global" } as const
    const untrusted = { who: { writeGlobal: false, writer: "mallory" }, policy: global }
    assert.strictEqual(yield* perform(untrusted, `{"n":666}`), "Absent")
    assert.deepStrictEqual(yield* entries, [])
    yield* perform({ policy: global }, `{"n":1}`)
    assert.strictEqual(yield* verdict(untrusted), "hit")
    yield* tamper("UPDATE _smithers_cache SET payload_json = 'x'")
    assert.strictEqual(yield* perform(untrusted, `{"n":666}`), "Corrupt")
    assert.strictEqual(yield* verdict({ policy: global }), "Corrupt")
  }).pipe(Effect.provide(cacheLayer)))

it.effect("an untrusted identity stores what only its own workflow reads", () =>
  Effect.gen(function*() {
    const untrusted = { who: { writeGlobal: false } }
    assert.strictEqual(yield* perform(untrusted), "Absent")
    assert.strictEqual(yield* verdict(untrusted), "hit")
  }).pipe(Effect.provide(cacheLayer)))

it.effect("a trusted caller never takes the result of an untrusted one that executes at the same time", () =>
  Effect.gen(function*() {
    const ask = (n: number, writeGlobal: boolean) =>
      Cache.make({
        key: "k",
        output: Output,
        policy: { scope: "global" },
        execute: Effect.as(Effect.yieldNow(), { n })
      })
        .pipe(Effect.provideService(CurrentIdentity, { ...identity, writeGlobal }))
    const results = yield* Effect.all([ask(666, false), ask(1, true)], { concurrency: "unbounded" })
    assert.deepStrictEqual(results, [{ n: 666 }, { n: 1 }])
    assert.deepStrictEqual(yield* ask(2, false), { n: 1 })
  }).pipe(Effect.provide(cacheLayer)))

const Password = Schema.String.pipe(Cache.sensitive)
const sensitive: ReadonlyArray<readonly [string, Schema.Schema.AnyNoContext]> = [
  ["itself", Password],
  ["a field", Schema.Struct({ user: Schema.String, password: Password })],
  [
    "an optional element deep inside",
    Schema.Array(Schema.Struct({ a: Schema.Union(Schema.Null, Schema.Tuple(Password)) }))
  ],
  ["refined further", Password.pipe(Schema.minLength(8))],
  ["the source of a transformation", Schema.transform(Password, Schema.Number, { decode: Number, encode: String })],
  ["redacted", Schema.Struct({ token: Schema.Redacted(Schema.String) })]
]

for (const [where, output] of sensitive) {
  it.effect(`a sensitive value is not cached: ${where}`, () =>
    Effect.gen(function*() {
      assert.strictEqual(yield* perform({ output }), "Sensitive")
      assert.deepStrictEqual(yield* entries, [])
    }).pipe(Effect.provide(cacheLayer)))
}

it.effect("a key made of a redacted value is none, so it does not come to rest", () =>
  Effect.gen(function*() {
    const found = yield* lookup({ policy: { by: { token: Redacted.make("s3cret") } } })
    assert(found._tag === "Miss")
    assert.strictEqual(found.reason, "NoKey")
    assert.notInclude(found.detail, "s3cret")
  }).pipe(Effect.provide(cacheLayer)))

// What is recorded.

it.effect("an entry records producer, writer, tenant, tags, size, times and what its execution took", () =>
  Effect.gen(function*() {
    yield* TestClock.setTime(1_000)
    yield* perform({ nodeId: "notes", iteration: 2, policy: { ttlMs: 60_000, tags: ["a", "b"] } })
    yield* TestClock.adjust(500)
    const found = yield* lookup({ nodeId: "notes", policy: { ttlMs: 60_000 } })
    assert(found._tag === "Hit")
    assert.deepInclude(found, { ageMs: 500, savedMs: 7, text: `{"n":1}`, value: { n: 1 }, stale: null })
    const [entry] = yield* entries
    assert.deepInclude(entry!, {
      tenant: "acme/site",
      scope: "workflow",
      task: "notes",
      tags: ["a", "b"],
      workflow: "w",
      runId: "r1",
      frameNo: null,
      nodeId: "notes",
      iteration: 2,
      writer: "grant:1",
      durationMs: 7,
      createdAtMs: 1_000,
      expiresAtMs: 61_000,
      lastHitAtMs: null,
      hits: 0
    })
    assert.strictEqual(entry!.parts["task"], `"notes"`)
    assert.isAbove(entry!.bytes, 100)
  }).pipe(Effect.provide(cacheLayer)))

it.effect("what a run stored after a frame can be undone, with the frame read in the commit itself", () =>
  Effect.gen(function*() {
    const cache = yield* Cache.Cache
    yield* tamper("CREATE TABLE frames (frame INTEGER) STRICT")
    const store = (nodeId: string, frame: number) =>
      Effect.gen(function*() {
        const found = yield* lookup({ nodeId })
        assert(found._tag === "Miss" && found.ticket !== null)
        yield* tamper("INSERT INTO frames (frame) VALUES (?)", frame)
        yield* cache.put(found.ticket, {
          text: `{"n":1}`,
          atMs: 0,
          durationMs: 0,
          frame: { text: "SELECT MAX(frame) FROM frames WHERE frame >= ?", params: [0] }
        })
      })
    yield* store("a", 3)
    yield* store("b", 4)
    yield* store("c", 5)
    assert.deepStrictEqual((yield* entries).map(({ frameNo, nodeId }) => [nodeId, frameNo]).sort(), [
      ["a", 3],
      ["b", 4],
      ["c", 5]
    ])
    yield* commit(cache.undo("r2", 0))
    assert.strictEqual((yield* entries).length, 3)
    yield* commit(cache.undo("r1", 3))
    assert.deepStrictEqual((yield* entries).map(({ nodeId }) => nodeId), ["a"])
  }).pipe(Effect.provide(cacheLayer)))

it.effect("what a run stored for itself goes with the run, what it stored for others stays", () =>
  Effect.gen(function*() {
    const cache = yield* Cache.Cache
    yield* perform({ policy: { scope: "run" } })
    yield* perform({ policy: { scope: "workflow" } })
    yield* commit(cache.forget("r1"))
    assert.deepStrictEqual((yield* entries).map(({ scope }) => scope), ["workflow"])
  }).pipe(Effect.provide(cacheLayer)))

it.effect("a void output is cached", () =>
  Effect.gen(function*() {
    let executions = 0
    const task = Cache.make({ key: "v", output: Schema.Void, execute: Effect.sync(() => void executions++) })
    yield* task
    yield* task
    assert.strictEqual(executions, 1)
  }).pipe(Effect.provide(cacheLayer)))

it.effect("a result that is too large goes to those who wait and is not stored", () =>
  Effect.gen(function*() {
    let executions = 0
    const task = Cache.make({
      key: "large",
      output: Schema.String,
      execute: Effect.delay(Effect.sync(() => `${executions++}`.padEnd(2_000)), "1 second")
    })
    const both = yield* Effect.fork(Effect.all([task, task, task], { concurrency: "unbounded" }))
    yield* TestClock.adjust("1 second")
    yield* Fiber.join(both)
    assert.strictEqual(executions, 1)
    assert.deepStrictEqual(yield* entries, [])
  }).pipe(Effect.provide(cacheWith({ maxEntryBytes: 1_000 }))))

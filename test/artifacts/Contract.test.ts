import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Either, FastCheck as fc, Fiber, Stream } from "effect"
import { limit, stores } from "./support/Stores.ts"

const bytes = (text: string) => new TextEncoder().encode(text)
const text = (content: Uint8Array) => new TextDecoder().decode(content)

const mine = { tenant: null, runId: "run-1" }
const acme = { tenant: { orgId: "acme", projectId: null }, runId: "run-1" }

const attacks = [
  "",
  ".",
  "..",
  "../run-2/notes.md",
  "a/../../b",
  "/etc/passwd",
  "a//b",
  "a/",
  "a\\b",
  "a\u0000b",
  "a\nb",
  "\ud800",
  ".hidden",
  "a/.hidden",
  "x".repeat(201),
  "ä".repeat(101),
  `${"x".repeat(200)}/${"y".repeat(200)}`,
  "a/".repeat(16) + "a"
]

const namePart = fc.oneof(
  { weight: 4, arbitrary: fc.stringMatching(/^[A-Za-z0-9 _.+%&=?#~'()*!@$,;:-]{1,20}$/) },
  { weight: 2, arbitrary: fc.fullUnicodeString({ maxLength: 12 }) },
  { weight: 1, arbitrary: fc.constantFrom("..", ".", "", "\\", "\u0000") }
)
const names = fc.array(namePart, { minLength: 1, maxLength: 4 }).map((parts) => parts.join("/"))

for (const [kind, open] of Object.entries(stores)) {
  describe(`artifacts in ${kind}`, () => {
    it.scopedLive("what was put is got back, byte for byte, with its hash", () =>
      Effect.gen(function*() {
        const { store } = yield* open
        const content = Uint8Array.from({ length: 100_000 }, (_, index) => index % 251)
        const key = { ...mine, name: "build/app.bin" }
        const stored = yield* store.put(key, content)
        assert.match(stored.sha256, /^[0-9a-f]{64}$/)
        const got = yield* store.get(key)
        assert.deepStrictEqual(Buffer.from(got.content), Buffer.from(content))
        assert.deepStrictEqual(yield* store.stat(key), stored)
        assert.deepStrictEqual([got.bytes, got.sha256, got.location], [100_000, stored.sha256, stored.location])
        const empty = { ...mine, name: "empty" }
        yield* store.put(empty, bytes(""))
        assert.strictEqual((yield* store.get(empty)).content.length, 0)
        assert.strictEqual((yield* store.stat(empty)).bytes, 0)
      }))

    it.scopedLive("putting again replaces, and putting the same again changes nothing", () =>
      Effect.gen(function*() {
        const { count, store } = yield* open
        const key = { ...mine, name: "notes.md" }
        yield* store.put(key, bytes("first, and longer"))
        const second = yield* store.put(key, bytes("second"))
        assert.deepStrictEqual(yield* store.put(key, bytes("second")), second)
        assert.strictEqual(text((yield* store.get(key)).content), "second")
        assert.strictEqual(yield* count, 1)
      }))

    it.scopedLive("what is not there is not found; removing it succeeds", () =>
      Effect.gen(function*() {
        const { count, store } = yield* open
        const key = { ...mine, name: "a/b" }
        for (const asked of [Effect.asVoid(store.get(key)), Effect.asVoid(store.stat(key))]) {
          assert.propertyVal(yield* Effect.flip(asked), "reason", "NotFound")
        }
        yield* store.remove(key)
        yield* store.put(key, bytes("x"))
        yield* store.remove(key)
        assert.propertyVal(yield* Effect.flip(store.get(key)), "reason", "NotFound")
        assert.strictEqual(yield* count, 0)
        // What was only a folder for it is free again.
        yield* store.put({ ...mine, name: "a" }, bytes("x"))
      }))

    it.scopedLive("a content that was altered in the store is not handed over", () =>
      Effect.gen(function*() {
        const { alter, store } = yield* open
        const key = { ...mine, name: "notes.md" }
        yield* alter(yield* store.put(key, bytes("right")), bytes("other"))
        assert.propertyVal(yield* Effect.flip(store.get(key)), "reason", "Altered")
        yield* store.put(key, bytes("right"))
        assert.strictEqual(text((yield* store.get(key)).content), "right")
      }))

    it.scopedLive("runs and organizations do not see each other's", () =>
      Effect.gen(function*() {
        const { store } = yield* open
        const owners = [mine, acme, { tenant: null, runId: "acme" }, {
          tenant: { orgId: "run-1", projectId: null },
          runId: "run-1"
        }]
        for (const [index, owner] of owners.entries()) yield* store.put({ ...owner, name: "n" }, bytes(`${index}`))
        for (const [index, owner] of owners.entries()) {
          assert.strictEqual(text((yield* store.get({ ...owner, name: "n" })).content), `${index}`)
          assert.deepStrictEqual(yield* store.list(owner), [{ name: "n", bytes: 1 }])
        }
        assert.deepStrictEqual(yield* store.list({ tenant: null, runId: "run" }), [])
      }))

    it.scopedLive("a listing goes on after a name, in the order of the names' bytes", () =>
      Effect.gen(function*() {
        const { store } = yield* open
        const sorted = [
          "a b+c",
          "a-",
          "a.txt",
          "a/b",
          "a/c/d",
          "a/c/e",
          "a/c.x",
          "a0",
          "z",
          "ä",
          "\u{ff5e}",
          "\u{1f600}"
        ]
          .sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
        for (const name of [...sorted].reverse()) yield* store.put({ ...mine, name }, bytes(name))
        assert.deepStrictEqual((yield* store.list(mine)).map(({ name }) => name), sorted)
        const walked: Array<string> = []
        for (;;) {
          const page = yield* store.list(mine, { after: walked.at(-1), limit: 5 })
          walked.push(...page.map(({ name }) => name))
          if (page.length < 5) break
        }
        assert.deepStrictEqual(walked, sorted)
        assert.deepStrictEqual((yield* store.list(mine, { after: "a/c" })).map(({ name }) => name), sorted.slice(4))
      }))

    it.scopedLive("an impossible name, owner, content or page is refused by field, and nothing is written", () =>
      Effect.gen(function*() {
        const { count, store } = yield* open
        for (const name of attacks) {
          const key = { ...mine, name }
          for (
            const asked of [
              Effect.asVoid(store.put(key, bytes("x"))),
              Effect.asVoid(store.get(key)),
              Effect.asVoid(store.stat(key)),
              store.remove(key),
              Effect.asVoid(store.place(key))
            ]
          ) {
            assert.deepInclude(yield* Effect.flip(asked), { _tag: "ArtifactRefused", field: "name" }, name)
          }
        }
        const refused = (owner: typeof mine | typeof acme, content = bytes("x")) =>
          Effect.flip(store.put({ ...owner, name: "n" }, content))
        for (const runId of ["", "..", "a/b", "@acme", "a\u0000", "r".repeat(300)]) {
          assert.propertyVal(yield* refused({ ...mine, runId }), "field", "runId")
        }
        for (const orgId of ["", "..", "a/b", ".", "a@b"]) {
          assert.propertyVal(yield* refused({ ...acme, tenant: { orgId, projectId: null } }), "field", "orgId")
        }
        const large = yield* refused(mine, new Uint8Array(limit + 1))
        assert.include(large.message, `${limit + 1} bytes, at most ${limit}`)
        assert.propertyVal(yield* Effect.flip(store.list(mine, { after: "../x" })), "field", "after")
        for (const limit of [0, 1_001, 1.5, Number.NaN]) {
          assert.propertyVal(yield* Effect.flip(store.list(mine, { limit })), "field", "limit")
        }
        assert.strictEqual(yield* count, 0)
        yield* store.put({ ...mine, name: "n" }, new Uint8Array(limit))
      }))

    it.scopedLive("a content that comes in pieces is stored whole, and handed over in pieces", () =>
      Effect.gen(function*() {
        const { count, drafts, store } = yield* open
        const key = { ...mine, name: "build/app.bin" }
        const pieces = Array.from({ length: 90 }, (_, n) => Buffer.alloc(n * 200, n))
        const stored = yield* store.putStream(key, Stream.fromIterable(pieces))
        assert.deepStrictEqual(stored, yield* store.put(key, Buffer.concat(pieces)))
        const opened = yield* store.getStream(key)
        assert.deepInclude(opened, stored)
        const got = yield* Stream.runCollect(opened.content)
        assert.isAbove(got.length, 1)
        assert.deepStrictEqual(Buffer.concat([...got]), Buffer.concat(pieces))
        const empty = { ...mine, name: "empty" }
        assert.strictEqual((yield* store.putStream(empty, Stream.empty)).bytes, 0)
        assert.deepStrictEqual([...yield* Stream.runCollect((yield* store.getStream(empty)).content)], [])
        assert.deepStrictEqual([yield* count, drafts()], [2, 0])
      }))

    it.scopedLive("of a stream that is too long, fails or is interrupted nothing is kept, and what was there stays", () =>
      Effect.gen(function*() {
        const { count, drafts, store } = yield* open
        const key = { ...mine, name: "notes.md" }
        const half = new Uint8Array(limit / 2)
        const before = yield* store.put(key, bytes("before"))
        const endless = Stream.repeatValue(half)
        const tooLong = yield* Effect.flip(store.putStream(key, endless))
        assert.deepInclude(tooLong, { _tag: "ArtifactRefused", field: "content" })
        assert.include(tooLong.message, `at most ${limit}`)
        assert.strictEqual(
          yield* Effect.flip(store.putStream(key, Stream.concat(Stream.make(half), Stream.fail("torn")))),
          "torn"
        )
        const started = yield* Deferred.make<void>()
        const stuck = Stream.concat(
          Stream.make(half),
          Stream.fromEffect(Effect.zipRight(Deferred.succeed(started, undefined), Effect.never))
        )
        const writing = yield* Effect.fork(store.putStream({ ...mine, name: "new" }, stuck))
        yield* Deferred.await(started)
        // A stream that takes its time holds up nobody else.
        assert.deepStrictEqual(yield* store.stat(key), before)
        yield* Fiber.interrupt(writing)
        assert.deepStrictEqual([yield* count, drafts()], [1, 0])
        yield* store.putStream(key, Stream.make(half, half))
        assert.deepInclude(yield* Effect.flip(store.putStream({ ...mine, name: "../x" }, endless)), { field: "name" })
      }))

    it.scopedLive("what was altered fails before the end of its stream", () =>
      Effect.gen(function*() {
        const { alter, store } = yield* open
        const key = { ...mine, name: "notes.md" }
        const content = new Uint8Array(limit)
        const other = content.with(limit - 1, 1)
        yield* alter(yield* store.put(key, content), other)
        const { content: stream } = yield* store.getStream(key)
        let received = 0
        const outcome = yield* Effect.either(Stream.runForEach(stream, (piece) =>
          Effect.sync(() => {
            received += piece.length
          })))
        assert.propertyVal(Either.getOrThrow(Either.flip(outcome)), "reason", "Altered")
        assert.isBelow(received, limit)
        yield* alter(yield* store.put(key, bytes("right")), Buffer.alloc(0))
        const emptied = yield* store.getStream(key)
        assert.propertyVal(yield* Effect.flip(Stream.runDrain(emptied.content)), "reason", "Altered")
        assert.propertyVal(yield* Effect.flip(store.getStream({ ...mine, name: "none" })), "reason", "NotFound")
      }))

    it.scopedLive("of many who put what is to be new one does, and the others are told", () =>
      Effect.gen(function*() {
        const { count, drafts, store } = yield* open
        const key = { ...mine, name: "once" }
        const outcomes = yield* Effect.forEach(
          Array.from({ length: 8 }, (_, n) => n),
          (n) =>
            Effect.either(
              n % 2 === 0
                ? store.put(key, bytes(`${n}`), { ifAbsent: true })
                : store.putStream(key, Stream.make(bytes(`${n}`)), { ifAbsent: true })
            ),
          { concurrency: "unbounded" }
        )
        const [winner, ...others] = outcomes.filter(Either.isRight)
        assert.deepStrictEqual(others, [])
        for (const { left } of outcomes.filter(Either.isLeft)) assert.propertyVal(left, "reason", "Exists")
        assert.strictEqual((yield* store.get(key)).sha256, winner?.right.sha256)
        const late = store.putStream(key, Stream.make(bytes("late")), { ifAbsent: true })
        assert.propertyVal(yield* Effect.flip(late), "reason", "Exists")
        assert.deepStrictEqual([yield* count, drafts()], [1, 0])
        yield* store.put(key, bytes("replaced"))
        assert.strictEqual(text((yield* store.get(key)).content), "replaced")
      }))

    it.scopedLive("all of a run is removed, and nothing of another", () =>
      Effect.gen(function*() {
        const { count, store } = yield* open
        const names = Array.from({ length: 20 }, (_, n) => n % 2 === 0 ? `a/${n}/b` : `c${n}`)
        yield* Effect.forEach(names, (name) => store.put({ ...mine, name }, bytes(name)), { discard: true })
        const others = [acme, { tenant: null, runId: "run-10" }, { tenant: null, runId: "run" }]
        yield* Effect.forEach(others, (owner) => store.put({ ...owner, name: "n" }, bytes("x")), { discard: true })
        assert.strictEqual(yield* store.removeAll(mine), 20)
        assert.deepStrictEqual(yield* store.list(mine), [])
        assert.strictEqual(yield* count, 3)
        assert.strictEqual(yield* store.removeAll(mine), 0)
        assert.strictEqual(yield* store.removeAll({ tenant: { orgId: "nobody", projectId: null }, runId: "r" }), 0)
        assert.propertyVal(yield* Effect.flip(store.removeAll({ ...mine, runId: ".." })), "field", "runId")
        yield* store.put({ ...mine, name: "c1" }, bytes("again"))
        assert.lengthOf(yield* store.list(mine), 1)
      }))

    it.scopedLive("any name is either refused or a place of its own", () =>
      Effect.gen(function*() {
        const { store } = yield* open
        const samples = fc.sample(names, { numRuns: 60, seed: 7 })
        let kept = 0
        for (const [index, name] of samples.entries()) {
          const owner = { tenant: null, runId: `run-${index}` }
          const outcome = yield* Effect.either(store.put({ ...owner, name }, bytes(name)))
          if (outcome._tag === "Left") {
            assert.deepInclude(outcome.left, { _tag: "ArtifactRefused", field: "name" }, JSON.stringify(name))
            continue
          }
          kept++
          assert.strictEqual(text((yield* store.get({ ...owner, name })).content), name)
          assert.deepStrictEqual(yield* store.list(owner), [{ name, bytes: Buffer.byteLength(name) }])
        }
        assert.isAbove(kept, 10)
      }))
  })
}

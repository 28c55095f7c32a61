import { assert, it } from "@effect/vitest"
import { Arbitrary, Effect, FastCheck, Schema } from "effect"
import fs from "node:fs"
import * as Change from "../../../src/sandbox/Change.ts"
import * as ChangeApply from "../../../src/sandbox/ChangeApply.ts"
import * as ChangeSet from "../../../src/sandbox/ChangeSet.ts"
import * as DiffBundle from "../../../src/sandbox/DiffBundle.ts"
import * as Review from "../../../src/sandbox/Review.ts"
import * as Tree from "../../../src/sandbox/Tree.ts"
import { decision, fileArbitrary, pairArbitrary } from "./support/Changes.ts"
import { type Files, read, run, storeLayer, temporary, write } from "./support/Files.ts"

/** Records two directories and what lies between them. */
const compare = Effect.fnUntraced(function*(before: Files, after: Files) {
  const home = yield* temporary
  const base = yield* Tree.record(write(`${home}/base`, before))
  const produced = yield* Tree.capture(write(`${home}/produced`, after))
  return { home, base, produced, changes: yield* ChangeSet.between(base, produced) }
})

const sample = <A>(arbitrary: FastCheck.Arbitrary<A>, numRuns: number) =>
  FastCheck.sample(arbitrary, { numRuns, seed: 7 })

it.scoped("what lies between two trees makes the one into the other, whatever they are", () =>
  Effect.forEach(sample(pairArbitrary, 150), ([before, after]) =>
    Effect.scoped(Effect.gen(function*() {
      const { changes, home } = yield* compare(before, after)
      const target = `${home}/base`
      const selection = yield* Review.select(changes, decision(changes, "all"))
      const applied = yield* ChangeApply.apply(target, selection)
      assert.deepStrictEqual([...read(target)].sort(), [...read(`${home}/produced`)].sort())
      assert.strictEqual(applied.outcome, changes.changes.length === 0 ? "already" : "applied")
      assert.deepStrictEqual(fs.readdirSync(home).sort(), ["base", "produced"])
      const again = yield* ChangeApply.apply(target, selection)
      assert.strictEqual(again.outcome, "already")
    })), { discard: true }).pipe(Effect.provide(storeLayer)))

it.scoped("a change set survives the wire: it means the same on the same base", () =>
  Effect.forEach(sample(pairArbitrary, 100), ([before, after]) =>
    Effect.scoped(Effect.gen(function*() {
      const { base, changes } = yield* compare(before, after)
      const wire = yield* DiffBundle.fromChangeSet(changes)
      const text = yield* Schema.encode(Schema.parseJson(DiffBundle.DiffBundle))(wire)
      const back = yield* Effect.flatMap(
        Schema.decode(Schema.parseJson(DiffBundle.DiffBundle))(text),
        (decoded) => DiffBundle.toChangeSet(decoded, base)
      )
      assert.deepStrictEqual(back, changes)
    })), { discard: true }).pipe(Effect.provide(storeLayer)))

it.scoped("git applies the diffs of text files and comes to the same tree", () =>
  Effect.gen(function*() {
    let applied = 0
    for (const [before, after] of sample(pairArbitrary, 40)) {
      yield* Effect.scoped(Effect.gen(function*() {
        const { changes, home } = yield* compare(before, after)
        const texts = changes.changes.filter(({ content }) => content === "text" || content === "same")
        if (texts.length < changes.changes.length || texts.length === 0) return
        const input = texts.map(Change.toDiff).join("")
        const { stderr } = run("git", ["apply", "--whitespace=nowarn", "-"], { cwd: `${home}/base`, input })
        assert.strictEqual(stderr, "")
        assert.deepStrictEqual([...read(`${home}/base`)].sort(), [...read(`${home}/produced`)].sort())
        applied++
      }))
    }
    assert.isAbove(applied, 15)
  }).pipe(Effect.provide(storeLayer)))

it.scoped("a tree that is written out again is the same tree", () =>
  Effect.forEach(sample(fileArbitrary, 30), (files) =>
    Effect.scoped(Effect.gen(function*() {
      const home = yield* temporary
      const tree = yield* Tree.record(write(`${home}/a`, files))
      yield* Tree.materialize(tree, `${home}/b`)
      assert.deepStrictEqual(yield* Tree.capture(`${home}/b`), tree)
      assert.strictEqual(Tree.refOf(tree), Tree.refOf(yield* Tree.capture(`${home}/b`)))
    })), { discard: true }).pipe(Effect.provide(storeLayer)))

it.scoped("a change set survives its schema, and its digest tells any two apart", () =>
  Effect.gen(function*() {
    const digests = new Map<string, string>()
    for (const [before, after] of sample(pairArbitrary, 60)) {
      const { changes } = yield* Effect.scoped(compare(before, after))
      const text = yield* Schema.encode(Schema.parseJson(Change.ChangeSet))(changes)
      const back = yield* Schema.decode(Schema.parseJson(Change.ChangeSet))(text)
      assert.strictEqual(Change.digest(back), Change.digest(changes))
      assert.strictEqual(digests.get(Change.digest(changes)) ?? text, text)
      digests.set(Change.digest(changes), text)
    }
  }).pipe(Effect.provide(storeLayer)))

const cases: Readonly<
  Record<string, { readonly before: Files; readonly after: Files; readonly changes: ReadonlyArray<string> }>
> = {
  "an added file": { before: {}, after: { "a.txt": "one\n" }, changes: ["add a.txt text 1"] },
  "an added empty file": { before: {}, after: { empty: "" }, changes: ["add empty text 0"] },
  "a deleted file": { before: { "a.txt": "one\n" }, after: {}, changes: ["delete a.txt text 1"] },
  "a line in the middle": {
    before: { a: "1\n2\n3\n" },
    after: { a: "1\nzwei\n3\n" },
    changes: ["modify a text 1"]
  },
  "line ends become CRLF": { before: { a: "1\n2\n" }, after: { a: "1\r\n2\r\n" }, changes: ["modify a text 1"] },
  "a lone carriage return": { before: { a: "1\r2\n" }, after: { a: "1\r3\n" }, changes: ["modify a text 1"] },
  "the line feed at the end goes": { before: { a: "1\n2\n" }, after: { a: "1\n2" }, changes: ["modify a text 1"] },
  "the line feed at the end comes": { before: { a: "1\n2" }, after: { a: "1\n2\n" }, changes: ["modify a text 1"] },
  "a byte order mark": { before: { a: "1\n" }, after: { a: "\ufeff1\n" }, changes: ["modify a text 1"] },
  "a text becomes binary": {
    before: { a: "1\n" },
    after: { a: Buffer.from([0, 255, 1]) },
    changes: ["modify a binary 0"]
  },
  "a file becomes executable": {
    before: { run: "#!\n" },
    after: { run: { content: "#!\n" } },
    changes: ["modify run same 0"]
  },
  "a moved file": { before: { a: "1\n" }, after: { "b/c": "1\n" }, changes: ["rename b/c from a same 0"] },
  "a moved binary": {
    before: { a: Buffer.from([0, 1, 2]) },
    after: { b: Buffer.from([0, 1, 2]) },
    changes: ["rename b from a same 0"]
  },
  "a file that is moved and changed": {
    before: { a: "1\n2\n3\n4\n5\n6\n7\n8\n" },
    after: { b: "1\n2\n3\n4\n5\n6\n7\nacht\n" },
    changes: ["rename b from a text 1"]
  },
  "two unlike files": {
    before: { a: "completely\nother\n" },
    after: { b: "nothing\nin common\n" },
    changes: ["delete a text 1", "add b text 1"]
  },
  "empty files are not moved": { before: { a: "" }, after: { b: "" }, changes: ["delete a text 0", "add b text 0"] },
  "a file becomes a directory": {
    before: { a: "1\n" },
    after: { "a/b": "two\n" },
    changes: ["delete a text 1", "add a/b text 1"]
  },
  "a directory becomes a file": {
    before: { "a/b/c": "1\n", "a/d": "2\n" },
    after: { a: "three\n" },
    changes: ["add a text 1", "delete a/b/c text 1", "delete a/d text 1"]
  },
  "a name that changes its case": {
    before: { "read.me": "1\n" },
    after: { "READ.me": "1\n" },
    changes: ["rename READ.me from read.me same 0"]
  },
  "distant lines are two hunks": {
    before: { a: Array.from({ length: 40 }, (_, line) => `${line}\n`).join("") },
    after: { a: Array.from({ length: 40 }, (_, line) => line === 3 || line === 30 ? "x\n" : `${line}\n`).join("") },
    changes: ["modify a text 2"]
  }
}

for (const [name, { after, before, changes: expected }] of Object.entries(cases)) {
  it.scoped(`is told apart and applied: ${name}`, () =>
    Effect.gen(function*() {
      const { base, changes, home } = yield* compare(before, after)
      assert.deepStrictEqual(
        changes.changes.map(({ content, from, hunks, operation, path }) =>
          `${operation} ${path} ${from === null ? "" : `from ${from} `}${content} ${hunks.length}`
        ),
        expected
      )
      const wire = yield* DiffBundle.fromChangeSet(changes)
      assert.deepStrictEqual(yield* DiffBundle.toChangeSet(wire, base), changes)
      const selection = yield* Review.select(changes, decision(changes, "all"))
      assert.strictEqual((yield* ChangeApply.apply(`${home}/base`, selection)).outcome, "applied")
      assert.strictEqual((yield* ChangeApply.apply(`${home}/base`, selection)).outcome, "already")
      assert.deepStrictEqual([...read(`${home}/base`)].sort(), [...read(`${home}/produced`)].sort())
    }).pipe(Effect.provide(storeLayer)))
}

it.scoped("a file that differs too much is one hunk that replaces everything, at a bounded price", () =>
  Effect.gen(function*() {
    const lines = (prefix: string) => Array.from({ length: 30_000 }, (_, line) => `${prefix} ${line}\n`).join("")
    const { changes } = yield* compare({ a: lines("old") }, { a: lines("new") })
    assert.deepStrictEqual(changes.changes.map(({ content, hunks }) => [content, hunks.length]), [["text", 1]])
    assert.deepStrictEqual(Change.linesChanged(changes.changes[0]!), { added: 30_000, removed: 30_000 })
  }).pipe(Effect.provide(storeLayer)))

it.scoped("files beyond what is compared are changed as a whole", () =>
  Effect.gen(function*() {
    const text = (end: string) => `${"x".repeat(500_000)}\n${end}`
    const names = Array.from({ length: 40 }, (_, index) => `f${String(index).padStart(2, "0")}`)
    const { changes } = yield* compare(
      Object.fromEntries(names.map((name) => [name, text(name)])),
      { ...Object.fromEntries(names.map((name) => [name, text(`${name} new`)])), g: "y".repeat(1_048_577) }
    )
    const kinds = changes.changes.map(({ content }) => content)
    assert.deepStrictEqual(kinds, [...Array(33).fill("text"), ...Array(8).fill("large")])
  }).pipe(Effect.provide(storeLayer)))

it("arbitrary decisions decode", () => {
  const decisions = FastCheck.sample(Arbitrary.make(Review.Decision), { numRuns: 50, seed: 1 })
  for (const one of decisions) Schema.decodeUnknownSync(Review.Decision)(Schema.encodeSync(Review.Decision)(one))
})

import { assert, describe, it } from "@effect/vitest"
import {
  answerOf,
  chooseAll,
  chooseNone,
  choosePart,
  extentOf,
  hunksOf,
  partsOf,
  reviewOf
} from "../../src/console/Review.ts"

const file = (path: string, hunks: number, diff: string | null) => ({
  path,
  operation: "modify" as const,
  from: null,
  content: "text" as const,
  added: 0,
  removed: 0,
  hunks,
  base: null,
  produced: null,
  diff
})
const two = file("two.txt", 2, "--- a\n+++ b\n@@ -1 +1 @@\n-a\n+b\n@@ -9 +9 @@\n-c\n+d\n\\ No newline at end of file\n")
const review = { changeSet: "c", baseRef: "r", target: "/t", files: [file("one.txt", 1, "@@ -1 +1 @@\n-a\n+b\n"), two] }

describe("a review, as the console reads it", () => {
  it("is told from any other payload", () => {
    assert.deepStrictEqual(reviewOf(review), review)
    for (const other of [null, "text", [], {}, { ...review, files: [{ path: "a" }] }]) {
      assert.isUndefined(reviewOf(other))
    }
  })

  it("has the hunks of its diffs, and no line of a file can begin one", () => {
    assert.deepStrictEqual(hunksOf(two.diff ?? "").map(({ lines }) => lines.map(({ text }) => text)), [
      ["-a", "+b"],
      ["-c", "+d", "\\ No newline at end of file"]
    ])
    const hostile = "@@ -1 +1,2 @@\n+one\r@@ -5 +5 @@\n+two\u2028@@ -6 +6 @@\n+crlf\r\n"
    assert.deepStrictEqual(hunksOf(hostile).map(({ lines }) => lines.map(({ text }) => text)), [
      ["+one\\u{d}@@ -5 +5 @@", "+two\\u{2028}@@ -6 +6 @@", "+crlf"]
    ])
  })

  it("offers the hunks of a file only when all of them are shown", () => {
    assert.deepStrictEqual([partsOf(two), partsOf(file("x", 3, two.diff)), partsOf(file("x", 3, null))], [2, 1, 1])
  })

  it("is answered with what was chosen, and with nothing when that is all of it", () => {
    const all = chooseAll(review)
    assert.isUndefined(answerOf(review, all))
    const some = choosePart(all, two, 1, false)
    assert.strictEqual(extentOf(some, two), "some")
    assert.deepStrictEqual(answerOf(review, some), {
      accept: [{ path: "one.txt", accept: true }, { path: "two.txt", accept: true, hunks: [2] }]
    })
    assert.deepStrictEqual(answerOf(review, chooseNone), { accept: [] })
  })
})

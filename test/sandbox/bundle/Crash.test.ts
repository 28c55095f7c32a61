import { NodeContext } from "@effect/platform-node"
import { assert, layer } from "@effect/vitest"
import { Effect, Schema, Stream } from "effect"
import fs from "node:fs"
import * as BlobStore from "../../../src/sandbox/BlobStore.ts"
import * as ChangeApply from "../../../src/sandbox/ChangeApply.ts"
import * as ChangeSet from "../../../src/sandbox/ChangeSet.ts"
import * as Review from "../../../src/sandbox/Review.ts"
import * as Tree from "../../../src/sandbox/Tree.ts"
import { startChild } from "../../support/Child.ts"
import { decision } from "./support/Changes.ts"
import { type Files, read, temporary, write } from "./support/Files.ts"

const before: Files = { a: "one\n", "gone/far/b": "b\n", "d/x": "x\n", f: "file\n", keep: "keep\n" }
const after: Files = {
  a: "two\n",
  "new/c": "c\n",
  d: "now a file\n",
  "f/g": { content: "now in it\n" },
  keep: "keep\n"
}

const program = "test/sandbox/bundle/programs/applyAndDie.ts"

/** One child from start to end; what it printed, nothing when it was killed. */
const child = (...args: ReadonlyArray<string>) =>
  Effect.scoped(Effect.gen(function*() {
    const { lines } = yield* startChild(program, ...args)
    return Array.from(yield* Stream.runCollect(lines)).join("")
  }))

const prepare = Effect.gen(function*() {
  const home = yield* temporary
  const target = write(`${home}/target`, before)
  const blobs = `${home}/blobs`
  const selection = yield* Effect.gen(function*() {
    const changes = yield* ChangeSet.between(
      yield* Tree.record(target),
      yield* Tree.capture(write(`${home}/produced`, after))
    )
    return yield* Review.select(changes, decision(changes, "all"))
  }).pipe(Effect.provide(BlobStore.layer(blobs)))
  fs.writeFileSync(`${home}/selection`, yield* Schema.encode(Schema.parseJson(Review.Selection))(selection))
  return {
    home,
    target,
    blobs,
    selection,
    selectionFile: `${home}/selection`,
    staging: `${home}/.target.smithers-apply`
  }
})

const entries = (directory: string) => JSON.stringify([...read(directory)].sort())

layer(NodeContext.layer, { excludeTestServices: true })("Crash", (it) => {
  it.scoped("killed after any step, the target is old or new once recovered, and can be brought to the new state", () =>
    Effect.gen(function*() {
      const seen = { none: 0, discarded: 0, undone: 0, finished: 0 }
      for (let step = 1;; step++) {
        const done = yield* Effect.scoped(Effect.gen(function*() {
          const { blobs, home, selection, selectionFile, staging, target } = yield* prepare
          const [old, fresh] = [entries(target), entries(`${home}/produced`)]
          const printed = yield* child("apply", target, blobs, selectionFile, String(step))
          if (printed !== "") {
            assert.strictEqual(printed, "applied")
            assert.strictEqual(entries(target), fresh)
            return true
          }
          if (fs.existsSync(staging)) {
            const busy = yield* Effect.flip(
              ChangeApply.apply(target, selection).pipe(Effect.provide(BlobStore.layer(blobs)))
            )
            assert.strictEqual(busy._tag === "ChangeRefused" ? busy.reason : busy._tag, "Busy")
          }
          const recovered = yield* ChangeApply.recover(target)
          seen[recovered]++
          const expected = recovered === "finished" || (recovered === "none" && entries(target) === fresh) ? fresh : old
          assert.strictEqual(entries(target), expected, `after step ${step}: ${recovered}`)
          assert.isFalse(fs.existsSync(staging))
          assert.strictEqual(yield* ChangeApply.recover(target), "none")
          const again = yield* ChangeApply.apply(target, selection).pipe(Effect.provide(BlobStore.layer(blobs)))
          assert.strictEqual(again.outcome, expected === fresh ? "already" : "applied")
          assert.strictEqual(entries(target), fresh)
          assert.isFalse(fs.existsSync(`${target}/gone`), "a directory that has become empty goes")
          return false
        }))
        if (done) break
        assert.isBelow(step, 100)
      }
      assert.isAbove(seen.undone, 10)
      assert.isAbove(seen.finished, 0)
      assert.isAbove(seen.discarded, 0)
    }))

  it.scoped("killed after any step of the recovery, the next one ends at the old state", () =>
    Effect.gen(function*() {
      let undone = 0
      for (let step = 1;; step++) {
        const ended = yield* Effect.scoped(Effect.gen(function*() {
          const { blobs, selectionFile, staging, target } = yield* prepare
          const old = entries(target)
          // Everything is in place, only the intent is not done.
          assert.strictEqual(yield* child("apply", target, blobs, selectionFile, "14"), "")
          assert.isTrue(fs.existsSync(`${staging}/intent`))
          const printed = yield* child("recover", target, blobs, selectionFile, String(step))
          if (printed === "") undone++
          yield* ChangeApply.recover(target)
          assert.strictEqual(entries(target), old, `after step ${step}`)
          assert.isFalse(fs.existsSync(staging))
          return printed !== ""
        }))
        if (ended) break
        assert.isBelow(step, 100)
      }
      assert.isAbove(undone, 10)
    }))
})

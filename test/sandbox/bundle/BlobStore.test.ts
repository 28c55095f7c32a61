import { assert, it } from "@effect/vitest"
import { Effect, TestClock } from "effect"
import { createHash } from "node:crypto"
import fs from "node:fs"
import * as BlobStore from "../../../src/sandbox/BlobStore.ts"
import { temporary } from "./support/Files.ts"

const fresh = Effect.gen(function*() {
  const directory = `${yield* temporary}/blobs`
  const store = yield* BlobStore.make(directory)
  const fileOf = (sha256: string) => `${directory}/sha256/${sha256.slice(0, 2)}/${sha256.slice(2)}`
  return { directory, store, fileOf }
})

it.scoped("content comes back by its SHA-256, and equal content is stored once", () =>
  Effect.gen(function*() {
    const { fileOf, store } = yield* fresh
    for (const content of [Buffer.alloc(0), Buffer.from("text"), Buffer.alloc(3_000_000, 7)]) {
      const sha256 = createHash("sha256").update(content).digest("hex")
      assert.deepStrictEqual(yield* store.put(content), { sha256, bytes: content.length })
      assert.deepStrictEqual(yield* store.put(content), { sha256, bytes: content.length })
      assert.deepStrictEqual(yield* store.get(sha256), content)
      assert.isTrue(yield* store.has(sha256))
      assert.strictEqual(fs.statSync(fileOf(sha256)).mode & 0o777, 0o600)
    }
  }))

it.scoped("two that store the same at once both have it", () =>
  Effect.gen(function*() {
    const { directory, store } = yield* fresh
    const blobs = yield* Effect.all(Array.from({ length: 20 }, () => store.put(Buffer.from("same"))), {
      concurrency: "unbounded"
    })
    assert.strictEqual(new Set(blobs.map(({ sha256 }) => sha256)).size, 1)
    assert.deepStrictEqual(fs.readdirSync(`${directory}/drafts`), [])
  }))

it.scoped("what is missing, damaged or too large is said, and damage is mended by storing again", () =>
  Effect.gen(function*() {
    const { fileOf, store } = yield* fresh
    const { sha256 } = yield* store.put(Buffer.from("content"))
    assert.strictEqual((yield* Effect.flip(store.get("0".repeat(64)))).reason, "BlobMissing")
    assert.strictEqual((yield* Effect.flip(store.get(sha256, 3))).reason, "BlobTooLarge")
    fs.writeFileSync(fileOf(sha256), "CONTENT")
    assert.strictEqual((yield* Effect.flip(store.get(sha256))).reason, "BlobCorrupt")
    assert.isFalse(yield* store.has(sha256))
    yield* store.put(Buffer.from("content"))
    assert.strictEqual((yield* store.get(sha256)).toString(), "content")
  }))

it.scoped("what fails while it is written leaves nothing", () =>
  Effect.gen(function*() {
    const { directory, store } = yield* fresh
    const failed = yield* Effect.flip(
      store.write((write) => Effect.zipRight(write(Buffer.from("half")), Effect.fail("broken" as const)))
    )
    assert.strictEqual(failed, "broken")
    const chunk = Buffer.alloc(1_048_576)
    const large = yield* Effect.flip(store.write((write) => Effect.forever(write(chunk))))
    assert.strictEqual(large.reason, "BlobTooLarge")
    assert.deepStrictEqual(fs.readdirSync(`${directory}/drafts`), [])
    assert.deepStrictEqual(fs.readdirSync(`${directory}/sha256`), [])
  }))

it.scoped("a sweep removes old blobs that nobody refers to, and storing again makes one young", () =>
  Effect.gen(function*() {
    const { directory, store } = yield* fresh
    const [kept, young, old] = yield* Effect.forEach(["kept", "young", "old"], (text) => store.put(Buffer.from(text)))
    fs.writeFileSync(`${directory}/drafts/left`, "x")
    fs.utimesSync(`${directory}/drafts/left`, 0, 0)
    yield* TestClock.adjust("2 hours")
    yield* store.put(Buffer.from("young"))
    const options = {
      isReferenced: (sha256: string) => Effect.succeed(sha256 === kept?.sha256),
      olderThanMs: 3_600_000
    }
    assert.deepStrictEqual(yield* store.sweep(options), { blobs: 1, bytes: 3 })
    assert.deepStrictEqual(yield* store.sweep(options), { blobs: 0, bytes: 0 })
    assert.deepStrictEqual(yield* Effect.forEach([kept, young, old], (blob) => store.has(blob?.sha256 ?? "")), [
      true,
      true,
      false
    ])
    assert.deepStrictEqual(fs.readdirSync(`${directory}/drafts`), [])
  }))

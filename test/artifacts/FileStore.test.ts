import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber } from "effect"
import fs from "node:fs"
import path from "node:path"
import { makeHome, openFiles } from "./support/Stores.ts"

const key = { tenant: null, runId: "run-1", name: "report/notes.md" }
const bytes = (text: string) => new TextEncoder().encode(text)

describe("artifacts in files", () => {
  it.scopedLive("lie where people look for them, readable for their owner only", () =>
    Effect.gen(function*() {
      const home = yield* makeHome
      const store = yield* openFiles(home)
      const { location } = yield* store.put(key, bytes("x"))
      assert.strictEqual(location, path.join(home, "artifacts/run-1/report/notes.md"))
      assert.strictEqual(yield* store.place(key), "<SMITHERS_HOME>/artifacts/run-1/report/notes.md")
      assert.strictEqual(fs.statSync(location).mode & 0o777, 0o600)
      assert.strictEqual(fs.statSync(path.dirname(location)).mode & 0o777, 0o700)
      const acme = yield* store.put({ ...key, tenant: { orgId: "acme", projectId: null } }, bytes("y"))
      assert.strictEqual(acme.location, path.join(home, "artifacts/@acme/run-1/report/notes.md"))
      assert.deepStrictEqual(fs.readdirSync(path.dirname(location)), ["notes.md"])
    }))

  it.scopedLive("no link is followed, wherever on the path it is, and nothing is written through it", () =>
    Effect.gen(function*() {
      for (const place of ["artifacts", "artifacts/run-1", "artifacts/run-1/report", "artifact-hashes/run-1"]) {
        const home = yield* makeHome
        const outside = yield* makeHome
        fs.mkdirSync(path.join(home, path.dirname(place)), { recursive: true })
        fs.symlinkSync(outside, path.join(home, place))
        const store = yield* openFiles(home)
        assert.propertyVal(yield* Effect.flip(store.put(key, bytes("x"))), "reason", "Refused", place)
        assert.deepStrictEqual(fs.readdirSync(outside), [])
      }
      const home = yield* makeHome
      const outside = yield* makeHome
      const secret = path.join(outside, "secret")
      fs.writeFileSync(secret, "secret")
      const store = yield* openFiles(home)
      const { location } = yield* store.put(key, bytes("x"))
      fs.rmSync(location)
      fs.symlinkSync(secret, location)
      assert.propertyVal(yield* Effect.flip(store.get(key)), "reason", "Refused")
      assert.deepStrictEqual(yield* store.list(key), [])
      // The name is replaced, what it pointed to is not.
      yield* store.put(key, bytes("x"))
      assert.strictEqual(fs.readFileSync(secret, "utf8"), "secret")
      // Nor is the draft of a process that died.
      fs.symlinkSync(secret, path.join(path.dirname(location), ".notes.md.unfinished"))
      yield* store.put(key, bytes("y"))
      assert.strictEqual(fs.readFileSync(secret, "utf8"), "secret")
      assert.strictEqual(fs.readFileSync(location, "utf8"), "y")
    }))

  it.scopedLive("a process that dies within a put leaves the old content or the new one, and the hash of either", () =>
    Effect.gen(function*() {
      const home = yield* makeHome
      const store = yield* openFiles(home)
      const first = yield* store.put(key, bytes("old"))
      const second = yield* store.put(key, bytes("new"))
      const hashes = path.join(home, "artifact-hashes/run-1/report/notes.md")
      // What there is between the first and the last of its three steps.
      fs.writeFileSync(hashes, `${second.sha256}\n${first.sha256}\n`)
      assert.strictEqual((yield* store.stat(key)).sha256, second.sha256)
      fs.writeFileSync(first.location, "old")
      assert.strictEqual((yield* store.get(key)).sha256, first.sha256)
      assert.strictEqual((yield* store.stat(key)).sha256, first.sha256)
      yield* store.put(key, bytes("newest"))
      assert.strictEqual(fs.readFileSync(hashes, "utf8").length, 65)
    }))

  it.scopedLive("a draft that a process left when it died goes at the next start; no link there is followed", () =>
    Effect.gen(function*() {
      const home = yield* makeHome
      const outside = yield* makeHome
      const drafts = path.join(home, "artifact-drafts")
      fs.mkdirSync(drafts)
      fs.writeFileSync(path.join(drafts, "left"), "half of it")
      fs.writeFileSync(path.join(outside, "kept"), "kept")
      fs.symlinkSync(outside, path.join(drafts, "link"))
      yield* openFiles(home)
      assert.isFalse(fs.existsSync(drafts))
      assert.deepStrictEqual(fs.readdirSync(outside), ["kept"])
      fs.symlinkSync(outside, drafts)
      const store = yield* openFiles(home)
      assert.propertyVal(yield* Effect.flip(store.put(key, bytes("x"))), "reason", "Refused")
      assert.deepStrictEqual(fs.readdirSync(outside), ["kept"])
    }))

  it.scopedLive("removing all of a run removes links, and nothing behind them", () =>
    Effect.gen(function*() {
      const home = yield* makeHome
      const outside = yield* makeHome
      fs.writeFileSync(path.join(outside, "kept"), "kept")
      const store = yield* openFiles(home)
      const { location } = yield* store.put(key, bytes("x"))
      fs.symlinkSync(outside, path.join(path.dirname(location), "link"))
      fs.symlinkSync(outside, path.join(home, "artifacts/run-2"))
      yield* store.removeAll(key)
      assert.deepStrictEqual(fs.readdirSync(path.join(home, "artifacts")), ["run-2"])
      assert.deepStrictEqual(fs.readdirSync(path.join(home, "artifact-hashes")), [])
      assert.propertyVal(yield* Effect.flip(store.removeAll({ ...key, runId: "run-2" })), "reason", "Refused")
      assert.deepStrictEqual(fs.readdirSync(outside), ["kept"])
    }))

  it.scopedLive("whoever reads while others write gets one of the contents, whole", () =>
    Effect.gen(function*() {
      const home = yield* makeHome
      const store = yield* openFiles(home)
      const contents = ["a", "b", "c"].map((letter) => letter.repeat(50_000))
      yield* store.put(key, bytes(contents[0]!))
      const writing = yield* Effect.fork(
        Effect.forEach([...contents, ...contents], (content) => store.put(key, bytes(content)), {
          concurrency: 3,
          discard: true
        })
      )
      for (let n = 0; n < 10; n++) {
        assert.include(contents, Buffer.from((yield* store.get(key)).content).toString())
      }
      yield* Fiber.join(writing)
    }))

  it.scopedLive("a folder in the place of an artifact, and an artifact in the place of a folder, are refused", () =>
    Effect.gen(function*() {
      const home = yield* makeHome
      const store = yield* openFiles(home)
      yield* store.put(key, bytes("x"))
      assert.propertyVal(yield* Effect.flip(store.put({ ...key, name: "report" }, bytes("x"))), "reason", "Refused")
      assert.propertyVal(
        yield* Effect.flip(store.put({ ...key, name: "report/notes.md/x" }, bytes("x"))),
        "reason",
        "Refused"
      )
      assert.strictEqual(Buffer.from((yield* store.get(key)).content).toString(), "x")
      assert.deepStrictEqual((yield* store.list(key)).length, 1)
    }))

  it.scopedLive("a file that was not put is listed, but not handed over", () =>
    Effect.gen(function*() {
      const home = yield* makeHome
      const store = yield* openFiles(home)
      const { location } = yield* store.put(key, bytes("x"))
      fs.writeFileSync(path.join(path.dirname(location), "planted"), "y")
      assert.propertyVal(yield* Effect.flip(store.get({ ...key, name: "report/planted" })), "reason", "Altered")
    }))
})

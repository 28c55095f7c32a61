import { assert, it } from "@effect/vitest"
import { Context, Effect, TestClock } from "effect"
import fs from "node:fs"
import path from "node:path"
import { BlobStore, SandboxStore } from "../../src/sandbox/index.ts"
import { freshDatabase, startProcess, until, workflow } from "../support/Engine.ts"
import { sandboxesOf } from "../support/Sandboxes.ts"

/** A service of sandboxes, and a finished run that has a folder and a change set. */
const world = Effect.gen(function*() {
  const database = yield* freshDatabase
  const process = yield* startProcess(database, workflow(() => Effect.void))
  yield* Effect.addFinalizer(() => process.stop)
  const runId = yield* process.launch()
  yield* process.end(runId)
  const folderOf = (run: string) => {
    const folder = path.join(database.home, "sandboxes", run)
    fs.mkdirSync(path.join(folder, "box", "result"), { recursive: true })
    return folder
  }
  const before = folderOf("gone-before")
  const { context, sandbox } = yield* sandboxesOf(database)
  // The sweep at the start has read what there was: it finds no folder that is made from here on.
  yield* until(Effect.sync(() => !fs.existsSync(before)), "the first sweep to remove the folder")
  const store = Context.get(context, SandboxStore.SandboxStore)
  const blobs = Context.get(context, BlobStore.BlobStore)
  const put = (text: string) => Effect.map(blobs.put(Buffer.from(text)), ({ sha256 }) => sha256)
  const diff = (references: ReadonlyArray<string>) =>
    database.write(store.putDiff({
      runId,
      nodeId: "box",
      iteration: 0,
      changeSet: "c",
      blob: references[0] ?? "",
      baseRef: "b",
      references
    }, 1))
  return { ...process, blobs, database, diff, folderOf, put, runId, sandbox, store }
})

it.scoped("a sweep keeps what change sets speak of and what is young, and removes the rest", () =>
  Effect.gen(function*() {
    const { blobs, diff, put, sandbox } = yield* world
    const [set, base, produced, left] = yield* Effect.forEach(["set", "base", "produced", "left"], put)
    yield* diff([set!, base!, produced!, base!])
    yield* TestClock.adjust("47 hours")
    assert.deepStrictEqual(yield* sandbox.sweep, { folders: 0, blobs: 0, bytes: 0 })
    yield* TestClock.adjust("61 minutes")
    const young = yield* put("young")
    // What the hourly one has not removed by now, this one has.
    yield* sandbox.sweep
    assert.isFalse(yield* blobs.has(left!))
    const kept = yield* Effect.forEach([set, base, produced, young], (sha256) => blobs.has(sha256!))
    assert.deepStrictEqual(kept, [true, true, true, true])
  }))

it.scoped("a node that comes to another result speaks of the old contents no more", () =>
  Effect.gen(function*() {
    const { database, diff, put, runId, sandbox, store } = yield* world
    const [old, next] = yield* Effect.forEach(["old", "next"], put)
    yield* diff([old!])
    yield* diff([next!])
    assert.deepStrictEqual(yield* Effect.forEach([old!, next!], store.isReferenced), [false, true])
    yield* database.write(store.dropDiff({ runId, nodeId: "box", iteration: 0 }))
    assert.isFalse(yield* store.isReferenced(next!))
    assert.strictEqual((yield* sandbox.nodeDiff(runId, "box", 0))._tag, "None")
  }))

it.scoped("the folders and contents of a run that is deleted go, those of other runs and of others stay", () =>
  Effect.gen(function*() {
    const { database, diff, folderOf, put, runId, runs, sandbox, store } = yield* world
    const [mine, gone] = [folderOf(runId), folderOf("gone")]
    const foreign = folderOf("not a run's")
    const content = yield* put("content")
    yield* diff([content])
    assert.deepInclude(yield* sandbox.sweep, { folders: 1 })
    assert.deepStrictEqual([mine, gone, foreign].map((folder) => fs.existsSync(folder)), [true, false, true])
    yield* database.write(runs.remove(runId))
    assert.isFalse(yield* store.isReferenced(content))
    yield* TestClock.adjust("1 hour")
    yield* until(Effect.sync(() => !fs.existsSync(mine)), "the hourly sweep to remove the folder")
    assert.isTrue(fs.existsSync(foreign))
  }))

it.scoped("what was left behind is swept when a service starts", () =>
  Effect.gen(function*() {
    const { database, folderOf } = yield* world
    const gone = folderOf("gone")
    yield* sandboxesOf(database)
    yield* until(Effect.sync(() => !fs.existsSync(gone)), "the first sweep to remove the folder")
  }))

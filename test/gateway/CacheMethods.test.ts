import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Audit } from "../../src/audit/index.ts"
import { Cache } from "../../src/cache/index.ts"
import { RunStore } from "../../src/journal/index.ts"
import { Persistence } from "../../src/persistence/index.ts"
import { Output, request } from "../cache/support.ts"
import { ok, rpc, type Wire } from "./support/Http.ts"
import { addEvents, addRun, gatewayWith, tokenFor } from "./support/Service.ts"

/** Stores a result and answers its key. */
const store = (runId: string, nodeId: string, more: { readonly tag?: string; readonly atMs?: number } = {}) =>
  Effect.gen(function*() {
    const cache = yield* Cache.Cache
    const policy = { by: { repo: runId }, tags: more.tag === undefined ? [] : [more.tag] }
    const found = yield* cache.lookup(request({ who: { tenant: "", runId }, nodeId, policy, output: Output }))
    if (found._tag === "Hit" || found.ticket === null) return yield* Effect.dieMessage("There is one already.")
    yield* cache.put(found.ticket, { text: `{"n":1}`, atMs: more.atMs ?? 1_000, durationMs: 7 })
    return found
  })

const audited = Effect.flatMap(Audit.Audit, (audit) => audit.list({ action: "cache.purge", limit: 10 }))

layer(gatewayWith(), { excludeTestServices: true })("cache methods", (it) => {
  it.effect("cache.list pages by key, newest first, and filters", () =>
    Effect.gen(function*() {
      for (let i = 0; i < 5; i++) yield* store(`list-${i}`, "listed", { atMs: 1_000 + Math.floor(i / 2), tag: "l" })
      const all = yield* ok("cache.list", { task: "listed" })
      assert.deepStrictEqual(all.map(({ createdAtMs }: Wire) => createdAtMs), [1_002, 1_001, 1_001, 1_000, 1_000])
      const paged: Array<Wire> = []
      for (;;) {
        const last = paged.at(-1)
        const after = last === undefined ? {} : { after: { createdAtMs: last.createdAtMs, key: last.key } }
        const page = yield* ok("cache.list", { tag: "l", limit: 2, ...after })
        paged.push(...page)
        if (page.length < 2) break
      }
      assert.deepStrictEqual(paged, all)
      assert.deepStrictEqual(all[0].parts["by.repo"], `"list-4"`)
      assert.notProperty(all[0], "tenant")
      assert.strictEqual((yield* ok("cache.list", { runId: "list-3" })).length, 1)
      assert.strictEqual((yield* ok("cache.list", { workflow: "none" })).length, 0)
      const refused = yield* rpc("cache.list", { limit: 0 })
      assert.deepStrictEqual([refused.status, refused.frame.error?.code], [400, "INVALID_INPUT"])
    }))

  it.effect("cache.explain says what the node's last event said, and compares with what is there now", () =>
    Effect.gen(function*() {
      const found = yield* store("explain-1", "explained", { atMs: 999 })
      yield* addRun("explain-2")
      const node = { nodeId: "explained", iteration: 0, attempt: 1 }
      const parts = { ...found.parts!, "by.repo": `"explain-2"` }
      const miss = {
        key: "0".repeat(64),
        reason: "Absent",
        detail: "There is no entry of this key.",
        parts,
        stored: true
      }
      yield* addEvents("explain-2", [
        { type: "CacheMiss", ...node, data: miss },
        { type: "NodeFinished", ...node, data: { notCached: "too large" } }
      ])
      const missed = yield* ok("cache.explain", { runId: "explain-2", nodeId: "explained" })
      assert.deepStrictEqual(missed.said, { type: "CacheMiss", atMs: 1_000, attempt: 1, data: miss })
      assert.strictEqual(missed.notCached, "too large")
      assert.deepInclude(missed.now, { verdict: "miss" })
      assert.match(missed.now.reason, /by\.repo is "explain-2", was "explain-1"/)
      assert.deepStrictEqual(
        missed.now.parts.filter(({ same }: Wire) => !same),
        [{ name: "by.repo", asked: `"explain-2"`, stored: `"explain-1"`, same: false }]
      )
      const hit = {
        key: found.key!,
        ageMs: 5,
        savedMs: 7,
        producer: { workflow: "w", runId: "explain-1", frameNo: null, nodeId: "explained", iteration: 0, writer: "x" }
      }
      yield* addEvents("explain-2", [{ type: "CacheHit", ...node, data: hit }])
      const explained = yield* ok("cache.explain", { runId: "explain-2", nodeId: "explained" })
      assert.deepStrictEqual(explained.said.data, hit)
      assert.isNull(explained.notCached)
      assert.isTrue(explained.now.parts.every(({ same }: Wire) => same))
      yield* ok("cache.purge", { runId: "explain-1" })
      const gone = yield* ok("cache.explain", { runId: "explain-2", nodeId: "explained" })
      assert.deepInclude(gone.now, { verdict: "miss", reason: "The entry of this key is gone.", nearest: null })
    }))

  it.effect("cache.explain of a node that looked nothing up says so, and of no node that there is none", () =>
    Effect.gen(function*() {
      yield* addRun("plain")
      const missing = yield* rpc("cache.explain", { runId: "plain", nodeId: "none" })
      assert.deepStrictEqual([missing.status, missing.frame.error?.code], [404, "NodeNotFound"])
      const nobody = yield* rpc("cache.explain", { runId: "nobody", nodeId: "none" })
      assert.deepStrictEqual([nobody.status, nobody.frame.error?.code], [404, "NOT_FOUND"])
      const { write } = yield* Persistence.Persistence
      const runs = yield* RunStore.RunStore
      yield* write(runs.putNode({
        runId: "plain",
        nodeId: "task",
        iteration: 0,
        ordinal: 0,
        kind: "task",
        label: null,
        parentNodeId: null,
        state: "finished",
        attempt: 1,
        outputJson: null,
        error: null,
        startedAtMs: 1,
        finishedAtMs: 2,
        updatedAtMs: 2
      }))
      const plain = yield* ok("cache.explain", { runId: "plain", nodeId: "task" })
      assert.deepStrictEqual(plain, {
        runId: "plain",
        nodeId: "task",
        iteration: 0,
        said: null,
        notCached: null,
        now: null
      })
    }))

  it.effect("cache.purge counts first, then removes with an audit row; it needs run:admin", () =>
    Effect.gen(function*() {
      for (let i = 0; i < 3; i++) yield* store(`purge-${i}`, "purged", { tag: "p" })
      const before = (yield* audited).length
      const counted = yield* ok("cache.purge", { tag: "p", dryRun: true })
      assert.deepInclude(counted, { entries: 3, dryRun: true })
      assert.strictEqual((yield* ok("cache.list", { tag: "p" })).length, 3)
      assert.strictEqual((yield* audited).length, before)
      const { token } = yield* tokenFor(["run:write"])
      const refused = yield* rpc("cache.purge", { tag: "p" }, token)
      assert.deepStrictEqual([refused.status, refused.frame.error?.code], [403, "FORBIDDEN"])
      const purged = yield* ok("cache.purge", { tag: "p" })
      assert.deepStrictEqual(purged, { ...counted, dryRun: false })
      assert.deepStrictEqual(yield* ok("cache.list", { tag: "p" }), [])
      const [row] = yield* audited
      assert.deepInclude(row, { action: "cache.purge", outcome: "ok", runId: null })
      assert.deepStrictEqual(row?.detail, { tag: "p", entries: 3, bytes: counted.bytes })
    }))
})

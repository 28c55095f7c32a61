import { assert, describe, it } from "@effect/vitest"
import { eventDetail, eventTitle } from "../../src/console/EventText.ts"

const row = (event: string, payload: Record<string, unknown>) => ({ seq: 1, event, payload, timestampMs: 0 })

describe("what the console says of the cache", () => {
  it("a hit: whose result it was, and what it saved", () => {
    const hit = row("CacheHit", {
      type: "CacheHit",
      runId: "r2",
      nodeId: "draft",
      iteration: 0,
      attempt: 1,
      key: "0".repeat(64),
      ageMs: 60_000,
      savedMs: 1_200,
      producer: { workflow: "w", runId: "r1", frameNo: 2, nodeId: "draft", iteration: 0, writer: "ada" }
    })
    assert.strictEqual(eventTitle(hit), "Cache hit")
    assert.strictEqual(eventDetail(hit), "draft · ageMs: 60000 · savedMs: 1200 · from draft of run r1")
  })

  it("a miss: why, and not the parts of the key", () => {
    const miss = row("CacheMiss", {
      nodeId: "draft",
      key: "0".repeat(64),
      reason: "Expired",
      detail: "Stored 9 ms ago, the ttl is 5 ms.",
      parts: { task: "draft" },
      stored: true
    })
    assert.strictEqual(
      eventDetail(miss),
      "draft · reason: Expired · detail: Stored 9 ms ago, the ttl is 5 ms. · stored: true"
    )
  })
})

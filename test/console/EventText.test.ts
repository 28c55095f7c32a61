import { assert, describe, it } from "@effect/vitest"
import { eventDetail, eventTitle } from "../../src/console/EventText.ts"
import { sandboxEventText } from "../../src/gateway/contract.ts"

const row = (event: string, payload: Record<string, unknown>) => ({ seq: 1, event, payload, timestampMs: 0 })

describe("what the console says of events", () => {
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

  it("a sandbox: what confines it, what it executes, and which ports lead into it", () => {
    const created = { runtime: "bubblewrap", isolated: true, proof: [{ enforced: true }, { enforced: false }] }
    assert.strictEqual(sandboxEventText("SandboxCreated", created), "bubblewrap, 1 controls proved")
    assert.strictEqual(
      sandboxEventText("SandboxCreated", {
        ...created,
        workflow: "inner",
        policy: { ports: [{ host: 8_080, sandbox: 80 }], volumes: [] }
      }),
      "bubblewrap, 1 controls proved, workflow inner, port 8080 leads to its port 80"
    )
    assert.strictEqual(
      sandboxEventText("SandboxCreated", { runtime: "process", isolated: false, proof: null }),
      "process, which isolates nothing"
    )
  })
})

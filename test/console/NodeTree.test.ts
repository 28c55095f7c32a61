import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { inReadingOrder } from "../../src/console/NodeTree.ts"
import { NodeStateRow } from "../../src/gateway/contract.ts"

const node = (nodeId: string, parentNodeId: string | null = null, iteration = 0) =>
  Schema.decodeSync(NodeStateRow)({
    nodeId,
    iteration,
    parentNodeId,
    state: "finished",
    lastAttempt: 1,
    updatedAtMs: 0,
    label: null,
    startedAtMs: null,
    finishedAtMs: null,
    kind: "task",
    error: null,
    cached: false
  })

const lines = (...nodes: ReadonlyArray<NodeStateRow>) =>
  inReadingOrder(nodes).map(({ depth, node }) => `${"  ".repeat(depth)}${node.nodeId}`)

describe("the tree of steps", () => {
  it("puts what stands in a group right after the group", () => {
    assert.deepStrictEqual(lines(node("a"), node("g"), node("b"), node("g1", "g"), node("h", "g"), node("h1", "h")), [
      "a",
      "g",
      "  g1",
      "  h",
      "    h1",
      "b"
    ])
  })

  it("shows a node whose group is not there, and one that names itself, at the top", () => {
    assert.deepStrictEqual(lines(node("a", "gone"), node("b", "b")), ["a", "b"])
  })

  it("shows every node once when a group has several iterations", () => {
    assert.deepStrictEqual(lines(node("g"), node("g", null, 1), node("a", "g"), node("a", "g", 1)), [
      "g",
      "  a",
      "  a",
      "g"
    ])
  })
})

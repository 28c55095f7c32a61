import { type NodeStateRow } from "../gateway/contract.ts"

/** A node and how many groups it stands in. */
interface Placed {
  readonly node: NodeStateRow
  readonly depth: number
}

/** The nodes in reading order: every group is followed by what stands in it. */
export const inReadingOrder = (nodes: ReadonlyArray<NodeStateRow>): ReadonlyArray<Placed> => {
  const ids: ReadonlySet<string> = new Set(nodes.map(({ nodeId }) => nodeId))
  const top: Array<NodeStateRow> = []
  const children = new Map<string, Array<NodeStateRow>>()
  for (const node of nodes) {
    const parent = node.parentNodeId
    if (parent === null || parent === node.nodeId || !ids.has(parent)) top.push(node)
    else children.set(parent, [...children.get(parent) ?? [], node])
  }
  const place = (node: NodeStateRow, depth: number): ReadonlyArray<Placed> => {
    const inside = children.get(node.nodeId) ?? []
    // Taken out when placed: a group that has several iterations lists what stands in it once.
    children.delete(node.nodeId)
    return [{ node, depth }, ...inside.flatMap((child) => place(child, depth + 1))]
  }
  return top.flatMap((node) => place(node, 0))
}

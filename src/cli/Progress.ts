import { Effect } from "effect"
import type { EventRow } from "../gateway/contract.ts"
import type { NodeState } from "../model/index.ts"
import { eventLine, nodeName, stateAfter } from "./EventLine.ts"
import { Output } from "./Output.ts"
import { dim, ofState, plain } from "./Style.ts"
import { span } from "./Table.ts"

interface NodeProgress {
  readonly name: string
  readonly state: NodeState
  readonly startedAtMs: number | null
  readonly atMs: number
}

const symbols: Readonly<Partial<Record<NodeState, string>>> = {
  "pending": "○",
  "in-progress": "●",
  "finished": "✓",
  "failed": "✗",
  "cancelled": "✗",
  "skipped": "–"
}

const isSettled = ({ state }: NodeProgress) => state === "finished" || state === "skipped"

const advance = (before: NodeProgress | undefined, row: EventRow, name: string, state: NodeState): NodeProgress => ({
  name,
  state,
  startedAtMs: state === "in-progress" ? before?.startedAtMs ?? row.timestampMs : before?.startedAtMs ?? null,
  atMs: row.timestampMs
})

const nodeLine = (node: NodeProgress): string => {
  const took = node.startedAtMs !== null && node.state !== "in-progress"
    ? dim(`  ${span(node.atMs - node.startedAtMs)}`)
    : ""
  return `${ofState(node.state)(`${symbols[node.state] ?? "◌"} ${node.state.padEnd(16)}`)} ${node.name}${took}`
}

/** As many nodes as fit: all that are open before those that are settled, and how many are not shown. */
const picture = (nodes: ReadonlyArray<NodeProgress>, rows: number): ReadonlyArray<string> => {
  const room = Math.max(3, rows - 3)
  if (nodes.length <= room) return nodes.map(nodeLine)
  const open = nodes.filter((node) => !isSettled(node)).slice(0, room)
  const settled = nodes.filter(isSettled)
  const shown = new Set([...open, ...(open.length < room ? settled.slice(open.length - room) : [])])
  const finished = settled.length
  return [
    ...nodes.filter((node) => shown.has(node)).map(nodeLine),
    dim(`${finished} of ${nodes.length} nodes settled, ${nodes.length - shown.size} not shown`)
  ]
}

const escape = String.fromCharCode(27)

/**
 * Shows a run as its events come: on a terminal the nodes with their states, drawn in place; elsewhere a line for each
 * event. `break` leaves what was drawn and goes on below it.
 */
export const make = Effect.gen(function*() {
  const output = yield* Output
  const nodes = new Map<string, NodeProgress>()
  let drawn = 0

  const redraw = Effect.gen(function*() {
    const { columns, rows } = yield* output.size
    const lines = picture([...nodes.values()], rows === 0 ? 24 : rows)
      .map((line) => plain(line).length < columns ? line : plain(line).slice(0, columns - 1))
    const back = drawn === 0 ? "" : `${escape}[${drawn}A${escape}[0J`
    drawn = lines.length
    yield* output.draw(`${back}${lines.map((line) => `${line}\n`).join("")}`)
  })

  return {
    show: (row: EventRow): Effect.Effect<void> => {
      if (!output.live) return output.say(eventLine(row))
      const name = nodeName(row)
      const state = stateAfter.get(row.event)
      if (name === null || state === undefined) return Effect.void
      nodes.set(name, advance(nodes.get(name), row, name, state))
      return redraw
    },
    break: Effect.sync(() => {
      drawn = 0
    })
  }
})

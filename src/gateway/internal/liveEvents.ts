import type { RunEvent, RunEventType } from "../../model/index.ts"
import type { StreamedEvent } from "../contract.ts"

export interface LiveEvent {
  readonly event: string
  readonly payload: Readonly<Record<string, unknown>>
}

type Translate = (event: RunEvent) => LiveEvent

const node =
  (name: string, state: string, more?: (event: RunEvent) => Record<string, unknown>): Translate => (event) => ({
    event: name,
    payload: { runId: event.runId, nodeId: event.nodeId, state, ...more?.(event) }
  })
const iteration = ({ iteration }: RunEvent) => ({ iteration: iteration ?? 0 })
const attempt = (event: RunEvent) => ({ ...iteration(event), attempt: event.attempt ?? 0 })

const approval = (name: string, more?: Record<string, unknown>): Translate => (event) => ({
  event: name,
  payload: { runId: event.runId, nodeId: event.nodeId, ...iteration(event), ...more }
})

const completed = (status: string): Translate => ({ data, runId }) => ({
  event: "run.completed",
  payload: { runId, status, ...(data["error"] === undefined ? {} : { error: data["error"] }) }
})

/**
 * Journal events that have a name on the live wire (`wire-protocol.md` §5.1), and what they say there. Those of sandboxes
 * have none on purpose (§9): they are stored, listed and streamed under their own names.
 */
const table: Partial<Record<RunEventType, Translate>> = {
  NodePending: node("node.pending", "pending", iteration),
  NodeStarted: node("node.started", "in-progress"),
  NodeFinished: node("node.finished", "finished"),
  NodeFailed: node("node.failed", "failed", ({ data }) => ({ error: data["error"] ?? null })),
  NodeSkipped: node("node.skipped", "skipped"),
  NodeCancelled: node("node.cancelled", "cancelled"),
  NodeRetrying: node("node.retrying", "in-progress", ({ attempt }) => ({ attempt })),
  NodeWaitingApproval: node("node.waiting_approval", "waiting", iteration),
  NodeWaitingTimer: node("node.waiting_timer", "waiting", iteration),
  ApprovalRequested: approval("approval.requested"),
  ApprovalGranted: approval("approval.decided", { approved: true }),
  ApprovalDenied: approval("approval.decided", { approved: false }),
  NodeOutput: ({ data, nodeId, runId }) => ({
    event: "task.output",
    payload: { runId, nodeId, output: data["text"] ?? "", stream: data["stream"] ?? "stdout" }
  }),
  TaskHeartbeat: (event) => ({
    event: "task.heartbeat",
    payload: { runId: event.runId, nodeId: event.nodeId, ...attempt(event) }
  }),
  RunFinished: completed("finished"),
  RunFailed: completed("failed"),
  RunCancelled: completed("cancelled")
}

/** What connections without a stream of the run are told; undefined for events that are only stored. */
export const toLive = (event: RunEvent): LiveEvent | undefined => table[event.type]?.(event)

/** The event as stored (`wire-protocol.md` §5.2). */
export const storedPayload = (event: RunEvent): Readonly<Record<string, unknown>> => ({
  ...event.data,
  type: event.type,
  runId: event.runId,
  ...(event.nodeId === null ? {} : { nodeId: event.nodeId }),
  ...(event.iteration === null ? {} : { iteration: event.iteration }),
  ...(event.attempt === null ? {} : { attempt: event.attempt }),
  timestampMs: event.timestampMs
})

const streamed = new WeakMap<RunEvent, StreamedEvent>()

/** The event in a stream of its run; made once, however many streams it goes to. */
export const toStreamed = (event: RunEvent): StreamedEvent => {
  const known = streamed.get(event)
  if (known !== undefined) return known
  const live = toLive(event)
  const made: StreamedEvent = {
    type: "RunEvent",
    runId: event.runId,
    event: live?.event ?? event.type,
    payload: live?.payload ?? storedPayload(event),
    seq: event.seq,
    timestampMs: event.timestampMs
  }
  streamed.set(event, made)
  return made
}

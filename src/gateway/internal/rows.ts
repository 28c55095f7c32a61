import { DateTime } from "effect"
import type { Engine } from "../../engine/index.ts"
import {
  actorName,
  type Approval,
  type Attempt,
  type Node,
  type Run,
  type RunEvent,
  type RunId,
  type RunStatus
} from "../../model/index.ts"
import type { SandboxStore } from "../../sandbox/index.ts"
import type {
  ApprovalRow,
  AttemptRow,
  EventRow,
  NodeOutput,
  NodeStateRow,
  OutputField,
  RunDetail,
  RunRow,
  RunState,
  SandboxRow,
  WorkflowRow
} from "../contract.ts"
import { jsonText } from "./Json.ts"
import { storedPayload } from "./liveEvents.ts"

const iso = (atMs: number): string => DateTime.formatIso(DateTime.unsafeMake(atMs))

export const toRunRow = (run: Run): RunRow => ({
  runId: run.runId,
  parentRunId: run.parentRunId,
  workflowName: run.workflow,
  workflowKey: run.workflow,
  workflowPath: null,
  workflowHash: run.moduleRevision,
  status: run.status,
  createdAtMs: run.createdAtMs,
  startedAtMs: run.startedAtMs,
  finishedAtMs: run.finishedAtMs,
  heartbeatAtMs: run.heartbeatAtMs,
  runtimeOwnerId: run.ownerId,
  cancelRequestedAtMs: run.cancelRequestedAtMs,
  pauseRequestedAtMs: run.pauseRequestedAtMs,
  hijackRequestedAtMs: null,
  hijackTarget: null,
  vcsType: null,
  vcsRoot: null,
  vcsRevision: null,
  errorJson: run.error === null ? null : jsonText(run.error),
  configJson: jsonText({
    gatewaySystem: false,
    gatewayWorkflowKey: run.workflow,
    gatewayTriggeredBy: actorName(run.actor),
    startedBy: run.startedBy ?? undefined
  }),
  cancelRequestId: null,
  cancelRequestSource: null,
  cancelRequestClientIdentity: null,
  cancelRequestClientPid: null,
  system: false,
  startedBy: run.startedBy ?? undefined,
  orgId: run.orgId,
  projectId: run.projectId,
  hold: run.hold
})

const stateOf = (status: RunStatus): RunState["state"] =>
  status === "finished" || status === "continued" ? "succeeded" : status

const toBlocked = (blocked: Engine.Blocked): NonNullable<RunState["blocked"]> => {
  switch (blocked.kind) {
    case "approval":
      return { kind: "approval", nodeId: blocked.nodeId, requestedAt: iso(blocked.requestedAtMs) }
    case "event":
      return blocked
    case "timer":
      return { kind: "timer", nodeId: blocked.nodeId, wakeAt: iso(blocked.wakeAtMs) }
  }
}

export const toRunDetail = ({ blocked, run, summary }: Engine.RunView, nowMs: number): RunDetail =>
  // Not a spread: copying the members one by one costs as much as all the rest.
  Object.assign(toRunRow(run), {
    summary,
    runState: {
      runId: run.runId,
      computedAt: iso(nowMs),
      state: stateOf(run.status),
      blocked: blocked === null ? undefined : toBlocked(blocked)
    },
    input: run.input,
    output: run.output,
    error: run.error
  })

export const toApprovalRow = (approval: Approval): ApprovalRow => ({
  runId: approval.runId,
  workflowKey: approval.workflow,
  nodeId: approval.nodeId,
  iteration: approval.iteration,
  requestTitle: approval.title,
  requestSummary: approval.summary,
  requestedAtMs: approval.requestedAtMs,
  approvalMode: "decision",
  options: [],
  allowedScopes: approval.allowedScopes,
  allowedUsers: approval.allowedUsers,
  autoApprove: null,
  payload: approval.payload,
  payloadSha256: approval.payloadSha256,
  owner: approval.owner,
  fallbackOwner: approval.fallbackOwner
})

export const toWorkflowRow = (workflow: Engine.WorkflowInfo): WorkflowRow => ({
  key: workflow.key,
  hasUi: false,
  uiPath: null,
  system: false,
  ...(workflow.title !== null && { readableName: workflow.title }),
  ...(workflow.description !== null && { description: workflow.description }),
  inputSchema: workflow.inputSchema
})

export const toEventRow = (event: RunEvent): EventRow => ({
  runId: event.runId,
  seq: event.seq,
  event: event.type,
  payload: storedPayload(event),
  timestampMs: event.timestampMs
})

export const toNodeStateRow = (node: Node): NodeStateRow => ({
  nodeId: node.nodeId,
  iteration: node.iteration,
  state: node.state,
  lastAttempt: node.attempt,
  updatedAtMs: node.updatedAtMs,
  label: node.label,
  startedAtMs: node.startedAtMs,
  finishedAtMs: node.finishedAtMs,
  kind: node.kind,
  parentNodeId: node.parentNodeId,
  error: node.error,
  cached: node.cached
})

export const toAttemptRow = (attempt: Attempt): AttemptRow => ({
  runId: attempt.runId,
  nodeId: attempt.nodeId,
  iteration: attempt.iteration,
  attempt: attempt.attempt,
  state: attempt.state,
  startedAtMs: attempt.startedAtMs,
  finishedAtMs: attempt.finishedAtMs,
  heartbeatAtMs: attempt.heartbeatAtMs,
  heartbeatDataJson: null,
  errorJson: attempt.error === null ? null : jsonText(attempt.error),
  jjPointer: null,
  responseText: null,
  jjCwd: null,
  cached: attempt.cached,
  metaJson: null
})

export const toSandboxRow = (row: SandboxStore.SandboxRow, runId: RunId, showsHost: boolean): SandboxRow => ({
  ...row,
  runId,
  policy: {
    ...row.policy,
    volumes: row.policy.volumes.map(({ source, target }) => ({ source: showsHost ? source : null, target }))
  }
})

const typeOf = (value: unknown): OutputField["type"] => {
  if (value === null) return "null"
  if (Array.isArray(value)) return "array"
  switch (typeof value) {
    case "string":
    case "number":
    case "boolean":
    case "object":
      return typeof value as OutputField["type"]
    default:
      return "unknown"
  }
}

/** What is known of an output's shape is the output itself. */
const fieldsOf = (output: unknown): ReadonlyArray<OutputField> =>
  typeof output !== "object" || output === null || Array.isArray(output) ? [] : Object.entries(output).map((
    [name, value]
  ) => ({ name, type: typeOf(value), optional: false, nullable: value === null }))

export const toNodeOutput = ({ attempt, error, output, state }: Node): NodeOutput => {
  if (state === "failed") {
    const { message, name } = error ?? { name: "Error", message: "" }
    return { status: "failed", row: null, schema: { fields: [] }, partial: null, error: { name, message, attempt } }
  }
  return state === "finished"
    ? { status: "produced", row: output, schema: { fields: fieldsOf(output) } }
    : { status: "pending", row: null, schema: { fields: [] } }
}

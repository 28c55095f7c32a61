import { sandboxEventText } from "../gateway/contract.ts"
import { type RunEventRow } from "./Client.ts"

/** The event's name in words, whichever of its two spellings (`node.waiting_timer`, `NodeWaitingTimer`) it came in. */
export const eventTitle = ({ event, payload }: RunEventRow): string => {
  if (event === "approval.decided") return payload.approved === true ? "Approval granted" : "Approval denied"
  if (event === "run.completed" && typeof payload.status === "string") return `Run ${payload.status}`
  if (event === "task.output") return "Node output"
  const words = event.replace(/([a-z])([A-Z])/g, "$1 $2").replace(/[._]/g, " ").toLowerCase()
  return words.charAt(0).toUpperCase() + words.slice(1)
}

const said = new Set(["type", "runId", "nodeId", "iteration", "attempt", "timestampMs", "correlation", "state"])

const short = (value: unknown): string => {
  const text = typeof value === "string" ? value : JSON.stringify(value) ?? ""
  return text.length > 160 ? `${text.slice(0, 159)}…` : text
}

const isFailure = (value: unknown): value is { readonly message: string } =>
  typeof value === "object" && value !== null && "message" in value && typeof value.message === "string"

/** Of a cache event what a person wants to know; keys and parts are for `cache explain`. */
const cacheSaid: Readonly<Record<string, ReadonlySet<string>>> = {
  CacheHit: new Set(["key"]),
  CacheMiss: new Set(["key", "parts"])
}

const isProducer = (value: unknown): value is { readonly nodeId: string; readonly runId: string | null } =>
  typeof value === "object" && value !== null && "nodeId" in value && "runId" in value

const entry = (key: string, value: unknown): string =>
  key === "error" && isFailure(value)
    ? short(value.message)
    : key === "producer" && isProducer(value)
    ? `from ${value.nodeId} of run ${value.runId ?? "-"}`
    : `${key}: ${short(value)}`

/** What else the event says, on one line. */
export const eventDetail = (row: RunEventRow): string => {
  const { payload } = row
  const title = eventTitle(row)
  const { attempt, iteration, nodeId } = payload
  const node = typeof nodeId !== "string"
    ? []
    : [typeof iteration === "number" && iteration > 0 ? `${nodeId} #${iteration}` : nodeId]
  const turn = typeof attempt === "number" && attempt > 1 ? [`attempt ${attempt}`] : []
  const sandbox = sandboxEventText(row.event, payload)
  if (sandbox !== undefined) return [...node, ...turn, sandbox].join(" · ")
  const rest = Object.entries(payload)
    .filter(([key, value]) =>
      !said.has(key) && cacheSaid[row.event]?.has(key) !== true && value !== null && value !== undefined
    )
    .filter(([key, value]) => key !== "approved" && !(key === "status" && title.endsWith(` ${String(value)}`)))
    .map(([key, value]) => entry(key, value))
  return [...node, ...turn, ...rest].join(" · ")
}

import { type Evidence, type Line, type StoredEvent } from "./Evidence.ts"
import { type SeenEvent } from "./Subscriber.ts"

/** What one look at a run leaves for the next one to compare with. */
export interface Acknowledged {
  /** Of every acknowledged task: its executions so far, and the one whose result was stored. */
  readonly tasks: ReadonlyMap<string, { readonly executions: number; readonly nonce: string }>
  readonly events: ReadonlyArray<StoredEvent>
}

export const nothingYet: Acknowledged = { tasks: new Map(), events: [] }

const key = ({ attempt, nodeId, seq, timestampMs, type }: StoredEvent) =>
  `${seq} ${type} ${nodeId} ${attempt} ${timestampMs}`

const grouped = <A>(items: ReadonlyArray<A>, keyOf: (item: A) => string): ReadonlyMap<string, ReadonlyArray<A>> => {
  const groups = new Map<string, Array<A>>()
  for (const item of items) {
    const group = groups.get(keyOf(item))
    if (group === undefined) groups.set(keyOf(item), [item])
    else group.push(item)
  }
  return groups
}

/** Everything that must hold after every kill; answers what does not. */
export const judge = (
  evidence: Evidence,
  before: Acknowledged,
  seen: ReadonlyArray<SeenEvent>,
  launched: boolean
): { readonly violations: ReadonlyArray<string>; readonly acknowledged: Acknowledged } => {
  const { attempts, events, lines, nodes, problems, status } = evidence
  const violations = [...problems]
  if (launched && status === undefined) violations.push("the launch was acknowledged and the run is not there")
  if (status !== undefined && !["running", "finished"].includes(status)) violations.push(`the run is ${status}`)

  events.forEach(({ seq }, i) => {
    if (seq !== i + 1) violations.push(`event ${seq} stands at place ${i + 1}`)
  })
  before.events.forEach((event, i) => {
    if (events[i] === undefined || key(events[i]) !== key(event)) violations.push(`event ${key(event)} has changed`)
  })
  seen.forEach(({ nodeId, seq, timestampMs }) => {
    const stored = events[seq - 1]
    if (stored === undefined || stored.nodeId !== nodeId || stored.timestampMs !== timestampMs) {
      violations.push(`event ${seq} was seen and is not stored like that`)
    }
  })
  for (const type of ["RunStarted", "RunFinished"]) {
    if (events.filter((event) => event.type === type).length > 1) violations.push(`${type} twice`)
  }

  const executions = grouped(lines, ({ nodeId }) => nodeId)
  for (const [task, of] of executions) violations.push(...judgeExecutions(task, of))
  const ends = grouped(events.filter(({ type }) => type === "NodeFinished"), ({ nodeId }) => nodeId ?? "")
  const attemptsOf = grouped(attempts, ({ nodeId }) => nodeId)
  const tasks = new Map<string, { readonly executions: number; readonly nonce: string }>()
  for (const { attempt, kind, nodeId, output, state } of nodes) {
    const finished = ends.get(nodeId) ?? []
    if ((state === "finished" ? 1 : 0) !== finished.length) {
      violations.push(`${nodeId} is ${state} and has ${finished.length} NodeFinished`)
    }
    if (kind !== "task" || state !== "finished") continue
    const { nonce } = JSON.parse(output ?? "{}") as { readonly nonce?: string }
    const of = executions.get(nodeId) ?? []
    const acknowledged = of.at(-1)
    if (nonce === undefined || acknowledged?.nonce !== nonce) {
      violations.push(`the stored result of ${nodeId} is not that of its last execution`)
    }
    if (acknowledged?.attempt !== attempt || finished[0]?.attempt !== attempt) {
      violations.push(`${nodeId}: attempts ${acknowledged?.attempt}, ${finished[0]?.attempt} and ${attempt} differ`)
    }
    const stored = attemptsOf.get(nodeId) ?? []
    // An attempt that came to a result is told by the node's row; every one before it has a row of its own.
    const told = stored.some((one) => one.attempt === attempt)
      ? stored
      : [...stored, { nodeId, attempt, state: "finished" }]
    const complete = told.every((one, i) => one.attempt === i + 1 && (one.state === "finished") === (i === attempt - 1))
    if (!complete || told.length !== attempt) {
      violations.push(`${nodeId} has the attempts ${stored.map((one) => `${one.attempt} ${one.state}`).join(", ")}`)
    }
    const earlier = before.tasks.get(nodeId)
    if (earlier !== undefined && (earlier.executions !== of.length || earlier.nonce !== nonce)) {
      violations.push(`${nodeId} was executed again after it had been acknowledged`)
    }
    tasks.set(nodeId, { executions: of.length, nonce: nonce ?? "" })
  }
  for (const nodeId of before.tasks.keys()) {
    if (!tasks.has(nodeId)) violations.push(`${nodeId} was acknowledged and is not any more`)
  }
  return { violations, acknowledged: { tasks, events } }
}

/** A task is executed again because its process died, and for no other reason. */
const judgeExecutions = (task: string, lines: ReadonlyArray<Line>): ReadonlyArray<string> => {
  const violations: Array<string> = []
  if (new Set(lines.map(({ pid }) => pid)).size !== lines.length) {
    violations.push(`${task} was executed twice by one process`)
  }
  lines.forEach(({ attempt }, i) => {
    if (i > 0 && attempt < lines[i - 1]!.attempt) violations.push(`${task}: attempts go back to ${attempt}`)
  })
  return violations
}

/** What must hold of a run that has finished, besides. */
export const judgeFinished = (evidence: Evidence, seen: ReadonlyArray<SeenEvent>, tasks: number): Array<string> => {
  const violations: Array<string> = []
  if (evidence.status !== "finished") violations.push(`the run is ${evidence.status}`)
  if (seen.length !== evidence.events.length) {
    violations.push(`the subscriber has ${seen.length} events, ${evidence.events.length} are stored`)
  }
  const finished = evidence.nodes.filter(({ kind, state }) => kind === "task" && state === "finished").length
  if (finished !== tasks) violations.push(`${finished} of ${tasks} tasks are finished`)
  const unfinished = evidence.attempts.filter(({ state }) => state === "in-progress")
  if (unfinished.length > 0) violations.push(`${unfinished.length} attempts are still in progress`)
  return violations
}

import { Clock, Context, Effect } from "effect"
import type { RunStore } from "../journal/index.ts"
import { nodeKey, type NodeKind, type NodeState, type RunEventType } from "../model/index.ts"
import type { Write } from "../persistence/index.ts"
import type { ActiveRun, Entry, WaitKind } from "./internal/ActiveRun.ts"
import { refuseSecretId } from "./internal/CurrentStep.ts"
import { shown } from "./internal/SecretCheck.ts"
import { CurrentGroup } from "./Step.ts"

/** A node that waits for something from outside of the run's body. */
interface DurableWait {
  readonly nodeId: string
  readonly iteration: number
  readonly kind: NodeKind
  readonly label: string | null
  readonly wait: Exclude<WaitKind, "pause" | "quota">
  /** What else commits together with the node's start to wait. */
  readonly opening?: (atMs: number) => Entry
  /** What takes it back when the body gives the wait up; a wait without it stays open for its result. */
  readonly withdrawal?: ReadonlyArray<Write.Write<unknown>>
}

const states: Record<DurableWait["wait"], { readonly state: NodeState; readonly event: RunEventType }> = {
  approval: { state: "waiting-approval", event: "NodeWaitingApproval" },
  event: { state: "waiting-event", event: "NodeWaitingEvent" },
  timer: { state: "waiting-timer", event: "NodeWaitingTimer" }
}

/**
 * Waits for a node's result, which is committed by whoever brings it (`completion`). The wait is registered before it is
 * made visible, and both sides commit against the node's row, so that neither order loses the result.
 */
export const awaitNode = (
  run: ActiveRun,
  options: DurableWait,
  stored: RunStore.StoredNode | undefined
): Effect.Effect<RunStore.StoredNode> => {
  if (stored?.state === "finished") return Effect.succeed(stored)
  const { event, state } = states[options.wait]
  const { runs } = run.services
  const { iteration, nodeId } = options
  const open = Effect.flatMap(
    Effect.zipRight(refuseSecretId(run, nodeId), Clock.currentTimeMillis),
    (now) =>
      Effect.withFiberRuntime<void, RunStore.NodeCompleted>((fiber) => {
        const also = options.opening?.(now)
        const waits = { runId: run.runId, type: event, timestampMs: now, nodeId, iteration }
        const node = runs.openNode({
          runId: run.runId,
          nodeId,
          iteration,
          ordinal: run.nextOrdinal,
          kind: options.kind,
          label: shown(run.services.guard, options.label),
          parentNodeId: Context.get(fiber.currentContext, CurrentGroup),
          state,
          attempt: 1,
          outputJson: null,
          error: null,
          startedAtMs: now,
          finishedAtMs: null,
          updatedAtMs: now
        })
        return run.commit({ units: [node, ...also?.units ?? []], events: [...also?.events ?? [], waits] }, now)
      })
  )
  const giveUp = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    run.stored.delete(nodeKey(nodeId, iteration))
    return run.commit({
      units: [runs.withdrawNode(run.runId, nodeId, iteration, now), ...options.withdrawal ?? []],
      events: [{ runId: run.runId, type: "NodeCancelled", timestampMs: now, nodeId, iteration }]
    }, now)
  })
  const waited = run.wait(
    nodeId,
    iteration,
    options.wait,
    // If the result was there first, whoever committed it hands it over too.
    stored?.state === state ? Effect.void : Effect.catchTag(open, "NodeCompleted", () => Effect.void)
  )
  return Effect.onInterrupt(
    waited,
    () => options.withdrawal !== undefined && run.interruptedByItself ? giveUp : Effect.void
  )
}

/** The result of a node that waits or will wait. */
export interface CompletedNode {
  readonly runId: string
  readonly nodeId: string
  readonly iteration: number
  readonly kind: NodeKind
  readonly outputJson: string | null
}

/** The result of a node that waits or will wait, with everything that has to commit together with it. */
export const completion = (
  services: Pick<ActiveRun["services"], "runs" | "journal">,
  node: CompletedNode,
  atMs: number
): ReadonlyArray<Write.Write<unknown, RunStore.NodeCompleted | RunStore.RunChanged>> => [
  services.runs.unended(node.runId),
  services.runs.completeNode({
    ...node,
    ordinal: 0,
    label: null,
    parentNodeId: null,
    state: "finished",
    attempt: 1,
    error: null,
    startedAtMs: atMs,
    finishedAtMs: atMs,
    updatedAtMs: atMs
  }),
  services.journal.append({
    runId: node.runId,
    type: "NodeFinished",
    timestampMs: atMs,
    nodeId: node.nodeId,
    iteration: node.iteration
  }),
  services.runs.wake(node.runId)
]

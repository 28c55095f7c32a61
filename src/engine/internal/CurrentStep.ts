import { WorkflowEngine } from "@effect/workflow"
import { Context, Effect, Schema } from "effect"
import type { RunStore } from "../../journal/index.ts"
import { Iteration, NodeId, nodeKey } from "../../model/index.ts"
import { ActiveRun } from "./ActiveRun.ts"
import { refuseSecrets } from "./SecretCheck.ts"

/** The group that steps stand in; part of the node tree, not of a node's identity. */
export class CurrentGroup extends Context.Reference<CurrentGroup>()("smithers-orchestrator/engine/CurrentGroup", {
  defaultValue: (): string | null => null
}) {}

/** The turn of the loop that steps belong to; part of a node's identity. */
export class CurrentIteration extends Context.Reference<CurrentIteration>()(
  "smithers-orchestrator/engine/CurrentIteration",
  { defaultValue: () => 0 }
) {}

/** The run that this code is the body of. */
export const currentRun: Effect.Effect<ActiveRun, never, WorkflowEngine.WorkflowInstance> = Effect.flatMap(
  WorkflowEngine.WorkflowInstance,
  (instance) =>
    "run" in instance && instance.run instanceof ActiveRun
      ? Effect.succeed(instance.run)
      : Effect.dieMessage("Durable steps need the engine of smithers-orchestrator to execute the workflow.")
)

const isNodeId = Schema.is(NodeId)
const isIteration = Schema.is(Iteration)

/** Where the caller's caller stands; cheap, the text is made only when somebody reads it. */
export const here = (below: (...args: Array<never>) => unknown): { readonly stack?: string } => {
  const site: { stack?: string } = {}
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 1
  Error.captureStackTrace(site, below)
  Error.stackTraceLimit = limit
  return site
}

/** The id of a node is stored wherever the node is told of: it must not be, or hold, a secret. */
export const refuseSecretId = (run: ActiveRun, id: string): Effect.Effect<void> =>
  Effect.orDie(refuseSecrets(run.services.guard, { field: "step id", text: id }))

/** Takes the identity of a step in its run and looks up what the journal has of it. */
export const enter = (
  run: ActiveRun,
  id: string,
  iteration: number,
  site: { readonly stack?: string }
): Effect.Effect<RunStore.StoredNode | undefined> =>
  !isNodeId(id)
    ? Effect.dieMessage(`Step id ${id} is not 1 to 128 characters of a-z A-Z 0-9 : _ -`)
    : !isIteration(iteration)
    ? Effect.dieMessage(`Iteration ${iteration} of step ${id} is not a whole number from 0 to 1000000`)
    : Effect.flatMap(Effect.zipRight(refuseSecretId(run, id), run.claim(id, iteration, site)), () => {
      const stored = run.stored.get(nodeKey(id, iteration))
      // Who lost a race before lets the winner, whose result is stored, win it again.
      return stored?.state === "cancelled" ? Effect.as(nextTurn, stored) : Effect.succeed(stored)
    })

const nextTurn = Effect.async<void>((resume) => {
  const handle = setImmediate(() => resume(Effect.void))
  return Effect.sync(() => clearImmediate(handle))
})

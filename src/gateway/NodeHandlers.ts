import { Effect, Option } from "effect"
import { Engine, NodeNotFound } from "../engine/index.ts"
import { RunStore } from "../journal/index.ts"
import { Authorized, Caller } from "./Caller.ts"
import { GetNodeOutput, ListAttempts, ListNodeStates, NodeRpcs, RetryTask } from "./contract.ts"
import { toAttemptRow, toNodeOutput, toNodeStateRow } from "./internal/rows.ts"
import { failAs } from "./internal/wireErrors.ts"

/** Answers `NodeRpcs` from the rows of nodes and attempts, and the engine. */
export const layer = NodeRpcs.middleware(Authorized).toLayer(Effect.gen(function*() {
  const engine = yield* Engine.Engine
  const runs = yield* RunStore.RunStore
  const gettingOutput = failAs(GetNodeOutput.errorSchema)
  const listingNodes = failAs(ListNodeStates.errorSchema)
  const listingAttempts = failAs(ListAttempts.errorSchema)
  const retrying = failAs(RetryTask.errorSchema)

  return {
    getNodeOutput: ({ iteration, nodeId, runId }) =>
      Effect.gen(function*() {
        const node = yield* runs.findNode(runId, nodeId, iteration)
        if (Option.isSome(node)) return toNodeOutput(node.value)
        yield* runs.get(runId)
        return yield* new NodeNotFound({ runId, nodeId, iteration })
      }).pipe(gettingOutput),

    listNodeStates: ({ runId }) =>
      Effect.gen(function*() {
        yield* runs.get(runId)
        return (yield* runs.nodes(runId)).map(toNodeStateRow)
      }).pipe(listingNodes),

    "attempts.list": ({ iteration, nodeId, runId }) =>
      Effect.gen(function*() {
        yield* runs.get(runId)
        const attempts = yield* runs.attempts(runId)
        return attempts
          .filter((attempt) =>
            (nodeId === undefined || attempt.nodeId === nodeId) &&
            (iteration === undefined || attempt.iteration === iteration)
          )
          .map(toAttemptRow)
      }).pipe(listingAttempts),

    retryTask: ({ iteration, nodeId, resetDependents, runId }) =>
      Effect.gen(function*() {
        const { actor } = yield* Caller
        const resetNodes = yield* engine.retry({ runId, nodeId, iteration, resetDependents, actor })
        return { runId, nodeId, iteration, resetNodes, status: "retry_requested" as const }
      }).pipe(retrying)
  }
}))

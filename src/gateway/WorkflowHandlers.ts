import { Effect } from "effect"
import { Engine } from "../engine/index.ts"
import { Authorized } from "./Caller.ts"
import { WorkflowRpcs } from "./contract.ts"
import { listWorkflows } from "./internal/listWorkflows.ts"

/** Answers `WorkflowRpcs` from the engine. */
export const layer = WorkflowRpcs.middleware(Authorized).toLayer(Effect.gen(function*() {
  const engine = yield* Engine.Engine
  return {
    listWorkflows: ({ filter, hasUi }) => listWorkflows(engine, filter?.hasUi ?? hasUi)
  }
}))

import { Effect } from "effect"
import type { Engine } from "../../engine/index.ts"
import type { WorkflowRow } from "../contract.ts"
import { toWorkflowRow } from "./rows.ts"

/** Workflows sorted by key. None is a system one, and none has a page of its own, as yet. */
export const listWorkflows = (
  engine: Engine.Engine["Type"],
  hasUi?: boolean | undefined
): Effect.Effect<ReadonlyArray<WorkflowRow>> =>
  Effect.map(engine.workflows, (workflows) =>
    workflows
      .map(toWorkflowRow)
      .filter((row) => hasUi === undefined || row.hasUi === hasUi)
      .sort((a, b) => a.key < b.key ? -1 : 1))

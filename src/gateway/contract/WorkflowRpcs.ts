import { Rpc, RpcGroup } from "@effect/rpc"
import { Schema } from "effect"
import { WorkflowName } from "../../model/index.ts"
import { Aliases, ForTenants, RequiredScope } from "./Annotations.ts"
import { failures } from "./Failure.ts"

export const WorkflowRow = Schema.Struct({
  key: WorkflowName,
  hasUi: Schema.Boolean,
  uiPath: Schema.NullOr(Schema.String),
  system: Schema.Boolean,
  readableName: Schema.optional(Schema.String),
  description: Schema.optional(Schema.String),
  /** JSON Schema of the launch input, null when it has none; ours. */
  inputSchema: Schema.Unknown
})
export type WorkflowRow = typeof WorkflowRow.Type

const filterFields = { hasUi: Schema.optional(Schema.Boolean), includeSystem: Schema.optional(Schema.Boolean) }

export const ListWorkflows = Rpc.make("listWorkflows", {
  payload: { filter: Schema.optional(Schema.Struct(filterFields)), ...filterFields },
  success: Schema.Array(WorkflowRow),
  error: failures()
}).annotate(ForTenants, "shared").annotate(RequiredScope, "run:read").annotate(Aliases, ["workflows.list"])

/** Workflows that can be launched. */
export const WorkflowRpcs = RpcGroup.make(ListWorkflows)

import { Schema } from "effect"
import { Sandbox, Workflow } from "smithers-orchestrator/workflow"

const Remote = Workflow.make({
  name: "remote",
  payload: { word: Schema.String },
  success: Schema.Struct({ user: Schema.String }),
  error: Schema.Union(Sandbox.SandboxFailed, Sandbox.ReviewRejected),
  idempotencyKey: ({ word }) => word
})

/** A sandbox that runs wherever a worker takes it. */
export const layer = Remote.toLayer(({ word }) =>
  Sandbox.run({
    id: "elsewhere",
    runtime: "remote",
    input: { word },
    command: ["/bin/sh", "-c", `grep -q '"word"' "$SMITHERS_SANDBOX_REQUEST_PATH" && echo '{"user":"'$(id -u)'"}'`],
    output: Schema.Struct({ user: Schema.String }),
    reviewDiffs: false,
    retry: { times: 3 }
  })
)

import { Effect, Schema } from "effect"
import { Sandbox, Workflow } from "smithers-orchestrator/workflow"

const Box = Workflow.make({
  name: "box",
  payload: { files: Schema.String, script: Schema.String },
  success: Schema.Unknown,
  error: Schema.Union(Sandbox.SandboxFailed, Sandbox.ReviewRejected),
  idempotencyKey: ({ files, script }) => `${files} ${script}`
})

/** Executes a script on a copy of some files and asks before it brings back what changed. */
export const layer = Box.toLayer(Effect.fnUntraced(function*({ files, script }) {
  return yield* Sandbox.run({
    id: "edit",
    input: null,
    output: Schema.Unknown,
    command: ["sh", "-c", script],
    files: { from: files }
  })
}))

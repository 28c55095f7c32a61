import { Schema } from "effect"
import { Sandbox, Title, Workflow } from "smithers-orchestrator/workflow"

/** Changes two files of a directory, after a review. */
const Edit = Workflow.make({
  name: "edit",
  payload: { files: Schema.String },
  success: Schema.Unknown,
  error: Schema.Union(Sandbox.SandboxFailed, Sandbox.ReviewRejected),
  idempotencyKey: ({ files }) => files
}).annotate(Title, "Edit")

export const layer = Edit.toLayer(({ files }) =>
  Sandbox.run({
    id: "edit",
    runtime: "process",
    input: null,
    output: Schema.Unknown,
    command: ["sh", "-c", "for f in one two; do echo changed >> $f.txt; done"],
    files: { from: files }
  })
)

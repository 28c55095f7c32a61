import { Effect, Schema } from "effect"
import { randomUUID } from "node:crypto"
import { appendFileSync } from "node:fs"
import { Task, Workflow } from "smithers-orchestrator/workflow"

// The module that the service of the crash campaign loads. A task leaves one line in a file: whatever happened to the
// process, the file knows how often the task was executed, by which process and with which result.

export const workflowName = "crash-campaign"

const CrashCampaign = Workflow.make({
  name: workflowName,
  payload: { file: Schema.String, tasks: Schema.Int },
  success: Schema.Int,
  idempotencyKey: ({ file }) => file
})

const Nonce = Schema.Struct({ nonce: Schema.String })

/** Milliseconds before and after the line: a kill meets tasks on either side of their effect. */
const longestBefore = 20
const longestAfter = 10

const task = (file: string, index: number) =>
  Task.run({
    id: `task-${index}`,
    output: Nonce,
    execute: ({ attempt, idempotencyKey }) =>
      Effect.gen(function*() {
        const nonce = randomUUID()
        yield* Effect.sleep(Math.random() * longestBefore)
        yield* Effect.sync(() => appendFileSync(file, `${idempotencyKey} ${attempt} ${process.pid} ${nonce}\n`))
        // Half of the tasks end at once: their start and their end are one commit.
        if (index % 2 === 0) yield* Effect.sleep(Math.random() * longestAfter)
        return { nonce }
      })
  })

/**
 * A third of the tasks one after the other, then the others four at a time.
 * @public loaded by the service
 */
export const layer = CrashCampaign.toLayer(Effect.fnUntraced(function*({ file, tasks }) {
  const inOrder = Math.floor(tasks / 3)
  for (let i = 0; i < inOrder; i++) yield* task(file, i)
  yield* Effect.forEach(Array.from({ length: tasks - inOrder }, (_, i) => inOrder + i), (i) => task(file, i), {
    concurrency: 4,
    discard: true
  }).pipe(Task.group("others"))
  return tasks
}))

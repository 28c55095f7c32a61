import { Effect, Layer, Schema } from "effect"
import { Approval, Task, Workflow } from "smithers-orchestrator/workflow"

const Greeting = Schema.Struct({ text: Schema.String })

const Greet = Workflow.make({
  name: "greet",
  payload: { name: Schema.String },
  success: Greeting,
  error: Approval.ApprovalDenied,
  idempotencyKey: ({ name }) => name
})

class Rude extends Schema.TaggedError<Rude>()("Rude", { word: Schema.String }) {
  override get message(): string {
    return `"${this.word}" is rude`
  }
}

const Insult = Workflow.make({
  name: "insult",
  payload: { word: Schema.String },
  success: Schema.Void,
  error: Rude,
  idempotencyKey: ({ word }) => word
})

const Double = Workflow.make({
  name: "double",
  payload: { n: Schema.Number, times: Schema.Number },
  success: Schema.Number,
  idempotencyKey: ({ n, times }) => `${n}*${times}`
})

const doubling = Double.toLayer(({ n, times }) =>
  Task.run({
    id: "multiply",
    output: Schema.Number,
    cache: { by: { n, times }, version: "1", tags: ["arithmetic"] },
    execute: Effect.succeed(n * times)
  })
)

const greeting = Greet.toLayer(Effect.fnUntraced(function*({ name }) {
  const greeting = yield* Task.run({
    id: "compose",
    output: Greeting,
    execute: Effect.succeed({ text: `Hello ${name}` })
  })
  yield* Approval.request({ id: "send", title: "Send this?", payload: greeting })
  return greeting
}))

const insulting = Insult.toLayer(({ word }) =>
  Task.run({ id: "say", output: Schema.Void, error: Rude, execute: new Rude({ word }) })
)

export const layer = Layer.mergeAll(greeting, insulting, doubling)

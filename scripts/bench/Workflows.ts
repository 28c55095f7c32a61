import { Effect, Layer, Schema } from "effect"
import { Approval, Task, Workflow } from "smithers-orchestrator/workflow"

/** `n` trivial steps, one after the other. */
const Steps = Workflow.make({
  name: "bench-steps",
  payload: { n: Schema.Int },
  success: Schema.Int,
  idempotencyKey: ({ n }) => String(n)
})

export const steps = Steps.toLayer(Effect.fnUntraced(function*({ n }) {
  let sum = 0
  for (let i = 0; i < n; i++) {
    sum += yield* Task.run({ id: `step-${i}`, output: Schema.Int, execute: Effect.succeed(1) })
  }
  return sum
}))

const Cached = Workflow.make({
  name: "bench-cached",
  payload: { n: Schema.Int },
  success: Schema.Int,
  idempotencyKey: ({ n }) => String(n)
})

/** The same steps, each of which may use the result of an earlier run. */
export const cached = Cached.toLayer(Effect.fnUntraced(function*({ n }) {
  let sum = 0
  for (let i = 0; i < n; i++) {
    sum += yield* Task.run({
      id: `step-${i}`,
      output: Schema.Int,
      cache: { version: "1", by: { i } },
      execute: Effect.succeed(1)
    })
  }
  return sum
}))

const Resumed = Workflow.make({
  name: "bench-resumed",
  payload: { n: Schema.Int },
  success: Schema.Void,
  idempotencyKey: ({ n }) => String(n)
})

/** `n` trivial steps, then one that calls `onLast` and does not end. */
export const resumed = (onLast: () => void) =>
  Resumed.toLayer(Effect.fnUntraced(function*({ n }) {
    for (let i = 0; i < n; i++) {
      yield* Task.run({ id: `step-${i}`, output: Schema.Int, execute: Effect.succeed(1) })
    }
    yield* Task.run({
      id: "last",
      output: Schema.Void,
      execute: Effect.suspend(() => {
        onLast()
        return Effect.never
      })
    })
  }))

const Parked = Workflow.make({
  name: "bench-parked",
  payload: {},
  success: Schema.Boolean,
  idempotencyKey: () => ""
})

/** One trivial step, then an approval that nobody gives. */
export const parked = Parked.toLayer(Effect.fnUntraced(function*() {
  yield* Task.run({ id: "prepare", output: Schema.Int, execute: Effect.succeed(1) })
  const { approved } = yield* Approval.ask({ id: "ship", title: "Ship it?", payload: { version: 1 } })
  return approved
}))

const Fanout = Workflow.make({
  name: "bench-fanout",
  payload: { n: Schema.Int },
  success: Schema.Int,
  idempotencyKey: ({ n }) => String(n)
})

/** Waits for an approval, so that everybody can subscribe, then does `n` steps, many at a time. */
const fanout = Fanout.toLayer(Effect.fnUntraced(function*({ n }) {
  yield* Approval.ask({ id: "go", title: "Go?", payload: { n } })
  yield* Effect.forEach(
    Array.from({ length: n }, (_, i) => i),
    (i) => Task.run({ id: `step-${i}`, output: Schema.Int, execute: Effect.succeed(1) }),
    { concurrency: 64, discard: true }
  )
  return n
}))

/**
 * This module as a workflow module.
 * @public loaded by the service
 */
export const layer = Layer.mergeAll(steps, parked, fanout)

import { Activity, type WorkflowEngine } from "@effect/workflow"
import { Effect, Redacted, Schema } from "effect"
import { Approval, DurableClock, Secrets, Task, Workflow } from "smithers-orchestrator/workflow"

const Free = Schema.Record({ key: Schema.String, value: Schema.String })
const Key = Schema.String.pipe(Secrets.allow("a key for tests, of no use to anybody"))

class Refused extends Schema.TaggedError<Refused>()("Refused", { by: Schema.String }) {
  override get message(): string {
    return `refused by ${this.by}`
  }
}

const Leak = Workflow.make({
  name: "leak",
  // The parts of a credential, which is put together in the workflow; empty: the value of env:CANARY.
  payload: {
    how: Schema.String,
    parts: Schema.Array(Schema.String),
    free: Schema.optional(Free),
    key: Schema.optional(Key)
  },
  success: Schema.Union(Free, Schema.Void),
  error: Refused,
  idempotencyKey: ({ how, parts }) => `${how}${parts.length}`
})

const output = (id: string, execute: Effect.Effect<Record<string, string>, Refused | string>, more: object = {}) =>
  Task.run({ id, output: Free, error: Refused, execute, ...more })

/** All the ways in which a workflow could have a secret stored. */
const ways = (
  how: string,
  canary: string
): Effect.Effect<Record<string, string>, Refused, WorkflowEngine.WorkflowEngine | WorkflowEngine.WorkflowInstance> => {
  switch (how) {
    case "output":
      return output("out", Effect.succeed({ fine: "x", key: canary }), { retry: { times: 3 } })
    case "key":
      return output("out", Effect.succeed({ [canary]: "x" }))
    case "encoded":
      return output("out", Effect.succeed({ key: Buffer.from(`x${canary}`).toString("base64") }))
    case "error":
      return output("out", new Refused({ by: canary }))
    case "retried":
      return output("out", new Refused({ by: canary }), { retry: { times: 1, backoff: "1 millis" } })
    case "undeclared":
      return output("out", Effect.fail(`no ${canary}`))
    case "defect":
      return output("out", Effect.die(new Error(`thrown: ${canary}`, { cause: canary })))
    case "misfit":
      // What the schema does not take is quoted by what refuses it.
      return output("out", Effect.succeed({ key: [canary] as never }))
    case "log":
      return Effect.logError(`logged ${canary}`, { deep: [canary] }, new Error(canary)).pipe(
        Effect.annotateLogs("note", canary),
        Effect.withLogSpan(canary),
        Effect.as({})
      )
    case "result":
      return Effect.succeed({ key: canary })
    case "approval":
      return Approval.ask({ id: "ask", title: "Go on?", payload: { a: [canary] } }).pipe(Effect.as({}))
    case "title":
      return Approval.ask({ id: "ask", title: `Use ${canary}?`, payload: {} }).pipe(Effect.as({}))
    case "label":
      return output("out", Effect.succeed({}), { label: `With ${canary}` }).pipe(Task.group("all", `All ${canary}`))
    case "id":
      return output(`id:${canary}`, Effect.succeed({}))
    case "clock":
      return DurableClock.sleep({ name: canary, duration: "2 minutes" }).pipe(Effect.as({}))
    case "activity":
      return Activity.make({ name: "act", success: Free, execute: Effect.succeed({ key: canary }) })
    case "activity-error":
      return Activity.make({ name: "act", success: Free, error: Refused, execute: new Refused({ by: canary }) })
    case "heartbeat":
      return Task.run({
        id: "out",
        output: Free,
        execute: ({ heartbeat }) => Effect.as(Effect.annotateLogs(heartbeat, "note", canary), {})
      })
    case "ask":
      return Approval.ask({ id: "ask", title: "Go on?", payload: {} }).pipe(Effect.as({}))
    default:
      return Effect.succeed({})
  }
}

export const layer = Leak.toLayer(({ how, parts }) =>
  Secrets.use(
    { provider: "env", name: "CANARY" },
    (value) => ways(how, parts.length === 0 ? Redacted.value(value) : parts.join(""))
  ).pipe(
    Effect.catchTags({ SecretNotFound: Effect.die, SecretUnavailable: Effect.die })
  )
)

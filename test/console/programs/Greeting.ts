import { Effect, Schema } from "effect"
import { Approval, Description, Task, Title, Workflow } from "smithers-orchestrator/workflow"

class NameRefused extends Schema.TaggedError<NameRefused>()("NameRefused", { message: Schema.String }) {}

const Text = Schema.String
const Texts = Schema.Array(Schema.String)

/** A small workflow with everything that the console shows: steps, a group, an approval, a result, a failure. */
const Greeting = Workflow.make({
  name: "greeting",
  payload: {
    name: Schema.String.annotations({ description: "Who is greeted." }),
    languages: Schema.optional(Schema.Int.pipe(Schema.positive()))
  },
  success: Schema.Struct({ greeting: Schema.String, note: Schema.NullOr(Schema.String) }),
  error: Schema.Union(NameRefused, Approval.ApprovalDenied),
  idempotencyKey: ({ name }) => name
}).annotate(Title, "Greeting").annotate(Description, "Greets somebody, after it was approved.")

export const layer = Greeting.toLayer(Effect.fnUntraced(function*({ name }) {
  const clean = yield* Task.run({
    id: "clean",
    label: "Clean the name",
    output: Text,
    error: NameRefused,
    execute: Effect.filterOrFail(
      Effect.succeed(name.trim()),
      (name) => name !== "nobody",
      () => new NameRefused({ message: "nobody cannot be greeted" })
    )
  })
  const drafts = yield* Effect.forEach(
    ["Hello", "Guten Tag"],
    (word) =>
      Task.run({ id: `draft:${word.split(" ")[0]}`, output: Text, execute: Effect.succeed(`${word}, ${clean}!`) }),
    { concurrency: "unbounded" }
  ).pipe(Task.group("drafts", "Drafts"))
  const { note } = yield* Approval.request({
    id: "send",
    title: "Send this greeting?",
    payload: { drafts, letter: `${drafts.join("\n")}\n\nYours` },
    owner: "postmaster",
    fallbackOwner: "director"
  })
  const sent = yield* Task.run({ id: "send-it", output: Texts, execute: Effect.succeed(drafts) })
  return { greeting: sent.join(" "), note }
}))

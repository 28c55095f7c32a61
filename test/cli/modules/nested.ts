import { Effect, Layer, Redacted, Schema } from "effect"
import fs from "node:fs"
import { connect } from "node:net"
import { Approval, DurableClock, Sandbox, Secrets, Task, Workflow } from "smithers-orchestrator/workflow"

const Seen = Schema.Struct({
  word: Schema.String,
  file: Schema.String,
  key: Schema.String,
  hostFile: Schema.Boolean,
  hostPort: Schema.Boolean
})

class Rude extends Schema.TaggedError<Rude>()("Rude", { word: Schema.String }) {
  override get message(): string {
    return `"${this.word}" is rude`
  }
}

/** Leaves the connection open: the program of the sandbox ends all the same. */
const reachable = (port: number) =>
  Effect.async<boolean>((resume) => {
    const socket = connect({ port, host: "127.0.0.1" })
    socket.on("connect", () => resume(Effect.succeed(true))).on("error", () => resume(Effect.succeed(false)))
    return Effect.sync(() => socket.destroy())
  })

/** What is executed within the sandbox: durable steps, a timer and a secret, in the copy of the files. */
const Inner = Workflow.make({
  name: "inner",
  payload: { word: Schema.String, hostFile: Schema.String, hostPort: Schema.Number },
  success: Seen,
  error: Rude,
  idempotencyKey: ({ word }) => word
})

const inner = Inner.toLayer(Effect.fnUntraced(function*({ hostFile, hostPort, word }) {
  if (word === "darn") return yield* new Rude({ word })
  yield* DurableClock.sleep({ name: "nap", duration: "1 millis", inMemoryThreshold: 0 })
  const file = yield* Task.run({
    id: "write",
    output: Schema.String,
    execute: Effect.sync(() => {
      const before = fs.readFileSync("note.txt", "utf8")
      fs.writeFileSync("note.txt", `${before}${word}\n`)
      return before
    })
  })
  const key = yield* Effect.orDie(
    Secrets.use({ provider: "env", name: "KEY" }, (value) => Effect.succeed(`${Redacted.value(value).length} chars`))
  )
  return { word, file, key, hostFile: fs.existsSync(hostFile), hostPort: yield* reachable(hostPort) }
}))

/** Asks somebody, whom there is not within a sandbox. */
const Asks = Workflow.make({
  name: "asks",
  payload: Schema.Struct({}),
  success: Schema.Void,
  error: Approval.ApprovalDenied,
  idempotencyKey: () => "one"
})
const asks = Asks.toLayer(() => Approval.request({ id: "ok", title: "Go on?", payload: null }))

/** A sandbox in a sandbox. */
const Boxed = Workflow.make({
  name: "boxed",
  payload: Schema.Struct({}),
  success: Schema.Unknown,
  error: Schema.Union(Sandbox.SandboxFailed, Sandbox.ReviewRejected),
  idempotencyKey: () => "one"
})
const boxed = Boxed.toLayer(() => Sandbox.run({ id: "deeper", input: null, command: ["true"], output: Schema.Unknown }))

const Outer = Workflow.make({
  name: "outer",
  payload: {
    workflow: Schema.String,
    files: Schema.String,
    input: Schema.Unknown,
    runtime: Schema.optional(Schema.Literal("bubblewrap", "process", "docker", "remote"))
  },
  success: Schema.Unknown,
  error: Schema.Union(Sandbox.SandboxFailed, Sandbox.ReviewRejected),
  idempotencyKey: ({ workflow }) => workflow
})

const outer = Outer.toLayer(Effect.fnUntraced(function*({ files, input, runtime, workflow }) {
  const options = {
    id: "cell",
    ...(runtime !== undefined && { runtime }),
    input,
    env: { KEY: "kestrel-4711" },
    files: { from: files },
    ...(runtime === "docker" && { image: "example" }),
    autoAcceptDiffs: true
  }
  return workflow === "inner"
    ? yield* Sandbox.run({ ...options, workflow: Inner, output: Seen })
    : yield* Sandbox.run({ ...options, workflow, output: Schema.Unknown })
}))

export const layer = Layer.mergeAll(inner, asks, boxed, outer)

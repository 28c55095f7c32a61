import { assert, it } from "@effect/vitest"
import { Activity, DurableDeferred } from "@effect/workflow"
import { Cause, Effect, Either, Exit, Layer, Redacted, Schema } from "effect"
import { type Observation, SecretGuard, SecretObserver } from "../../src/secrets/index.ts"
import { Approval, Secrets, Task, Workflow } from "../../src/workflow/index.ts"
import { alnum, credentials, draw } from "../secrets/support.ts"
import { actor, dump, fresh, freshDatabase, startProcess, types, workflow } from "../support/Engine.ts"

const token = credentials("engine")["github-token"]!
const value = draw(alnum, 24, "engine")

const Free = Schema.Record({ key: Schema.String, value: Schema.Unknown })
const Marked = Schema.Struct({
  key: Schema.String.pipe(Secrets.allow("a key of the test")),
  other: Schema.optional(Schema.String)
})

/** A guard that says what it saw. */
const observing = (observed: Array<Observation>) =>
  Layer.provide(
    SecretGuard.layer,
    Layer.succeed(SecretObserver, { observe: (observation) => Effect.sync(() => observed.push(observation)) })
  )

it.scoped("guarantee 6: an output that holds a secret fails its task at once, named by its path, and is not stored", () =>
  Effect.gen(function*() {
    let executed = 0
    const { database, end, events, launch } = yield* fresh(workflow(() =>
      Task.run({
        id: "leak",
        output: Free,
        retry: { times: 5 },
        execute: Effect.sync(() => {
          executed++
          return { config: { keys: ["x", token] } }
        })
      })
    ))
    const run = yield* end(yield* launch())
    assert.strictEqual(run.status, "failed")
    assert.strictEqual(run.error!.name, "TaskFailed")
    assert.include(
      run.error!.message,
      "SecretRefused (SecretRefused): output.config.keys[1] holds a credential (github-token)"
    )
    assert.strictEqual(executed, 1)
    assert.deepStrictEqual(types(yield* events(run.runId)), ["RunStarted", "NodeStarted", "NodeFailed", "RunFailed"])
    assert.notInclude(yield* dump(database), token)
  }))

it.scoped("a refusal is an error like any other where the task declares it", () =>
  Effect.gen(function*() {
    const { end, launch } = yield* fresh(workflow(() =>
      Effect.catchTag(
        Task.run({ id: "leak", output: Free, error: Task.TaskFailed, execute: Effect.succeed({ token }) }),
        "TaskFailed",
        ({ reason }) => Effect.succeed(reason)
      )
    ))
    assert.strictEqual((yield* end(yield* launch())).output, "SecretRefused")
  }))

it.scoped("an input, an id, a key and whoever started it are refused before anything is written", () =>
  Effect.gen(function*() {
    const { database, engine } = yield* fresh(workflow(() => Effect.void))
    const before = yield* dump(database)
    const places: ReadonlyArray<readonly [field: string, Parameters<typeof engine.launch>[0]]> = [
      ["input.a[0]", { workflow: "w", input: { a: [token] }, actor }],
      ["runId", { workflow: "w", input: {}, runId: token, actor }],
      ["idempotencyKey", { workflow: "w", input: {}, idempotencyKey: `for ${token}`, actor }],
      ["startedBy.prompt", { workflow: "w", input: {}, startedBy: { prompt: `use ${token}` }, actor }]
    ]
    for (const [field, options] of places) {
      const error = yield* Effect.flip(engine.launch(options))
      assert.strictEqual(error._tag, "InvalidInput")
      assert.include(error.message, `${field}: holds a credential (github-token)`)
      assert.notInclude(JSON.stringify(error), token)
    }
    assert.strictEqual(yield* dump(database), before)
  }))

it.scoped("what an error quotes of an input that does not fit is redacted", () =>
  Effect.gen(function*() {
    const Strict = Workflow.make({
      name: "strict",
      payload: { n: Schema.Number },
      success: Schema.Void,
      idempotencyKey: () => ""
    })
    const { engine } = yield* fresh(Strict.toLayer(() => Effect.void))
    const error = yield* Effect.flip(engine.launch({ workflow: "strict", input: { n: token }, actor }))
    assert.strictEqual(error.message, "input.n: Expected number, actual \"[redacted]\"")
  }))

it.scoped("a field that its schema allows is stored, of an input, an output, an activity and a result, and is observed", () =>
  Effect.gen(function*() {
    const observed: Array<Observation> = []
    const Open = Workflow.make({ name: "open", payload: Marked, success: Marked, idempotencyKey: () => "" })
    const { end, engine } = yield* fresh(
      Open.toLayer(({ key }) =>
        Effect.gen(function*() {
          const stored = yield* Task.run({ id: "task", output: Marked, execute: Effect.succeed({ key }) })
          const { other } = yield* Activity.make({
            name: "act",
            success: Marked,
            execute: Effect.succeed({ key, other: "x" })
          })
          return { ...stored, other }
        })
      ),
      { guard: observing(observed) }
    )
    const { runId } = yield* engine.launch({ workflow: "open", input: { key: token }, actor })
    assert.deepStrictEqual((yield* end(runId)).output, { key: token, other: "x" })
    assert.deepStrictEqual(
      observed.map((seen) => seen._tag === "Allowed" ? [seen.path, seen.reason] : [seen._tag]),
      ["input.key", "output.key", "output.value.key", "result.key"].map((path) => [path, "a key of the test"])
    )
    const refused = yield* Effect.flip(
      engine.launch({ workflow: "open", input: { key: token, other: token }, runId: "beside", actor })
    )
    assert.include(refused.message, "input.other: holds")
  }))

it.scoped("a child's input and a deferred's result are refused to whoever hands them over", () =>
  Effect.gen(function*() {
    const Child = Workflow.make({
      name: "child",
      payload: { a: Schema.String },
      success: Schema.Void,
      idempotencyKey: () => ""
    })
    const Waited = DurableDeferred.make("waited", { success: Schema.String })
    const parent = workflow(() => Child.execute({ a: token }))
    const waiting = workflow(() => DurableDeferred.await(Waited).pipe(Effect.orDie), { name: "waiting" })
    const process = yield* fresh(Layer.mergeAll(Child.toLayer(() => Effect.void), parent, waiting))
    const { error } = yield* process.end(yield* process.launch())
    assert.include(error!.message, "input.a: holds a credential")
    const runId = yield* process.launch({}, { workflow: "waiting" })
    yield* process.reaches(runId, "waiting-event")
    const done = (exit: Exit.Exit<string>) =>
      Effect.provide(
        DurableDeferred.done(Waited, {
          token: DurableDeferred.tokenFromExecutionId(Waited, {
            workflow: Workflow.make({ name: "waiting", payload: {}, idempotencyKey: () => "" }),
            executionId: runId
          }),
          exit
        }),
        process.context
      )
    const refused = Cause.pretty(yield* Effect.sandbox(done(Exit.succeed(token))).pipe(Effect.flip))
    assert.include(refused, "deferred.value: holds a credential")
    assert.notInclude(refused, token)
    yield* done(Exit.succeed("fine"))
    assert.strictEqual((yield* process.end(runId)).output, "fine")
    assert.notInclude(yield* dump(process.database), token)
  }))

it.scoped("an approval cannot be asked, nor decided, with a secret", () =>
  Effect.gen(function*() {
    const { database, end, engine, launch, reaches } = yield* fresh(workflow(({ secret }) =>
      Approval.ask({ id: "ask", title: "Go on?", payload: secret === true ? { a: [token] } : {} })
    ))
    const asked = yield* end(yield* launch({ secret: true }))
    assert.include(asked.error!.message, "approval ask.payload.a[0]: holds a credential")
    const runId = yield* launch()
    yield* reaches(runId, "waiting-approval")
    const decision = { runId, nodeId: "ask", iteration: 0, approved: true, actor }
    const byNote = yield* Effect.flip(engine.decide({ ...decision, note: `with ${token}` }))
    assert.include(byNote.message, "note: holds a credential")
    const byValue = yield* Effect.flip(engine.decide({ ...decision, value: { a: { b: token } } }))
    assert.include(byValue.message, "decision.a.b: holds a credential")
    yield* engine.decide({ ...decision, note: "fine" })
    assert.strictEqual((yield* end(runId)).status, "finished")
    assert.notInclude(yield* dump(database), token)
  }))

it.scoped("a run goes on with a result that was stored before its value became known", () =>
  Effect.gen(function*() {
    const database = yield* freshDatabase
    const definition = workflow(() =>
      Effect.gen(function*() {
        const { key } = yield* Task.run({ id: "before", output: Marked, execute: Effect.succeed({ key: value }) })
        yield* Approval.ask({ id: "ask", title: "Go on?", payload: {} })
        return key.length
      })
    )
    const first = yield* startProcess(database, definition)
    const runId = yield* first.launch()
    yield* first.reaches(runId, "waiting-approval")
    yield* first.stop
    const watching = Layer.tap(SecretGuard.layer, (context) =>
      Effect.scoped(Effect.flatMap(Effect.provide(SecretGuard.SecretGuard, context), (guard) =>
        Effect.orDie(guard.watch({ provider: "test", name: "known" }, Redacted.make(value))))))
    const second = yield* startProcess(database, definition, { guard: watching })
    yield* second.decide(runId, "ask")
    assert.strictEqual((yield* second.end(runId)).output, value.length)
    const refused = yield* Effect.either(second.engine.launch({ workflow: "w", input: { value }, actor }))
    assert.isTrue(Either.isLeft(refused))
    yield* second.stop
  }))

import { WorkflowEngine } from "@effect/workflow"
import { Context, Deferred, Effect, FiberId, Layer, Schema, Scope } from "effect"
import { Audit } from "../../src/audit/index.ts"
import { Cache } from "../../src/cache/index.ts"
import { ApprovalStore, Budget, Engine, EngineConfig, Runner, Supervisor, TimerStore } from "../../src/engine/index.ts"
import { Journal, RunStore } from "../../src/journal/index.ts"
import { type Actor, type RunEvent } from "../../src/model/index.ts"
import { Persistence, type PersistenceError, type Write } from "../../src/persistence/index.ts"
import { SecretGuard } from "../../src/secrets/index.ts"
import { Workflow } from "../../src/workflow/index.ts"
import { makeHome, openHome, turn } from "./Home.ts"

export const actor: Actor = { userId: "user:ada", tokenId: "t1", role: "operator", scopes: ["*"] }

type Body<E> = Effect.Effect<
  unknown,
  E,
  WorkflowEngine.WorkflowInstance | WorkflowEngine.WorkflowEngine | Scope.Scope
>

/** A workflow that takes anything, returns any JSON and may fail with what `error` says. */
export const workflow = <E>(
  body: (input: Readonly<Record<string, unknown>>) => Body<E>,
  options: { readonly name?: string; readonly error?: Schema.Schema.All } = {}
): Layer.Layer<never, never, WorkflowEngine.WorkflowEngine> =>
  // @effect-diagnostics-next-line unsafeEffectTypeAssertion:off anyUnknownInErrorContext:off -- its schemas are wider than what the body says of itself
  Workflow.make({
    name: options.name ?? "w",
    payload: Schema.Struct({}, { key: Schema.String, value: Schema.Unknown }),
    success: Schema.Unknown,
    error: options.error ?? Schema.Never,
    idempotencyKey: (input) => JSON.stringify(input)
  }).toLayer(body as never) as Layer.Layer<never, never, WorkflowEngine.WorkflowEngine>

/** Between an engine and the database: commits can be held, and the process can be made to die. */
export interface Line {
  /** From now on nothing of this process reaches the database and nothing is answered: it has died. */
  readonly die: () => void
  /** Holds the next unit whose statements have the text; the effect completes when it is held, with its release. */
  readonly hold: (text: string) => Effect.Effect<Effect.Effect<void>>
}

const statementsOf = (unit: Write.Write<unknown, unknown>) => {
  const nothing = unit.statements.map(() => ({ rows: [], changes: 0 }))
  return unit.statements.map(({ params, text }) => {
    const known = typeof params === "function" ? params(nothing, 0) : params
    return `${text} ${known.map(String).join(" ")}`
  }).join("\n")
}

/** A persistence whose commits can be held and cut off. */
export const lineTo = (real: Persistence.Persistence["Type"]) => {
  let dead = false
  let held:
    | { readonly text: string; readonly reached: Deferred.Deferred<Effect.Effect<void>> }
    | undefined
  const pass = <A, E>(unit: Write.Write<A, E>, on: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.suspend(() => {
      if (dead) return Effect.never
      if (held === undefined || !statementsOf(unit).includes(held.text)) return on
      const released = Deferred.unsafeMake<void>(FiberId.none)
      const { reached } = held
      held = undefined
      return Effect.zipRight(
        Deferred.succeed(reached, Effect.asVoid(Deferred.succeed(released, undefined))),
        Effect.zipRight(Deferred.await(released), on)
      )
    })
  const cut = <A, E>(answer: Effect.Effect<A, E>): Effect.Effect<A, E> =>
    Effect.flatMap(Effect.exit(answer), (exit) => dead ? Effect.never : exit)
  const persistence: Persistence.Persistence["Type"] = {
    ...real,
    write: (unit) => Effect.uninterruptible(cut(pass(unit, real.write(unit)))),
    submit: (make) =>
      Effect.suspend(() =>
        dead
          ? Effect.succeed({ answer: Effect.never, withdraw: () => false })
          : Effect.map(real.submit(make), (unit) => ({ answer: cut(unit.answer), withdraw: () => unit.withdraw() }))
      )
  }
  const line: Line = {
    die: () => {
      dead = true
    },
    hold: (text) =>
      Effect.suspend(() => {
        const reached = Deferred.unsafeMake<Effect.Effect<void>>(FiberId.none)
        held = { text, reached }
        return Deferred.await(reached)
      })
  }
  return { persistence, line }
}

/** One process: an engine with its workflows on a database. */
export const startProcess = Effect.fnUntraced(function*(
  real: Persistence.Persistence["Type"],
  workflows: Layer.Layer<never, never, WorkflowEngine.WorkflowEngine>,
  options: {
    readonly config?: Partial<EngineConfig.EngineConfig["Type"]>
    readonly supervised?: boolean
    /** That of the test, when it watches values or observes. */
    readonly guard?: Layer.Layer<SecretGuard.SecretGuard>
    readonly budget?: Layer.Layer<Budget.Budget>
  } = {}
) {
  const { line, persistence } = lineTo(real)
  const stores = Layer.mergeAll(Audit.layer, Cache.layer, ApprovalStore.layer, TimerStore.layer).pipe(
    Layer.provideMerge(Layer.mergeAll(Journal.layer, RunStore.layer)),
    Layer.provideMerge(Layer.succeed(Persistence.Persistence, persistence))
  )
  const engine = Layer.mergeAll(Engine.layer, workflows).pipe(
    Layer.provideMerge(Runner.layer),
    Layer.provideMerge(stores),
    Layer.provideMerge(options.guard ?? SecretGuard.layer),
    Layer.provide(options.budget ?? Budget.layerUnlimited),
    Layer.provideMerge(Layer.succeed(EngineConfig.EngineConfig, { ...EngineConfig.defaults, ...options.config }))
  )
  const scope = yield* Scope.make()
  const context = yield* Layer.buildWithScope(
    options.supervised === true ? Layer.provideMerge(Supervisor.layer, engine) : engine,
    scope
  )
  const handle = {
    context,
    line,
    persistence,
    engine: Context.get(context, Engine.Engine),
    runner: Context.get(context, Runner.Runner),
    runs: Context.get(context, RunStore.RunStore),
    journal: Context.get(context, Journal.Journal),
    approvals: Context.get(context, ApprovalStore.ApprovalStore),
    audit: Context.get(context, Audit.Audit),
    cache: Context.get(context, Cache.Cache),
    workflowEngine: Context.get(context, WorkflowEngine.WorkflowEngine),
    /** Ends the process in good order. */
    stop: Scope.close(scope, { _tag: "Success", value: undefined } as never) as Effect.Effect<void>,
    launch: (input: unknown = {}, launching: Partial<Engine.LaunchOptions> = {}) =>
      handle.engine.launch({ workflow: "w", input, actor, ...launching }).pipe(Effect.map(({ runId }) => runId)),
    events: (runId: string) => eventsOf(handle.journal, runId),
    end: (runId: string) => handle.engine.awaitEnd(runId),
    decide: (runId: string, nodeId: string, approved = true) =>
      handle.engine.decide({ runId, nodeId, iteration: 0, approved, actor }),
    /** Waits until the run has this status in its row and, unless it runs, nothing of it executes. */
    reaches: (runId: string, status: string) =>
      until(
        Effect.map(
          handle.runs.get(runId),
          (run) => run.status === status && (status === "running" || !handle.runner.isActive(runId))
        ),
        `run ${runId} to be ${status}`
      )
  }
  return handle
})

export type Process = Effect.Effect.Success<ReturnType<typeof startProcess>>

/** A fresh database and one process on it, both gone with the scope. */
export const fresh = Effect.fnUntraced(function*(
  workflows: Layer.Layer<never, never, WorkflowEngine.WorkflowEngine>,
  options: Parameters<typeof startProcess>[2] = {}
) {
  const database = yield* freshDatabase
  const process = yield* startProcess(database, workflows, options)
  yield* Effect.addFinalizer(() => Effect.suspend(() => process.stop))
  return { ...process, database }
})

export const freshDatabase = Effect.flatMap(makeHome, (home) => openHome(home, "normal"))

export const eventsOf = (
  journal: Journal.Journal["Type"],
  runId: string
): Effect.Effect<ReadonlyArray<RunEvent>, PersistenceError> =>
  Effect.gen(function*() {
    const events: Array<RunEvent> = []
    for (;;) {
      const page = yield* journal.page(runId, events.at(-1)?.seq ?? 0, 1_000)
      events.push(...page)
      if (page.length < 1_000) return events
    }
  })

/** Lets the event loop turn until the condition holds; for what happens in the background. */
export const until = <E, R>(condition: Effect.Effect<boolean, E, R>, what: string): Effect.Effect<void, E, R> =>
  Effect.gen(function*() {
    for (let turns = 0; turns < 20_000; turns++) {
      if (yield* condition) return
      yield* turn
    }
    return yield* Effect.dieMessage(`Waited in vain for ${what}`)
  })

/** Enough turns of the event loop for everything that can happen to have happened. */
export const quiet = Effect.repeatN(turn, 60)

export const types = (events: ReadonlyArray<RunEvent>): ReadonlyArray<string> => events.map(({ type }) => type)

/** Every row of every table of the database, to see that nothing changed. */
export const dump = (persistence: Persistence.Persistence["Type"], besides: ReadonlyArray<string> = []) =>
  Effect.gen(function*() {
    const { sql } = persistence
    const tables = yield* sql.unsafe<{ name: string }>(
      "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    )
    const rows = yield* Effect.forEach(
      tables.filter(({ name }) => !besides.includes(name)),
      ({ name }) => Effect.map(sql.unsafe(`SELECT * FROM "${name}"`), (all) => [name, all] as const)
    )
    return JSON.stringify(rows)
  })

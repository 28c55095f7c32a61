import { FileSystem, Path } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { Context, Effect, Layer, Stream } from "effect"
import { type ArtifactStore, FileStore } from "../../../src/artifacts/index.ts"
import { Audit } from "../../../src/audit/index.ts"
import { Cache } from "../../../src/cache/index.ts"
import { ApprovalStore, Engine, EngineConfig, Runner, TimerStore } from "../../../src/engine/index.ts"
import { ReleaseNotes, ReleaseNotesConfig } from "../../../src/examples/index.ts"
import { Journal, RunStore } from "../../../src/journal/index.ts"
import type { Actor } from "../../../src/model/index.ts"
import { Persistence, PersistenceConfig } from "../../../src/persistence/index.ts"
import { Sandbox } from "../../../src/sandbox/index.ts"
import { SecretGuard } from "../../../src/secrets/index.ts"
import { sandboxesOf } from "../../support/Sandboxes.ts"

export const releaseLead: Actor = { userId: "rita", tokenId: null, role: "operator", scopes: ["*"] }

export interface Place {
  /** Also the home of the artifacts. */
  readonly home: string
  /** The one allowed root. */
  readonly root: string
}

/** A home and an allowed root beside it, gone with the scope. */
export const place = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const folder = yield* Effect.flatMap(fs.makeTempDirectoryScoped({ prefix: "release-notes-" }), fs.realPath)
  const there: Place = { home: path.join(folder, "home"), root: path.join(folder, "repositories") }
  yield* fs.makeDirectory(there.home)
  yield* fs.makeDirectory(there.root)
  return there
})

export const usualPath = "/usr/local/bin:/usr/bin:/bin"

const endings: ReadonlySet<string> = new Set(["RunFailed", "RunFinished"])

export interface Setting {
  readonly searchPath?: string
  /** Files in the home unless given. */
  readonly artifacts?: Layer.Layer<ArtifactStore.ArtifactStore>
}

/** The real engine on a home, with `release-notes` loaded. */
const engineAt = (
  { home, root }: Place,
  { artifacts = FileStore.layer(home), searchPath = usualPath }: Setting
) =>
  ReleaseNotes.layer.pipe(
    Layer.provide(Layer.scoped(
      Sandbox.Sandbox,
      Effect.flatMap(
        Persistence.Persistence,
        (persistence) => Effect.map(sandboxesOf(persistence), ({ sandbox }) => sandbox)
      )
    )),
    Layer.provide(Layer.succeed(ReleaseNotesConfig.ReleaseNotesConfig, { roots: [root], searchPath })),
    Layer.provide(artifacts),
    Layer.provideMerge(Engine.layer),
    Layer.provideMerge(Runner.layer),
    Layer.provideMerge(Layer.merge(ApprovalStore.layer, TimerStore.layer)),
    Layer.provideMerge(Layer.mergeAll(Journal.layer, RunStore.layer, Audit.layer, Cache.layer)),
    Layer.provide([EngineConfig.layerDefault, SecretGuard.layer]),
    Layer.provide(Persistence.layer),
    Layer.provide(
      Layer.succeed(PersistenceConfig.PersistenceConfig, {
        home,
        synchronous: "normal",
        allowNetworkFileSystem: false
      })
    ),
    Layer.provideMerge(NodeContext.layer)
  )

/** What somebody does who has notes written: launch, read, decide, wait. */
export const openDesk = Effect.fnUntraced(function*(there: Place, setting: Setting = {}) {
  const context = yield* Layer.build(engineAt(there, setting))
  const engine = Context.get(context, Engine.Engine)
  const journal = Context.get(context, Journal.Journal)
  const fs = Context.get(context, FileSystem.FileSystem)
  const path = Context.get(context, Path.Path)

  const notesFile = (runId: string) => path.join(there.home, "artifacts", runId, "RELEASE_NOTES.md")

  const events = (runId: string) => Effect.orDie(journal.page(runId, 0, 1_000))

  const launch = (input: unknown, runId: string) =>
    engine.launch({ workflow: "release-notes", input, runId, actor: releaseLead })

  const asked = (runId: string, asking = "publish") =>
    journal.stream(runId, 0).pipe(
      Stream.filter(({ nodeId, type }) => type === "ApprovalRequested" && nodeId === asking || endings.has(type)),
      Stream.runHead,
      Effect.zipRight(engine.approvals({ runId })),
      Effect.flatMap(([approval]) =>
        approval === undefined
          ? Effect.flatMap(
            engine.awaitEnd(runId),
            ({ error }) => Effect.dieMessage(`${error?.name}: ${error?.message}`)
          )
          : Effect.succeed(approval)
      ),
      Effect.orDie
    )

  const decide = (runId: string, approved: boolean, note?: string, nodeId = "publish") =>
    engine.decide({ runId, nodeId, iteration: 0, approved, actor: releaseLead, note })

  return {
    engine,
    journal,
    /** What the supervisor does: takes up the runs that nobody executes. */
    takeUpRuns: Context.get(context, Runner.Runner).lookAfter,
    notesFile,
    launch,
    /** Has notes written and approved; answers the run and the text. */
    write: (input: unknown, runId = "r") =>
      Effect.gen(function*() {
        yield* launch(input, runId)
        yield* asked(runId)
        yield* decide(runId, true)
        return { run: yield* engine.awaitEnd(runId), notes: yield* fs.readFileString(notesFile(runId)) }
      }),
    /** Launches, and answers how the run failed. */
    fail: (input: unknown, runId = "r") =>
      Effect.map(Effect.zipRight(launch(input, runId), engine.awaitEnd(runId)), ({ error }) => error),
    /** The question about the notes, as the approver sees it. */
    asked,
    decide,
    /** The steps that were started, in order. */
    started: (runId: string) =>
      Effect.map(events(runId), (all) => all.flatMap(({ nodeId, type }) => type === "NodeStarted" ? [nodeId] : [])),
    /** How often a step was started. */
    starts: (runId: string, nodeId: string) =>
      Effect.map(
        events(runId),
        (all) => all.filter((event) => event.type === "NodeStarted" && event.nodeId === nodeId).length
      ),
    /** What was published, if anything was. */
    published: (runId: string) => Effect.option(fs.readFileString(notesFile(runId))),
    /** Everything below the home's artifacts. */
    artifacts: Effect.orElseSucceed(
      fs.readDirectory(path.join(there.home, "artifacts"), { recursive: true }),
      (): ReadonlyArray<string> => []
    )
  }
})

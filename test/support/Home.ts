import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import Sqlite from "better-sqlite3"
import { Context, Effect, Layer } from "effect"
import { Persistence, PersistenceConfig } from "../../src/persistence/index.ts"

/** A home directory that goes with the scope. */
export const makeHome = Effect.flatMap(
  FileSystem.FileSystem,
  (fs) => fs.makeTempDirectoryScoped({ prefix: "smithers-test-" })
).pipe(Effect.provide(NodeContext.layer), Effect.orDie)

/** The real persistence on a home; `full` unless said otherwise, as in the product. */
export const persistenceAt = (home: string, synchronous: "full" | "normal" = "full") =>
  Persistence.layer.pipe(
    Layer.provide(
      Layer.succeed(PersistenceConfig.PersistenceConfig, { home, synchronous, allowNetworkFileSystem: false })
    ),
    Layer.provide(NodeContext.layer)
  )

/** Opens a home for as long as the scope lives. */
export const openHome = (home: string, synchronous?: "full" | "normal") =>
  Effect.map(Layer.build(persistenceAt(home, synchronous)), Context.get(Persistence.Persistence))

/** A home and its persistence, both gone with the scope. */
export const freshPersistence = Effect.flatMap(makeHome, (home) => openHome(home))

/** A connection of somebody else: an operator's shell, another process, a forgotten reader. */
export const foreignConnection = (file: string) =>
  Effect.acquireRelease(
    Effect.sync(() => new Sqlite(file, { timeout: 0 })),
    (db) => Effect.sync(() => db.close())
  )

/** One turn of the real event loop, whatever the test clock says. */
export const turn = Effect.async<void>((resume) => {
  setImmediate(() => resume(Effect.void))
})

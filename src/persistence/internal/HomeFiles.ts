import { FileSystem, Path } from "@effect/platform"
import { Effect } from "effect"

/** Where everything of a home lies. */
export const homeFiles = Effect.fnUntraced(function*(home: string) {
  const path = yield* Path.Path
  const root = path.resolve(home)
  const database = path.join(root, "smithers.db")
  return {
    root,
    database,
    /** What SQLite keeps beside a database, and would apply to another file of the same name. */
    sideFiles: ["-wal", "-shm", "-journal"].map((suffix) => database + suffix),
    /** A restored database under examination. */
    staged: `${database}.restoring`,
    /** A restored database that is good: whoever opens the home next puts it in place. */
    restored: `${database}.restored`,
    backups: path.join(root, "backups"),
    lock: path.join(root, "instance.lock"),
    holder: path.join(root, "instance.json")
  }
})

/** Makes the content of a file, or the names in a directory, survive a power cut. */
export const syncToDisk = (file: string) =>
  Effect.scoped(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const handle = yield* fs.open(file, { flag: "r" })
    yield* handle.sync
  }))

/**
 * Puts a restored database in place, if one waits, and removes what a restore left that got less far. Safe to repeat: a crash at any point is mended by the next call.
 * The old database's side files go first, because SQLite would replay an old log into the new file. Under the lock only.
 */
export const finishRestore = Effect.fnUntraced(function*(home: string) {
  const fs = yield* FileSystem.FileSystem
  const files = yield* homeFiles(home)
  yield* fs.remove(files.staged, { force: true })
  if (!(yield* fs.exists(files.restored))) return
  yield* Effect.forEach(files.sideFiles, (file) => fs.remove(file, { force: true }), { discard: true })
  yield* syncToDisk(files.root)
  yield* fs.rename(files.restored, files.database)
  yield* syncToDisk(files.root)
})

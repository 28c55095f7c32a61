import { FileSystem, Path } from "@effect/platform"
import { Effect, Option, Schema } from "effect"
import { randomUUID } from "node:crypto"
import { AuditEntry } from "./AuditEntry.ts"
import { AuditUnavailable } from "./AuditError.ts"

const Line = Schema.parseJson(AuditEntry)
const decode = Schema.decodeUnknownOption(Line)
const encode = Schema.encodeSync(Line)

const io = Effect.mapError((cause: { readonly message: string }) =>
  new AuditUnavailable({
    reason: "Files",
    detail: `The spool of the audit: ${cause.message}.`,
    fix: "Check the permissions of SMITHERS_HOME and the room on its disk."
  })
)

const folderOf = (home: string) => Effect.map(Path.Path, (path) => path.join(path.resolve(home), "audit", "spool"))

/**
 * Leaves an entry for the service of a home, which alone writes its database: the running one takes it at its next
 * checkpoint, one that does not run at its start. On disk when this returns. After a crash it may be recorded twice.
 */
export const leave = (home: string, entry: AuditEntry) =>
  io(Effect.scoped(Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const folder = yield* folderOf(home)
    yield* fs.makeDirectory(folder, { recursive: true, mode: 0o700 })
    const file = path.join(folder, `${String(entry.atMs).padStart(16, "0")}-${randomUUID()}`)
    const handle = yield* fs.open(`${file}.partial`, { flag: "wx", mode: 0o600 })
    yield* handle.writeAll(new TextEncoder().encode(encode(entry)))
    yield* handle.sync
    yield* fs.rename(`${file}.partial`, `${file}.json`)
  })))

/** Hands what was left to `record`, oldest first, and forgets it when that is done. What is no entry is let be. */
export const take = <E, R>(
  home: string,
  record: (entries: ReadonlyArray<AuditEntry>) => Effect.Effect<void, E, R>
) =>
  Effect.gen(function*() {
    const fs = yield* FileSystem.FileSystem
    const path = yield* Path.Path
    const folder = yield* folderOf(home)
    if (!(yield* io(fs.exists(folder)))) return
    const names = (yield* io(fs.readDirectory(folder))).filter((name) => name.endsWith(".json")).sort()
    const files = names.map((name) => path.join(folder, name))
    const left = yield* Effect.forEach(files, (file) =>
      Effect.map(io(fs.readFileString(file)), (text) => Option.map(decode(text), (entry) => ({ file, entry }))))
    const found = left.flatMap(Option.toArray)
    if (found.length === 0) {
      return
    }
    yield* record(found.map(({ entry }) =>
      entry
    ))
    yield* Effect.forEach(found, ({ file }) => io(fs.remove(file)), { discard: true })
  })

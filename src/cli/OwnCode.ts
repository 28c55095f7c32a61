import { FileSystem, Path } from "@effect/platform"
import { Effect } from "effect"

/** Packages that executing a workflow needs; where they are, what they need is. */
const needed = ["effect", "@effect/workflow", "@effect/platform-node", "@effect/sql-sqlite-node", "better-sqlite3"]

/** Every folder in which a package that the file imports may be installed. */
export const packageFolders = (path: Path.Path, file: string): ReadonlyArray<string> => {
  const folder = path.dirname(file)
  const here = path.join(folder, "node_modules")
  return folder === path.dirname(folder) ? [here] : [here, ...packageFolders(path, folder)]
}

/** The folder of packages that one of our own imports is found in. */
const folderOf = Effect.fnUntraced(function*(name: string) {
  const path = yield* Path.Path
  const file = yield* path.fromFileUrl(new URL(import.meta.resolve(name)))
  const marker = `${path.sep}node_modules${path.sep}`
  return file.slice(0, file.lastIndexOf(marker) + marker.length - 1)
})

/** The script that executes a workflow within a sandbox (`src/inside.ts`), as compiled. */
export const insideScript = Effect.flatMap(
  Path.Path,
  (path) => Effect.orDie(path.fromFileUrl(new URL("../inside.js", import.meta.url)))
)

/** What this service and the modules of these files are made of, on disk; no folder within another of them. */
export const ownCode = Effect.fnUntraced(function*(modules: ReadonlyArray<string>) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const dist = path.dirname(yield* insideScript)
  const candidates = [
    dist,
    path.join(path.dirname(dist), "package.json"),
    ...(yield* Effect.orDie(Effect.forEach(needed, folderOf))),
    ...modules.flatMap((file) => packageFolders(path, file))
  ]
  const there = yield* Effect.filter(
    [...new Set(candidates)],
    (place) => Effect.orElseSucceed(fs.exists(place), () => false)
  )
  return there.filter((place) => !there.some((other) => place.startsWith(`${other}${path.sep}`)))
})

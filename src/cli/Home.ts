import { FileSystem, Path } from "@effect/platform"
import { Effect, Option } from "effect"

const readLine = Effect.fnUntraced(function*(home: string, name: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const text = yield* Effect.option(fs.readFileString(path.join(home, name)))
  return Option.filter(Option.map(text, (line) => line.trim()), (line) => line !== "")
})

/** Where the service of this home listens, if it runs (or died without taking the note away). */
export const readAddress = (home: string) => readLine(home, "address")

/** The operator's token, if the service of this home made it and we may read it. */
export const readAdminToken = (home: string) => readLine(home, "admin-token")

/** Leaves the address in the home, for the operator's commands, as long as the scope lives. */
export const publishAddress = Effect.fnUntraced(function*(home: string, url: string) {
  const fs = yield* FileSystem.FileSystem
  const path = yield* Path.Path
  const file = path.join(home, "address")
  yield* Effect.acquireRelease(fs.writeFileString(file, `${url}\n`), () => Effect.ignore(fs.remove(file)))
})

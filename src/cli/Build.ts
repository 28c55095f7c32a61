import { FileSystem } from "@effect/platform"
import { Effect, Option, Schema } from "effect"

const BuildRecord = Schema.Struct({
  commit: Schema.NullOr(Schema.String),
  dirty: Schema.Boolean,
  verified: Schema.Boolean
})

const decode = Schema.decodeUnknown(Schema.parseJson(BuildRecord))

/** What the build says of itself (`scripts/gate.mjs`); null where nothing was built, as in a test. */
export const buildRecord = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  // Beside the compiled folders, this one and that of the bundle.
  const text = yield* fs.readFileString(new URL("../build.json", import.meta.url).pathname)
  return yield* decode(text)
}).pipe(Effect.option, Effect.map(Option.getOrNull))

import { Path } from "@effect/platform"
import { Effect, Either, Option, Predicate, Schema } from "effect"
import type { Plugin } from "esbuild"
import { packageFolders } from "../OwnCode.ts"

const BuildFailure = Schema.Struct({
  errors: Schema.Array(Schema.Struct({
    text: Schema.String,
    location: Schema.NullOr(Schema.Struct({ file: Schema.String, line: Schema.Number, column: Schema.Number }))
  }))
})

/** What esbuild found wrong, the first place first. */
const describeFailure = (cause: unknown): string =>
  Option.match(Schema.decodeUnknownOption(BuildFailure)(cause), {
    onNone: () => Predicate.isError(cause) ? cause.message : String(cause),
    onSome: ({ errors }) =>
      errors.map(({ location, text }) =>
        location === null ? text : `${location.file}:${location.line}:${location.column + 1}: ${text}`
      ).join("; ")
  })

/**
 * The service and its modules must share one copy of Effect and of our own packages, or their services would not be
 * each other's. What we do not have is looked for where the module lies.
 */
const ownCopies: Plugin = {
  name: "own-copies",
  setup: (build) => {
    build.onResolve(
      { filter: /^(effect|@effect\/[^/]+|smithers-orchestrator)(\/|$)/ },
      ({ path }) =>
        Either.match(Either.try(() => import.meta.resolve(path)), {
          onLeft: () => undefined,
          onRight: (url) => ({ path: url, external: true })
        })
    )
  }
}

/**
 * One ES module of an author's `.ts` or `.js` file and what it imports by path. Packages stay outside and are found in
 * the author's folder, whatever folder the text is written to, which is said beforehand. Fails with the reason.
 */
export const compileModule = Effect.fnUntraced(function*(file: string, outdir: string) {
  const path = yield* Path.Path
  // Loaded when there is something to compile: the shipped examples need no compiler.
  const esbuild = yield* Effect.promise(() => import("esbuild"))
  const { outputFiles } = yield* Effect.tryPromise({
    try: () =>
      esbuild.build({
        absWorkingDir: path.dirname(file),
        entryPoints: [file],
        outdir,
        write: false,
        bundle: true,
        platform: "node",
        format: "esm",
        target: "node20",
        // Named, so that esbuild does not add its own `module`, which Node does not know.
        conditions: ["node-addons"],
        external: packageFolders(path, file).map((folder) => path.join(folder, "*")),
        plugins: [ownCopies],
        logLevel: "silent"
      }),
    catch: describeFailure
  }).pipe(Effect.ensuring(Effect.promise(() => esbuild.stop())))
  const [output] = outputFiles
  return output === undefined ? yield* Effect.fail("the compiler gave no output") : output.text
})

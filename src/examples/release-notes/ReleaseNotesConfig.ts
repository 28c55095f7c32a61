import { Path } from "@effect/platform"
import { Config, Context, Effect, Layer } from "effect"

/** Where `release-notes` may read, and where it writes. */
export class ReleaseNotesConfig
  extends Context.Tag("smithers-orchestrator/examples/release-notes/ReleaseNotesConfig")<ReleaseNotesConfig, {
    /** Absolute. Repositories lie below one of these; a relative `repo` starts at the first. */
    readonly roots: readonly [string, ...ReadonlyArray<string>]
    /** Absolute path of `SMITHERS_HOME`; the notes of a run go to `artifacts/<runId>/` in it. */
    readonly home: string
    /** Where `git` is looked for, as in `PATH`. */
    readonly searchPath: string
  }>()
{}

/** From `SMITHERS_REPO_ROOTS` (comma-separated; the current directory), `SMITHERS_HOME` and `PATH`. */
export const layerConfig = Layer.effect(
  ReleaseNotesConfig,
  Effect.gen(function*() {
    const path = yield* Path.Path
    const { home, roots } = yield* Config.nested(
      Config.all({
        home: Config.withDefault(Config.nonEmptyString("HOME"), ".smithers"),
        roots: Config.withDefault(Config.string("REPO_ROOTS"), ".")
      }),
      "SMITHERS"
    )
    const [first = path.resolve("."), ...others] = roots.split(",")
      .map((root) => root.trim())
      .filter((root) => root !== "")
      .map((root) => path.resolve(root))
    return ReleaseNotesConfig.of({
      roots: [first, ...others],
      home: path.resolve(home),
      searchPath: yield* Config.withDefault(Config.nonEmptyString("PATH"), "/usr/local/bin:/usr/bin:/bin")
    })
  })
)

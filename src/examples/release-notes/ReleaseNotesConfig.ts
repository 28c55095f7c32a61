import { Path } from "@effect/platform"
import { Config, Context, Effect, Layer } from "effect"

/** Where `release-notes` may read, and what it reads with. */
export class ReleaseNotesConfig
  extends Context.Tag("smithers-orchestrator/examples/release-notes/ReleaseNotesConfig")<ReleaseNotesConfig, {
    /** Absolute. Repositories lie below one of these; a relative `repo` starts at the first. */
    readonly roots: readonly [string, ...ReadonlyArray<string>]
    /** Where `git` is looked for, as in `PATH`. */
    readonly searchPath: string
  }>()
{}

/** From `SMITHERS_REPO_ROOTS` (comma-separated; the current directory) and `PATH`. */
export const layerConfig = Layer.effect(
  ReleaseNotesConfig,
  Effect.gen(function*() {
    const path = yield* Path.Path
    const roots = yield* Config.nested(Config.withDefault(Config.string("REPO_ROOTS"), "."), "SMITHERS")
    const [first = path.resolve("."), ...others] = roots.split(",")
      .map((root) => root.trim())
      .filter((root) => root !== "")
      .map((root) => path.resolve(root))
    return ReleaseNotesConfig.of({
      roots: [first, ...others],
      searchPath: yield* Config.withDefault(Config.nonEmptyString("PATH"), "/usr/local/bin:/usr/bin:/bin")
    })
  })
)

// @effect-diagnostics nodeBuiltinImport:off -- where the user's home is, for the container engines
import { Config, Context, Effect, Layer, Option } from "effect"
import { homedir } from "node:os"

/** How this service runs sandboxes. */
export class RuntimeConfig extends Context.Reference<RuntimeConfig>()("smithers-orchestrator/sandbox/RuntimeConfig", {
  defaultValue: () => defaults
}) {}

export interface Settings {
  /** In `production` the process runtime, which isolates nothing, is refused. */
  readonly environment: string
  /**
   * A service that runs as root gives each sandbox a user id of its own, one of the 256 from here on, which nobody else
   * may use; it bounds how many sandboxes there are at once. (60706 to 61183 belong to nobody, says systemd's UIDS-GIDS.)
   */
  readonly firstUserId: number
  /** Directories of the host that volumes may come from; none unless named. */
  readonly volumeRoots: ReadonlyArray<string>
  /**
   * A cgroup v2 directory delegated to this service that holds no process and hands `cpu`, `memory` and `pids` down.
   * With one, every sandbox gets a cgroup of its own there.
   */
  readonly cgroupRoot: Option.Option<string>
  /** The programs of the container engines. */
  readonly engines: Readonly<Record<"docker" | "podman", string>>
  /** All that they find in their environment. */
  readonly engineEnvironment: Readonly<Record<string, string>>
}

export const defaults: Settings = {
  environment: "development",
  firstUserId: 60_800,
  volumeRoots: [],
  cgroupRoot: Option.none(),
  engines: { docker: "docker", podman: "podman" },
  engineEnvironment: { PATH: "/usr/local/bin:/usr/bin:/bin", HOME: homedir() }
}

/**
 * From `SMITHERS_ENV`, `SMITHERS_SANDBOX_FIRST_UID`, `SMITHERS_SANDBOX_VOLUME_ROOTS` (separated by commas) and
 * `SMITHERS_SANDBOX_CGROUP`.
 */
export const layerConfig = Layer.effect(
  RuntimeConfig,
  Effect.map(
    Config.nested(
      Config.all({
        environment: Config.withDefault(Config.nonEmptyString("ENV"), defaults.environment),
        firstUserId: Config.withDefault(
          Config.validate(Config.integer("SANDBOX_FIRST_UID"), {
            message: "Expected a whole number from 1 to 4294967000",
            validation: (n) => n >= 1 && n <= 4_294_967_000
          }),
          defaults.firstUserId
        ),
        volumeRoots: Config.withDefault(
          Config.array(Config.nonEmptyString(), "SANDBOX_VOLUME_ROOTS"),
          defaults.volumeRoots
        ),
        cgroupRoot: Config.option(Config.nonEmptyString("SANDBOX_CGROUP"))
      }),
      "SMITHERS"
    ),
    (config) => RuntimeConfig.of({ ...defaults, ...config })
  )
)

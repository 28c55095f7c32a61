// @effect-diagnostics nodeBuiltinImport:off -- the number of cores
import { FileSystem } from "@effect/platform"
import { Effect } from "effect"
import { availableParallelism } from "node:os"
import { RuntimeUnavailable } from "../../RuntimeError.ts"
import { type Architecture, architectures } from "./Syscalls.ts"

const directories = ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin"]

/** Where a program of the system is; never looked up in a PATH, which anybody may have set. */
const find = (name: string) =>
  Effect.flatMap(
    FileSystem.FileSystem,
    (fs) =>
      Effect.findFirst(directories.map((directory) => `${directory}/${name}`), (file) =>
        Effect.orElseSucceed(fs.exists(file), () => false))
  )

const tools = ["bwrap", "setpriv", "prlimit", "taskset", "nsenter", "tar"] as const

/** What bubblewrap sandboxes need of this machine. */
export interface Host {
  readonly architecture: Architecture
  readonly cores: number
  readonly userId: number
  /** This program, which the relay and the probe run on. */
  readonly node: string
  readonly tool: (name: typeof tools[number]) => string
}

/** Looks for all of it, or says what is missing. */
export const findHost: Effect.Effect<Host, RuntimeUnavailable, FileSystem.FileSystem> = Effect.gen(function*() {
  const missing = (detail: string) => new RuntimeUnavailable({ runtime: "bubblewrap", reason: "Missing", detail })
  const { arch, execPath, getuid, platform } = process
  if (platform !== "linux" || getuid === undefined) return yield* missing("it needs Linux.")
  if (!Object.hasOwn(architectures, arch)) return yield* missing(`there is no system call filter for ${arch}.`)
  const found = new Map<string, string>()
  for (const name of tools) {
    const file = yield* find(name)
    if (file._tag === "None") {
      return yield* missing(`${name} is not in ${directories.join(", ")} (Debian: bubblewrap, util-linux, tar).`)
    }
    found.set(name, file.value)
  }
  return {
    architecture: arch as Architecture,
    cores: availableParallelism(),
    userId: getuid(),
    node: execPath,
    tool: (name) => found.get(name)!
  }
})

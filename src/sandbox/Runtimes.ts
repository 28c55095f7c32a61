import { Effect, Layer } from "effect"
import * as Bubblewrap from "./Bubblewrap.ts"
import * as ContainerRuntime from "./ContainerRuntime.ts"
import * as ProcessRuntime from "./ProcessRuntime.ts"
import { RuntimeUnavailable } from "./RuntimeError.ts"
import { SandboxRuntime } from "./SandboxRuntime.ts"

/** All runtimes of this machine. Starts nothing: whether one works is for its `check` to say. */
export const layer = Layer.scoped(
  SandboxRuntime,
  Effect.gen(function*() {
    const runtimes = yield* Effect.all([
      Bubblewrap.make,
      ContainerRuntime.make("docker"),
      ContainerRuntime.make("podman"),
      ProcessRuntime.make
    ])
    const names = runtimes.map(({ name }) => name)
    return SandboxRuntime.of({
      names,
      get: (name) => {
        const found = runtimes.find((runtime) => runtime.name === name)
        return found === undefined
          ? new RuntimeUnavailable({ runtime: name, reason: "Unknown", detail: `There are ${names.join(", ")}.` })
          : Effect.succeed(found)
      }
    })
  })
)

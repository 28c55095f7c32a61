import { Effect, Layer } from "effect"
import * as Bubblewrap from "./Bubblewrap.ts"
import * as ContainerRuntime from "./ContainerRuntime.ts"
import * as ProcessRuntime from "./ProcessRuntime.ts"
import { of, type Runtime, SandboxRuntime } from "./SandboxRuntime.ts"

/**
 * All runtimes of this machine, and those that are given besides (a remote worker). Starts nothing: whether one works is
 * for its `check` to say.
 */
export const layerWith = (others: ReadonlyArray<Runtime>) =>
  Layer.scoped(
    SandboxRuntime,
    Effect.gen(function*() {
      const own = yield* Effect.all([
        Bubblewrap.make,
        ContainerRuntime.make("docker"),
        ContainerRuntime.make("podman"),
        ProcessRuntime.make
      ])
      return SandboxRuntime.of(of([...own, ...others]))
    })
  )

export const layer = layerWith([])

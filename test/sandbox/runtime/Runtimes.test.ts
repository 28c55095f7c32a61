import { assert, it } from "@effect/vitest"
import { ConfigProvider, Effect, Layer, Option } from "effect"
import * as RuntimeConfig from "../../../src/sandbox/RuntimeConfig.ts"
import { RuntimeUnavailable } from "../../../src/sandbox/RuntimeError.ts"
import * as Runtimes from "../../../src/sandbox/Runtimes.ts"
import { type Runtime, SandboxRuntime } from "../../../src/sandbox/SandboxRuntime.ts"
import { proxyLayer } from "./support.ts"

const nobody = new RuntimeUnavailable({ runtime: "remote", reason: "Busy", detail: "No worker is there." })

const remote: Runtime = {
  name: "remote",
  isolated: true,
  runsOwnCode: false,
  check: nobody,
  supports: () => Effect.void,
  run: () => nobody
}

it.effect("every runtime of the machine is found by its name", () =>
  Effect.gen(function*() {
    const runtimes = yield* SandboxRuntime
    assert.deepStrictEqual(runtimes.names, ["bubblewrap", "docker", "podman", "process"])
    for (const name of runtimes.names) assert.strictEqual((yield* runtimes.get(name)).name, name)
    assert.strictEqual((yield* Effect.flip(runtimes.get("remote"))).reason, "Unknown")
  }).pipe(Effect.provide(Layer.provide(Runtimes.layer, proxyLayer()))))

it.effect("others can be given besides", () =>
  Effect.gen(function*() {
    const { get } = yield* SandboxRuntime
    assert.strictEqual((yield* Effect.flip((yield* get("remote")).check)).reason, "Busy")
  }).pipe(Effect.provide(Layer.provide(Runtimes.layerWith([remote]), proxyLayer()))))

const read = (...entries: ReadonlyArray<readonly [string, string]>) =>
  Effect.provide(RuntimeConfig.RuntimeConfig, Layer.fresh(RuntimeConfig.layerConfig)).pipe(
    Effect.withConfigProvider(ConfigProvider.fromMap(new Map(entries), { pathDelim: "_" }))
  )

it.effect("settings come from SMITHERS_ENV and SMITHERS_SANDBOX_…", () =>
  Effect.gen(function*() {
    const settings = yield* read(
      ["SMITHERS_ENV", "production"],
      ["SMITHERS_SANDBOX_FIRST_UID", "70000"],
      ["SMITHERS_SANDBOX_VOLUME_ROOTS", "/data, /srv"],
      ["SMITHERS_SANDBOX_CGROUP", "/sys/fs/cgroup/smithers"]
    )
    assert.strictEqual(settings.environment, "production")
    assert.strictEqual(settings.firstUserId, 70_000)
    assert.deepStrictEqual(settings.volumeRoots, ["/data", "/srv"])
    assert.deepStrictEqual(settings.cgroupRoot, Option.some("/sys/fs/cgroup/smithers"))
    assert.deepStrictEqual(yield* read(), RuntimeConfig.defaults)
  }))

it.effect("a user id that cannot be one is refused", () =>
  Effect.map(
    Effect.flip(read(["SMITHERS_SANDBOX_FIRST_UID", "0"])),
    (error) => assert.include(String(error), "Expected a whole number")
  ))

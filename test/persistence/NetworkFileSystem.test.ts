import { NodeContext } from "@effect/platform-node"
import { assert, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { vi } from "vitest"
import { Persistence, PersistenceConfig } from "../../src/persistence/index.ts"
import { makeHome, openHome } from "../support/Home.ts"

// No test machine has an NFS mount: the answer of statfs(2) is replaced.
vi.mock("node:fs/promises", async (original) => ({
  ...await original<object>(),
  statfs: () => Promise.resolve({ type: 0x6969 })
}))

it.scoped("a home on a network file system is refused before anything is written to it", () =>
  Effect.gen(function*() {
    const error = yield* Effect.flip(openHome(yield* makeHome))
    assert.strictEqual(error.reason, "NetworkFileSystem")
    assert.include(error.detail, "NFS")
  }))

it.scoped("whoever takes the risk may start on a network file system", () =>
  Effect.gen(function*() {
    const home = yield* makeHome
    yield* Layer.build(Persistence.layer).pipe(
      Effect.provideService(PersistenceConfig.PersistenceConfig, {
        home,
        synchronous: "full",
        allowNetworkFileSystem: true
      }),
      Effect.provide(NodeContext.layer)
    )
  }))

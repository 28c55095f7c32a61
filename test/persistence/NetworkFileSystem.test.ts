import { NodeContext } from "@effect/platform-node"
import { afterAll, assert, beforeAll, it, vi } from "@effect/vitest"
import { Effect, Layer } from "effect"
import type { StatsFs } from "node:fs"
import fs from "node:fs/promises"
import { syncBuiltinESMExports } from "node:module"
import { Persistence, PersistenceConfig } from "../../src/persistence/index.ts"
import { makeHome, openHome } from "../support/Home.ts"

// No test machine has an NFS mount: the answer of statfs(2) is replaced, as long as this file runs.
beforeAll(() => {
  vi.spyOn(fs, "statfs").mockResolvedValue({ type: 0x6969 } as StatsFs)
  syncBuiltinESMExports()
})
afterAll(() => {
  vi.restoreAllMocks()
  syncBuiltinESMExports()
})

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

import { assert, describe, it } from "@effect/vitest"
import { Effect, Layer } from "effect"
import fs from "node:fs"
import * as Probe from "../../../src/sandbox/Probe.ts"
import * as ProcessRuntime from "../../../src/sandbox/ProcessRuntime.ts"
import { confinement } from "../../../src/sandbox/Proof.ts"
import { parse } from "../../../src/sandbox/SandboxPolicy.ts"
import type { Runtime } from "../../../src/sandbox/SandboxRuntime.ts"
import { bubblewrapWith, Sandboxes } from "./support.ts"

const missing = ["/usr/bin/bwrap", "/usr/bin/perl"].filter((file) => !fs.existsSync(file))
if (missing.length > 0) console.warn(`SKIPPED: the probe needs ${missing.join(", ")}.`)

const probing = Layer.provideMerge(Probe.layer, bubblewrapWith())

const full = {
  memoryLimit: "512m",
  pidsLimit: 100,
  diskLimit: "100m",
  fileSize: "50m",
  openFiles: 500,
  cpuLimit: 1
} as const

/** A runtime that says it isolates, and does not. */
const pretender = Effect.map(ProcessRuntime.make, (honest): Runtime => ({
  ...honest,
  isolated: true,
  runsOwnCode: false,
  supports: () => Effect.void,
  run: (spec) => Effect.flatMap(Effect.orDie(parse({})), (policy) => honest.run({ ...spec, policy }))
}))

describe.skipIf(missing.length > 0)("the probe", () => { // needs bwrap, which set-up installs
  it.effect("finds every control of bubblewrap enforced", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.Probe
      const { controls, runtime } = yield* probe.verify(yield* Sandboxes)
      assert.strictEqual(runtime, "bubblewrap")
      const wanting = controls.filter(({ enforced }) => !enforced)
      assert.deepStrictEqual(wanting, [])
      const names = new Set(controls.map(({ control }) => control))
      assert.includeMembers([...names], [
        ...confinement,
        "memoryLimit",
        "pidsLimit",
        "diskLimit",
        "fileSize",
        "openFiles",
        "cpuLimit"
      ])
    }).pipe(Effect.provide(probing)))

  it.effect("finds nothing enforced by a bare process, and says of each what it saw", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.Probe
      const { controls } = yield* probe.verify(yield* ProcessRuntime.make)
      const held = controls.filter(({ enforced }) => enforced).map(({ control }) => control)
      // As who it runs decides the rest.
      const root = process.getuid?.() === 0
      assert.notIncludeMembers(held, root ? [...confinement] : ["files", "network"])
      assert.deepStrictEqual(controls.filter(({ evidence }) => evidence === ""), [])
    }).pipe(Effect.provide(probing)))

  it.effect("a runtime that pretends is found out before anything runs", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.Probe
      const error = yield* Effect.flip(probe.prove(yield* pretender, yield* parse(full)))
      assert(error._tag === "ControlNotEnforced")
      assert.strictEqual(error.reason, "Unproved")
      assert.strictEqual(error.control, "files")
      assert.include(error.detail, "canary")
    }).pipe(Effect.provide(probing)))

  it.effect("a policy is proved once, whatever its sizes, and again when it asks for another control", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.Probe
      const real = yield* Sandboxes
      let runs = 0
      const counted: Runtime = { ...real, run: (spec) => Effect.suspend(() => (runs++, real.run(spec))) }
      yield* probe.prove(counted, yield* parse(full))
      const first = runs
      yield* probe.prove(counted, yield* parse({ ...full, memoryLimit: "2g", timeout: 5 }))
      assert.strictEqual(runs, first)
      yield* probe.prove(counted, yield* parse({}))
      assert.isAbove(runs, first)
    }).pipe(Effect.provide(probing)))

  it.effect("a control that the runtime has no means for is refused without a probe", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.Probe
      const error = yield* Effect.flip(probe.prove(yield* ProcessRuntime.make, yield* parse({ memoryLimit: "1g" })))
      assert(error._tag === "ControlNotEnforced")
      assert.strictEqual(error.control, "memoryLimit")
    }).pipe(Effect.provide(probing)))

  it.effect("a sandbox with a list of hosts is as confined as one without", () =>
    Effect.gen(function*() {
      const probe = yield* Probe.Probe
      const { controls } = yield* probe.prove(
        yield* Sandboxes,
        yield* parse({ allowNetwork: { hosts: ["example.com"] } })
      )
      assert.isTrue(controls.some(({ control, enforced }) => control === "network" && enforced))
    }).pipe(Effect.provide(probing)))
})

import { assert, describe, layer } from "@effect/vitest"
import { Context, Effect, Layer } from "effect"
import { spawn } from "node:child_process"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { type Attack, attacks, perlOf } from "./attacks.ts"
import { bubblewrapWith, run } from "./support.ts"
import { makeWorld, type World } from "./World.ts"

/** Nothing here can be shown without these. */
const missing = ["/usr/bin/bwrap", "/usr/bin/perl"].filter((file) => !fs.existsSync(file))
if (missing.length > 0) console.warn(`SKIPPED: the attack matrix needs ${missing.join(", ")}.`)
const root = process.getuid?.() === 0
if (!root) console.warn("SKIPPED: the attack matrix needs root, or an unconfined attacker gets nowhere either.")

class TheWorld
  extends Context.Tag("smithers-orchestrator/test/sandbox/runtime/AttackMatrix.test/TheWorld")<TheWorld, World>()
{}

/** The same attack by a child of this process, confined by nothing: it inherits one of our open files as well. */
const unconfined = (attack: Attack, { ambient, variables }: World) =>
  Effect.gen(function*() {
    const cwd = yield* Effect.acquireRelease(
      Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "smithers-attack-"))),
      (folder) => Effect.sync(() => fs.rmSync(folder, { recursive: true, force: true }))
    )
    const leak = yield* Effect.acquireRelease(
      Effect.sync(() => fs.openSync("/etc/hostname", "r")),
      (descriptor) => Effect.sync(() => fs.closeSync(descriptor))
    )
    return yield* Effect.async<string>((resume) => {
      const env = { PATH: "/usr/bin:/bin:/usr/sbin", ...(attack.ambient ? ambient : {}) }
      const child = spawn("/usr/bin/perl", ["-e", perlOf(attack, variables)], {
        cwd,
        env,
        stdio: ["ignore", "pipe", "pipe", leak]
      })
      const said: Array<Buffer> = []
      child.stdout?.on("data", (chunk: Buffer) => said.push(chunk))
      child.stderr?.on("data", (chunk: Buffer) => said.push(chunk))
      child.once("close", () => resume(Effect.succeed(Buffer.concat(said).toString())))
    })
  }).pipe(Effect.scoped)

describe.skipIf(missing.length > 0 || !root)("within bubblewrap", () => { // needs bwrap, perl and root
  layer(Layer.merge(bubblewrapWith(), Layer.scoped(TheWorld, makeWorld)))((it) => {
    for (const attack of attacks) {
      it.effect(`${attack.name} is blocked`, () =>
        Effect.gen(function*() {
          const world = yield* TheWorld
          const outside = yield* unconfined(attack, world)
          if (!outside.includes("REACHED") && attack.needs !== undefined) {
            console.warn(`HALF SKIPPED: ${attack.name}: nobody gets through here, for want of: ${attack.needs}.`)
          } else assert.include(outside, "REACHED", "unconfined, the attack gets through")
          const inside = yield* run(["/usr/bin/perl", "-e", perlOf(attack, world.variables)], {
            policy: { timeout: "30 seconds", ...attack.policy }
          })
          assert.notInclude(inside.stdout, "REACHED")
          assert.notInclude(inside.stdout, world.canary)
          assert.include(inside.stdout, "TRIED", inside.stderr)
          assert.strictEqual(inside.reason, attack.endsWith ?? "exited", inside.stderr)
          assert.notInclude(inside.stderr, "syntax error")
        }))
    }
  })
})

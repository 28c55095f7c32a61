import { NodeContext } from "@effect/platform-node"
import { Effect, Layer, ManagedRuntime } from "effect"
import { spawn } from "node:child_process"
import fs from "node:fs"
import path from "node:path"
import * as Bubblewrap from "../../src/sandbox/Bubblewrap.ts"
import * as EgressProxy from "../../src/sandbox/EgressProxy.ts"
import * as EgressResolver from "../../src/sandbox/EgressResolver.ts"
import { parse } from "../../src/sandbox/SandboxPolicy.ts"
import { median } from "./Figures.ts"
import { atMost, figure, type Measurement } from "./Measurement.ts"

const program = ["/bin/echo", "up"]

/** bwrap as one would type it: all namespaces, nothing shipped, nothing watched, no filter. */
const bare = () =>
  new Promise<number>((resolve, reject) => {
    const started = performance.now()
    const args = ["--unshare-all", "--ro-bind", "/", "/", "--proc", "/proc", "--dev", "/dev", "--", ...program]
    const child = spawn("/usr/bin/bwrap", args, { stdio: ["ignore", "pipe", "inherit"] })
    child.on("error", reject)
    child.stdout.once("data", () => {
      const millis = performance.now() - started
      child.once("exit", () => resolve(millis))
    })
  })

/** From the decision to run a command to the first thing it says. */
export const sandboxStart: Measurement = {
  name: "sandbox-start",
  about: "our bubblewrap until the first output of the command, beside bare bwrap",
  run: async ({ directory, quick, say }) => {
    if (!fs.existsSync("/usr/bin/bwrap")) {
      say("bubblewrap is not installed: not measured")
      return []
    }
    const workspace = path.join(directory, "workspace")
    fs.mkdirSync(workspace)
    const layer = EgressProxy.layer.pipe(Layer.provide(EgressResolver.layer), Layer.provideMerge(NodeContext.layer))
    const runtime = ManagedRuntime.make(layer)
    const ours = await runtime.runPromise(
      Effect.gen(function*() {
        const { run } = yield* Bubblewrap.make
        const policy = yield* parse({})
        const start = Effect.gen(function*() {
          const started = performance.now()
          let first = NaN
          yield* run({
            command: program,
            workspace,
            env: {},
            policy,
            onOutput: () =>
              Effect.sync(() => {
                if (Number.isNaN(first)) first = performance.now() - started
              })
          })
          return first
        })
        const samples = { ours: new Array<number>(), bare: new Array<number>() }
        for (let i = 0; i < (quick ? 10 : 60); i++) {
          samples.ours.push(yield* start)
          samples.bare.push(yield* Effect.promise(bare))
        }
        return samples
      }).pipe(Effect.scoped)
    )
    await runtime.dispose()
    const [mine, floor] = [median(ours.ours), median(ours.bare)]
    return [
      figure("sandbox start", mine, "ms", {
        floor: { name: "bare bwrap", value: floor },
        aim: atMost(mine - floor, 30, "≤ 30 ms over bare bwrap"),
        detail: { samples: ours.ours.map((millis) => Number(millis.toFixed(1))) }
      })
    ]
  }
}

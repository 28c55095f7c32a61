import { openEngine } from "./EngineUnderTest.ts"
import { atMost, figure, type Measurement } from "./Measurement.ts"
import { parked as workflow } from "./Workflows.ts"

const collect = () => {
  if (globalThis.gc === undefined) throw new Error("needs node --expose-gc")
  for (let i = 0; i < 4; i++) globalThis.gc()
}

const heap = () => {
  collect()
  const { external, heapUsed } = process.memoryUsage()
  return heapUsed + external
}

/** A parked run is only a row: what does the process keep of it? */
export const parked: Measurement = {
  name: "parked",
  about: "heap that a run parked in an approval costs",
  run: async ({ directory, quick }) => {
    const engine = await openEngine(directory, workflow)
    const runs = quick ? 1_000 : 10_000
    const park = async (count: number, before: number) => {
      for (let i = 0; i < count; i += 500) {
        await Promise.all(Array.from({ length: Math.min(500, count - i) }, () => engine.launch("bench-parked", {})))
      }
      const deadline = Date.now() + 120_000
      while (await engine.countByStatus("waiting-approval") < before + count) {
        if (Date.now() > deadline) throw new Error("the runs do not park")
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    }
    const warm = 1_000
    await park(warm, 0)
    const before = heap()
    await park(runs, warm)
    const after = heap()
    await engine.close()
    const each = (after - before) / runs
    return [
      figure("heap a parked run", each / 1_024, "KB", {
        aim: atMost(each, 5 * 1_024, "≤ 5 KB"),
        detail: { runs, beforeMB: Math.round(before / 1e6), afterMB: Math.round(after / 1e6) }
      })
    ]
  }
}

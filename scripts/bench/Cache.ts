import { Layer } from "effect"
import { openEngine } from "./EngineUnderTest.ts"
import { median, perSecond } from "./Figures.ts"
import { atLeast, atMost, figure, type Measurement } from "./Measurement.ts"
import { cached, steps } from "./Workflows.ts"

/** A hit beside a step that executes nothing much, and lookups alone. */
export const cache: Measurement = {
  name: "cache",
  about: "steps that use a cached result beside plain ones, and lookups alone",
  run: async ({ directory, quick }) => {
    const engine = await openEngine(directory, Layer.merge(steps, cached))
    const n = quick ? 300 : 1_000
    const shapes = [
      { name: "sequential", count: n, work: (workflow: string) => engine.finish(workflow, { n }) },
      {
        name: "100 runs × 5",
        count: 2_000,
        work: async (workflow: string) => {
          for (let i = 0; i < 4; i++) await engine.finishAll(100, workflow, { n: 5 })
        }
      }
    ]
    for (const { work } of shapes) {
      for (let i = 0; i < (quick ? 1 : 4); i++) {
        await work("bench-steps")
        await work("bench-cached")
      }
    }
    const figures = []
    for (const { count, name, work } of shapes) {
      const rates: Array<number> = []
      const costs: Array<number> = []
      // Neighbours in time, in both orders: what the disk does meanwhile meets both.
      for (let i = 0; i < (quick ? 2 : 8); i++) {
        const measured = new Map<string, number>()
        for (const workflow of i % 2 === 0 ? ["bench-steps", "bench-cached"] : ["bench-cached", "bench-steps"]) {
          measured.set(workflow, await perSecond(count, () => work(workflow)))
        }
        const hits = measured.get("bench-cached")!
        rates.push(hits)
        costs.push(measured.get("bench-steps")! / hits)
      }
      const cost = median(costs)
      figures.push(
        figure(`cache hits, ${name}`, median(rates), "steps/s", { detail: { samples: rates.map(Math.round) } }),
        figure(`cost of a hit / a plain step, ${name}`, cost, "×", { aim: atMost(cost, 1.3, "≤ 1.3 ×") })
      )
    }
    const lookups = quick ? 5_000 : 50_000
    await engine.lookUp(lookups)
    const rates: Array<number> = []
    for (let i = 0; i < (quick ? 1 : 5); i++) rates.push(await perSecond(lookups, () => engine.lookUp(lookups)))
    await engine.close()
    const rate = median(rates)
    return [...figures, figure("cache lookups", rate, "hits/s", { aim: atLeast(rate, 10_000, "≥ 10,000/s") })]
  }
}

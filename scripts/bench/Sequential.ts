import { cpuMicrosEach } from "./Cpu.ts"
import { openEngine } from "./EngineUnderTest.ts"
import { median, perSecond } from "./Figures.ts"
import { atLeast, atMost, type Figure, figure, type Measurement, rawFull } from "./Measurement.ts"
import { steps } from "./Workflows.ts"

/** Steps of one run, each of which waits for the commit of the one before. */
export const sequential: Measurement = {
  name: "sequential",
  about: "durable steps of one run, one after the other",
  run: async ({ directory, disk, quick }) => {
    const engine = await openEngine(directory, steps)
    await engine.finish("bench-steps", { n: quick ? 500 : 3_000 })
    const rates = new Map<number, Array<number>>([[100, []], [1_000, []], [10_000, []]])
    const ratios = new Map<number, Array<number>>([[100, []], [1_000, []], [10_000, []]])
    const cpu = new Map<number, Array<number>>([[100, []], [1_000, []], [10_000, []]])
    for (let i = 0; i < (quick ? 1 : 5); i++) {
      for (const [n, measured] of rates) {
        const before = disk.sample(250)
        const runs = Math.max(1, Math.min(10, 1_000 / n))
        const work = async () => {
          for (let j = 0; j < runs; j++) await engine.finish("bench-steps", { n })
        }
        const rate = await perSecond(n * runs, async () => cpu.get(n)!.push(await cpuMicrosEach(n * runs, work)))
        measured.push(rate)
        ratios.get(n)!.push(rate / ((before + disk.sample(250)) / 2))
      }
    }
    await engine.close()
    const figures = [...rates].map(([n, measured]): Figure => {
      const ratio = median(ratios.get(n)!)
      const options = {
        floor: rawFull(median(measured) / ratio),
        detail: { samples: measured.map(Math.round), cpuMicrosAStep: median(cpu.get(n)!) }
      }
      return figure(
        `sequential ${n}`,
        median(measured),
        "steps/s",
        n < 1_000 ? options : { ...options, aim: atLeast(ratio, 0.6, "≥ 0.6 × raw FULL") }
      )
    })
    // Of neighbours in time: what the disk does meanwhile meets both.
    const growth = median(rates.get(100)!.map((rate, i) => rate / rates.get(10_000)![i]!))
    return [
      ...figures,
      figure("cost a step, 10,000 / 100", growth, "×", {
        aim: atMost(growth, 1.2, "≤ 1.2 ×"),
        detail: { cpuOnly: Number((median(cpu.get(10_000)!) / median(cpu.get(100)!)).toFixed(2)) }
      })
    ]
  }
}

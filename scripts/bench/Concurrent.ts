import { cpuMicrosEach } from "./Cpu.ts"
import { openEngine } from "./EngineUnderTest.ts"
import { median, perSecond } from "./Figures.ts"
import { atLeast, figure, type Measurement, rawFull } from "./Measurement.ts"
import { steps } from "./Workflows.ts"

const stepsOfRun = 5

/** Many runs at once, which share commits. */
export const concurrent: Measurement = {
  name: "concurrent",
  about: "durable steps of many runs at once, launch and end included",
  run: async ({ directory, disk, quick }) => {
    const engine = await openEngine(directory, steps)
    for (let i = 0; i < (quick ? 2 : 20); i++) await engine.finishAll(100, "bench-steps", { n: stepsOfRun })
    const figures = []
    for (const [runs, rounds] of [[100, 10], [1_000, 1]] as const) {
      const rates: Array<number> = []
      const ratios: Array<number> = []
      const cpu: Array<number> = []
      for (let i = 0; i < (quick ? 1 : 5); i++) {
        const before = disk.sample(250)
        const count = runs * stepsOfRun * rounds
        const work = async () => {
          for (let j = 0; j < rounds; j++) await engine.finishAll(runs, "bench-steps", { n: stepsOfRun })
        }
        const rate = await perSecond(count, async () => cpu.push(await cpuMicrosEach(count, work)))
        rates.push(rate)
        ratios.push(rate / ((before + disk.sample(250)) / 2))
      }
      const ratio = median(ratios)
      const options = {
        floor: rawFull(median(rates) / ratio),
        detail: { samples: rates.map(Math.round), cpuMicrosAStep: median(cpu) }
      }
      figures.push(figure(
        `concurrent ${runs} runs × ${stepsOfRun}`,
        median(rates),
        "steps/s",
        runs > 100 ? options : { ...options, aim: atLeast(ratio, 3, "≥ 3 × raw FULL") }
      ))
    }
    await engine.close()
    return figures
  }
}

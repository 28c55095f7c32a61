import { Layer } from "effect"
import { openEngine } from "./EngineUnderTest.ts"
import { median } from "./Figures.ts"
import { figure, type Measurement } from "./Measurement.ts"
import { resumed, steps } from "./Workflows.ts"

/** The engine goes away while a run executes and comes back; how long until the run does something new? */
export const resume: Measurement = {
  name: "resume",
  about: "a run with many finished steps is taken up: from the opening of the engine to its first new step",
  run: async ({ directory, quick }) => {
    const finished = quick ? 1_000 : 10_000
    let reached = () => {}
    const nextStep = () =>
      new Promise<void>((resolve) => {
        reached = resolve
      })
    const workflow = Layer.merge(steps, resumed(() => reached()))
    let step = nextStep()
    let engine = await openEngine(directory, workflow)
    await engine.finish("bench-steps", { n: finished })
    await engine.launch("bench-resumed", { n: finished })
    await step
    await engine.close()
    const total: Array<number> = []
    const opening: Array<number> = []
    for (let i = 0; i < (quick ? 2 : 5); i++) {
      step = nextStep()
      const started = performance.now()
      const opened = openEngine(directory, workflow)
      engine = await opened
      opening.push(performance.now() - started)
      await step
      total.push(performance.now() - started)
      await engine.close()
    }
    return [
      figure(`resume after ${finished} steps`, median(total), "ms", {
        detail: { samples: total.map(Math.round), openingEngineMs: Math.round(median(opening)) }
      })
    ]
  }
}

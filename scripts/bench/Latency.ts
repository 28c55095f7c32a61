import { openEngine } from "./EngineUnderTest.ts"
import { percentile } from "./Figures.ts"
import { figure, type Measurement } from "./Measurement.ts"
import { steps } from "./Workflows.ts"

export const latency: Measurement = {
  name: "latency",
  about: "launch of a run of one step until its end is durable, one run at a time",
  run: async ({ directory, disk, quick }) => {
    const engine = await openEngine(directory, steps)
    const launches = quick ? 100 : 1_000
    for (let i = 0; i < launches; i++) await engine.finish("bench-steps", { n: 1 })
    const millis: Array<number> = []
    for (let i = 0; i < launches; i++) {
      if (i % (launches / 4) === 0) disk.sample(200)
      const started = performance.now()
      await engine.finish("bench-steps", { n: 1 })
      millis.push(performance.now() - started)
    }
    await engine.close()
    const commit = 1_000 / disk.median()
    const detail = { launches, rawCommitMs: Number(commit.toPrecision(3)) }
    const p50 = percentile(millis, 0.5)
    return [
      figure("launch to finish p50", p50, "ms", {
        detail: { ...detail, rawCommits: Number((p50 / commit).toFixed(1)) }
      }),
      figure("launch to finish p99", percentile(millis, 0.99), "ms", { detail })
    ]
  }
}

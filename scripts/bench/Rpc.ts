import path from "node:path"
import { distribution } from "../../test/cli/distribution.ts"
import { newToken, startService } from "../soak/Service.ts"
import { startBare } from "./BareServer.ts"
import { cpuMillisOf } from "./Cpu.ts"
import { openEngine } from "./EngineUnderTest.ts"
import { median } from "./Figures.ts"
import { answersPerSecond, type HttpRequest } from "./HttpLoad.ts"
import { atLeast, figure, type Measurement } from "./Measurement.ts"
import { steps } from "./Workflows.ts"

/** The service in its own process, asked by this one, beside a bare server that is asked in the same way. */
export const rpc: Measurement = {
  name: "rpc",
  about: "requests a second of the service with many runs stored, beside a bare node:http JSON server",
  run: async ({ directory, quick, say }) => {
    const home = path.join(directory, "home")
    const engine = await openEngine(home, steps)
    const runs = quick ? 500 : 10_000
    for (let i = 0; i < runs; i += 500) await engine.finishAll(500, "bench-steps", { n: 1 })
    await engine.close()

    const token = newToken()
    const service = startService({
      program: distribution(),
      home,
      token,
      workflows: [path.resolve("scripts/bench/Workflows.ts")]
    })
    const url = await service.url
    const port = Number(new URL(url).port)
    const headers = { Authorization: `Bearer ${token}` }
    const post = (method: string, params: unknown): HttpRequest => ({
      method: "POST",
      path: `/v1/rpc/${method}`,
      headers,
      body: JSON.stringify(params)
    })
    const answerOf = async (request: HttpRequest) => {
      const response = await fetch(`${url}${request.path}`, {
        method: request.method,
        headers,
        ...(request.body !== undefined && { body: request.body })
      })
      if (response.status !== 200) throw new Error(`${request.path}: ${response.status} ${await response.text()}`)
      return await response.json() as unknown
    }
    const list = post("listRuns", { filter: { limit: 50 } })
    const listed = await answerOf(list) as { readonly payload: ReadonlyArray<{ readonly runId: string }> }
    const requests: ReadonlyArray<readonly [string, HttpRequest]> = [
      ["health", { method: "GET", path: "/health" }],
      ["getRun", post("getRun", { runId: listed.payload[25]!.runId })],
      ["listRuns (50)", list]
    ]
    const bodies: Record<string, unknown> = {}
    for (const [, request] of requests) bodies[request.path] = await answerOf(request)
    const bare = await startBare(bodies)

    const millis = quick ? 300 : 1_500
    const figures = []
    for (const [name, request] of requests) {
      say(`bench:   ${name}`)
      await answersPerSecond(port, request, { millis: millis * 2 })
      await answersPerSecond(bare.port, request, { millis })
      const cpuMicros = { ours: [] as Array<number>, bare: [] as Array<number> }
      const ask = async (whose: "ours" | "bare", [pid, at]: readonly [pid: number, port: number]) => {
        const before = cpuMillisOf(pid) ?? NaN
        const rate = await answersPerSecond(at, request, { millis })
        cpuMicros[whose].push(((cpuMillisOf(pid) ?? NaN) - before) * 1_000 / (rate * millis / 1_000))
        return rate
      }
      const ours: Array<number> = []
      const bares: Array<number> = []
      for (let i = 0; i < (quick ? 1 : 5); i++) {
        bares.push(await ask("bare", [bare.child.pid!, bare.port]))
        ours.push(await ask("ours", [service.pid, port]))
      }
      const ratio = median(ours.map((rate, i) => rate / bares[i]!))
      const options = {
        floor: { name: "bare node:http", value: median(ours) / ratio },
        detail: {
          runs,
          answerBytes: JSON.stringify(bodies[request.path]).length,
          cpuMicrosARequest: Math.round(median(cpuMicros.ours)),
          bareCpuMicrosARequest: Math.round(median(cpuMicros.bare)),
          samples: ours.map(Math.round),
          bareSamples: bares.map(Math.round)
        }
      }
      figures.push(figure(
        name,
        median(ours),
        "requests/s",
        name === "getRun" ? { ...options, aim: atLeast(ratio, 0.4, "≥ 0.4 × bare node:http") } : options
      ))
    }
    bare.child.disconnect()
    service.kill("SIGTERM")
    await service.ended
    return figures
  }
}

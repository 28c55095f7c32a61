import http from "node:http"
import net from "node:net"
import path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { distribution } from "../../test/cli/distribution.ts"
import { newToken, startService } from "../soak/Service.ts"
import { cpuMillisOf } from "./Cpu.ts"
import { median } from "./Figures.ts"
import { atMost, figure, type Measurement } from "./Measurement.ts"

const freePort = () =>
  new Promise<number>((resolve) => {
    const server = net.createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as net.AddressInfo
      server.close(() => resolve(port))
    })
  })

const isUp = (port: number) =>
  new Promise<boolean>((resolve) => {
    const request = http.get({ port, host: "127.0.0.1", path: "/health", agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode === 200)
    })
    request.on("error", () => resolve(false))
  })

/** From the start of the process to its first answer, as whoever waits for the service sees it. */
export const coldStart: Measurement = {
  name: "cold-start",
  about: "node dist/main.js until the first 200 of /health, with the shipped workflows",
  run: async ({ directory, quick }) => {
    const program = distribution()
    const cpu: Array<number> = []
    const start = async (home: string) => {
      const port = await freePort()
      const started = performance.now()
      const service = startService({
        program,
        home,
        token: newToken(),
        workflows: [],
        env: { SMITHERS_PORT: String(port) }
      })
      while (!await isUp(port)) {
        if (service.hasEnded()) throw new Error(`the service ended: ${(await service.ended).stderr}`)
        await sleep(2)
      }
      const millis = performance.now() - started
      const used = cpuMillisOf(service.pid)
      if (used !== null) cpu.push(used)
      service.kill("SIGTERM")
      await service.ended
      return millis
    }
    const fresh: Array<number> = []
    const again: Array<number> = []
    for (let i = 0; i < (quick ? 2 : 7); i++) {
      const home = path.join(directory, `home-${i}`)
      fresh.push(await start(home))
      again.push(await start(home))
    }
    return [
      figure("cold start, new home", median(fresh), "ms", {
        aim: atMost(median(fresh), 1_000, "≤ 1,000 ms"),
        detail: { program: path.relative(process.cwd(), program), samples: fresh.map(Math.round), cpuMs: median(cpu) }
      }),
      figure("cold start, existing home", median(again), "ms", {
        aim: atMost(median(again), 1_000, "≤ 1,000 ms"),
        detail: { samples: again.map(Math.round) }
      })
    ]
  }
}

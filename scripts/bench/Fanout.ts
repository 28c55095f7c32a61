import path from "node:path"
import WebSocket from "ws"
import { distribution } from "../../test/cli/distribution.ts"
import { ask, newToken, startService } from "../soak/Service.ts"
import { median } from "./Figures.ts"
import { figure, type Measurement } from "./Measurement.ts"

const subscribers = 50
/** A user may have 32 streams. */
const users = 2

const request = (id: string, method: string, params: unknown) => JSON.stringify({ type: "req", id, method, params })

/** A subscriber that looks at what it gets no more than it must: it shares the machine with what is measured. */
const subscribe = (url: string, token: string, runId: string) => {
  const socket = new WebSocket(url.replace(/^http/, "ws"), { perMessageDeflate: false })
  let opened = () => {}
  let completed = () => {}
  const subscriber = {
    events: 0,
    opened: new Promise<void>((resolve) => {
      opened = resolve
    }),
    completed: new Promise<void>((resolve) => {
      completed = resolve
    }),
    failure: undefined as string | undefined,
    close: () => socket.terminate()
  }
  socket.on("open", () =>
    socket.send(request("connect", "connect", {
      minProtocol: 1,
      maxProtocol: 1,
      client: { id: "bench", version: "1", platform: "node" },
      auth: { token },
      subscribe: [runId]
    })))
  socket.on("message", (data: Buffer) => {
    if (data.includes("\"event\":\"run.event\"")) {
      subscriber.events++
      if (data.includes("\"run.completed\"")) completed()
      return
    }
    if (data.includes("\"id\":\"connect\"")) {
      socket.send(request("stream", "streamRunEvents", { runId, afterSeq: 0 }))
    } else if (data.includes("\"id\":\"stream\"")) opened()
    if (data.includes("\"ok\":false") || data.includes("\"run.error\"")) {
      subscriber.failure = data.toString("utf8")
      opened()
      completed()
    }
  })
  socket.on("error", (error) => {
    subscriber.failure = error.message
  })
  return subscriber
}

/** One run, whose every event goes to many streams. */
export const fanout: Measurement = {
  name: "fanout",
  about: "events delivered a second, to 50 WebSocket subscribers of one run, in all",
  run: async ({ directory, quick }) => {
    const steps = quick ? 200 : 2_000
    const token = newToken()
    const service = startService({
      program: distribution(),
      home: path.join(directory, "home"),
      token,
      workflows: [path.resolve("scripts/bench/Workflows.ts")]
    })
    const url = await service.url
    const tokens: Array<string> = []
    for (let i = 0; i < users; i++) {
      const issued = await ask<{ readonly token: string }>(url, token, "tokens.issue", {
        scopes: ["run:read"],
        userId: `user:bench-${i}`
      })
      tokens.push(issued.token)
    }
    const round = async (name: string) => {
      const runId = `fanout-${name}`
      await ask(url, token, "launchRun", { workflow: "bench-fanout", runId, input: { n: steps } })
      let status = ""
      while (status !== "waiting-approval") {
        const run = await ask<{ readonly status: string }>(url, token, "getRun", { runId })
        status = run.status
        if (status === "failed") throw new Error(`${runId} failed`)
      }
      const all = Array.from({ length: subscribers }, (_, i) => subscribe(url, tokens[i % users]!, runId))
      await Promise.all(all.map(({ opened }) => opened))
      const before = all.reduce((sum, { events }) => sum + events, 0)
      const started = performance.now()
      await ask(url, token, "submitApproval", { runId, nodeId: "go", iteration: 0, decision: { approved: true } })
      await Promise.all(all.map(({ completed }) => completed))
      const seconds = (performance.now() - started) / 1_000
      const failure = all.find((subscriber) => subscriber.failure !== undefined)?.failure
      if (failure !== undefined) throw new Error(`a subscriber failed: ${failure}`)
      for (const { close } of all) close()
      return {
        rate: (all.reduce((sum, { events }) => sum + events, 0) - before) / seconds,
        seconds,
        of: all[0]!.events
      }
    }
    await round("warm")
    const rounds = []
    for (let i = 0; i < (quick ? 1 : 3); i++) rounds.push(await round(String(i)))
    service.kill("SIGTERM")
    await service.ended
    return [
      figure(`fan-out to ${subscribers} subscribers`, median(rounds.map(({ rate }) => rate)), "events/s", {
        detail: {
          eventsOfRun: rounds[0]!.of,
          samples: rounds.map(({ rate }) => Math.round(rate)),
          eventsOfRunPerSecond: Math.round(median(rounds.map(({ of, seconds }) => of / seconds)))
        }
      })
    ]
  }
}

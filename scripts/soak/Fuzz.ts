import { once } from "node:events"
import fs from "node:fs"
import http from "node:http"
import net from "node:net"
import path from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import WebSocket from "ws"
import { distribution } from "../../test/cli/distribution.ts"
import { workflowName } from "./CrashWorkflow.ts"
import { malformed, methods, unknownMethod } from "./Malformed.ts"
import { type Random, seeded } from "./Random.ts"
import { ask, newToken, startService, workingDirectory } from "./Service.ts"

interface FuzzReport {
  readonly seed: number
  readonly sent: number
  /** How often each answer came: a status, a code of an error frame, or the closing of the connection. */
  readonly answers: Readonly<Record<string, number>>
  readonly residentMB: { readonly early: number; readonly late: number; readonly highest: number }
  readonly seconds: number
  readonly violations: ReadonlyArray<string>
}

/** More than this a service that keeps nothing does not grow between the first third of the load and the last. */
const growthLimitMB = 24
const answerLimitMs = 20_000
const httpWorkers = 8
const socketWorkers = 4
const bodyLimit = 1_048_576

const residentMB = (pid: number): number =>
  Number(/^VmRSS:\s+(\d+)/m.exec(fs.readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1_024

interface Target {
  readonly url: string
  readonly token: string
  readonly random: Random
  /** Counts an answer; `problem` says what is wrong with it. */
  readonly record: (what: string, answer: string, problem?: string) => void
}

interface ErrorFrame {
  readonly type?: string
  readonly id?: string
  readonly ok?: boolean
  readonly error?: { readonly code?: string; readonly message?: string }
}

const problemOf = ({ error, ok }: ErrorFrame): string | undefined => {
  if (ok !== false) return "was accepted"
  if (typeof error?.code !== "string" || typeof error.message !== "string") return "has no typed error"
  return ["SERVER_ERROR", "Internal", "INTERNAL"].includes(error.code)
    ? `is ${error.code}: ${error.message}`
    : undefined
}

const agent = new http.Agent({ keepAlive: true, maxSockets: httpWorkers })

const post = (target: Target, at: string, body: Buffer, headers: http.OutgoingHttpHeaders) =>
  new Promise<{ readonly status: number; readonly text: string }>((resolve, reject) => {
    const request = http.request(
      `${target.url}${at}`,
      { method: "POST", agent, headers, timeout: answerLimitMs },
      (response) => {
        const chunks: Array<Buffer> = []
        response.on("data", (chunk: Buffer) => chunks.push(chunk))
        response.on(
          "end",
          () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString("utf8") })
        )
        response.on("error", reject)
      }
    )
    request.on("timeout", () => request.destroy(new Error("no answer")))
    request.on("error", reject)
    request.end(body)
  })

/** A request with something wrong in it, which must be answered with a 4xx. */
const badRequest = async (target: Target) => {
  const { random } = target
  const method = random.pick(methods)
  const bearer = { authorization: `Bearer ${target.token}` }
  let at = `/v1/rpc/${method}`
  let headers: http.OutgoingHttpHeaders = bearer
  let { bytes, kind } = malformed(random, method, (params) => params)
  const variant = random.below(20)
  if (variant === 0) {
    kind = "unknown method"
    at = `/v1/rpc/${encodeURIComponent(unknownMethod(random))}`
  } else if (variant === 1) {
    kind = "unknown method in the body"
    at = "/rpc"
    bytes = Buffer.from(JSON.stringify({ id: "a", method: unknownMethod(random), params: {} }))
  } else if (variant === 2) {
    kind = "bad token"
    headers = random.pick<http.OutgoingHttpHeaders>([
      {},
      { authorization: "Bearer nonsense" },
      { authorization: `Bearer ${"x".repeat(4_000)}` },
      { "x-smithers-key": `${target.token}x` },
      { cookie: "smithers=;;;=%ff" }
    ])
  } else if (variant === 3) {
    kind = "bad path"
    at = random.pick(["/v1/rpc/", "/v1/rpc/%ff%fe", "/v1/rpc/getRun/x", "/v2/rpc/getRun", "/", "/%00", "//rpc"])
  } else if (variant === 4) {
    kind = "bad envelope"
    at = "/rpc"
    const envelope = random.pick<object>([
      { method: 5 },
      { method: null, params: {} },
      { id: 5, method },
      { id: "x".repeat(129), method },
      { params: {} }
    ])
    bytes = Buffer.from(JSON.stringify(envelope))
  } else if (variant === 5 && random.next() < 0.2) {
    kind = "oversized body"
    bytes = Buffer.alloc(bodyLimit + 1 + random.below(bodyLimit), 0x20)
  }
  try {
    const { status, text } = await post(target, at, bytes, headers)
    const name = `HTTP ${status}`
    if (status < 400 || status >= 500) {
      return target.record(`${kind}, ${at}`, name, `got ${status}: ${text.slice(0, 200)}`)
    }
    const frame = JSON.parse(text) as ErrorFrame
    target.record(`${kind}, ${at}`, name, typeof frame.error?.code === "string" ? undefined : "has no typed error")
  } catch (cause) {
    const reset = cause instanceof Error && /ECONNRESET|EPIPE|socket hang up/.test(cause.message)
    // A sender of far too much may find the connection closed before it can read the answer.
    target.record(`${kind}, ${at}`, "HTTP closed", kind === "oversized body" && reset ? undefined : String(cause))
  }
}

/** Bytes that are no HTTP, or stop in the middle of it: answered with 4xx, or the connection is closed. */
const badBytes = async (target: Target) => {
  const { random } = target
  const port = Number(new URL(target.url).port)
  const garbage = random.pick<() => Buffer>([
    () => Buffer.from(Array.from({ length: 1 + random.below(300) }, () => random.below(256))),
    () => Buffer.from("POST /v1/rpc/getRun HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n{}"),
    () =>
      Buffer.from(
        "POST /v1/rpc/getRun HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nzz"
      ),
    () => Buffer.from("POST /v1/rpc/getRun HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nffffffffff\r\n"),
    () => Buffer.from(`GET /health HTTP/1.1\r\nHost: a\r\nX: ${"y".repeat(20_000)}\r\n\r\n`),
    () =>
      Buffer.from(
        "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\n\r\n"
      ),
    () => Buffer.from("POST /v1/rpc/getRun HTTP/1.1\r\nHost: a\r\nContent-Length: 100\r\n\r\n{\"runId\"")
  ])()
  const socket = net.connect(port, "127.0.0.1")
  let answer = ""
  socket.on("data", (chunk) => {
    answer = (answer + chunk.toString("latin1")).slice(0, 400)
  })
  socket.on("error", () => {})
  socket.on("connect", () => {
    socket.write(garbage)
    // Half of the senders go away like a process that died.
    if (random.next() < 0.5) socket.resetAndDestroy()
    else socket.end()
  })
  const closed = await Promise.race([once(socket, "close").then(() => true), sleep(answerLimitMs, false)])
  socket.destroy()
  const status = /^HTTP\/1\.1 (\d+)/.exec(answer)?.[1]
  const bad = !closed ? "was left open" : status !== undefined && !/^4/.test(status) ? `got ${answer}` : undefined
  target.record("no HTTP", status === undefined ? "TCP closed" : `HTTP ${status}`, bad)
}

/** A socket of a client that has said hello, or not. */
interface Line {
  readonly socket: WebSocket
  readonly answer: () => Promise<ErrorFrame | "closed">
}

const openLine = async ({ token, url }: Target, greet: boolean): Promise<Line> => {
  const socket = new WebSocket(url.replace(/^http/, "ws"))
  const answers: Array<ErrorFrame | "closed"> = []
  let wake = () => {}
  const push = (answer: ErrorFrame | "closed") => {
    answers.push(answer)
    wake()
  }
  socket.on("message", (data) => {
    const frame = JSON.parse(String(data)) as ErrorFrame
    if (frame.type === "res") push(frame)
  })
  socket.on("close", () => push("closed"))
  socket.on("error", () => {})
  const answer = async (): Promise<ErrorFrame | "closed"> => {
    const deadline = performance.now() + answerLimitMs
    while (answers.length === 0) {
      const left = deadline - performance.now()
      if (left <= 0) throw new Error("no answer")
      const stop = new AbortController()
      await Promise.race([
        new Promise<void>((resolve) => {
          wake = resolve
        }),
        sleep(left, undefined, { signal: stop.signal }).catch(() => {})
      ])
      stop.abort()
    }
    return answers.shift()!
  }
  await once(socket, "open")
  if (greet) {
    socket.send(JSON.stringify({
      type: "req",
      id: "hello",
      method: "connect",
      params: {
        minProtocol: 1,
        maxProtocol: 1,
        client: { id: "fuzz", version: "1", platform: "node" },
        auth: { token }
      }
    }))
    const hello = await answer()
    if (hello === "closed" || hello.ok !== true) throw new Error(`no hello: ${JSON.stringify(hello)}`)
  }
  return { socket, answer }
}

const requestText = (method: string, params: string, id = "\"f\"") =>
  `{"type":"req","id":${id},"method":${JSON.stringify(method)},"params":${params}}`

/** What is wrong with a frame, and whether it ends the connection. */
const badFrame = (random: Random, greeted: boolean): {
  readonly kind: string
  readonly send: (socket: WebSocket) => void
  readonly ends?: boolean
} => {
  const method = random.pick(methods)
  const text = (kind: string, frame: string | Buffer) => ({
    kind,
    send: (socket: WebSocket) => socket.send(frame, { binary: false })
  })
  const raw = (kind: string, bytes: ReadonlyArray<number>) => ({
    kind,
    ends: true,
    send: (socket: WebSocket) =>
      (socket as unknown as { readonly _socket: net.Socket })._socket.write(Buffer.from(bytes))
  })
  const variant = random.below(40)
  switch (variant) {
    case 0:
      return { kind: "oversized frame", ends: true, send: (socket) => socket.send("x".repeat(bodyLimit + 1)) }
    case 1:
      return raw("unmasked frame", [0x81, 0x02, 0x7b, 0x7d])
    case 2:
      return raw("reserved bits", [0xf1, 0x80, 1, 2, 3, 4])
    case 3:
      return raw("unknown opcode", [0x83, 0x80, 1, 2, 3, 4])
    case 4:
      return raw("fragmented control frame", [0x09, 0x80, 1, 2, 3, 4])
    case 5:
      return raw("length beyond measure", [0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1, 2, 3, 4])
    case 6:
    case 7:
      return {
        kind: "binary frame",
        send: (socket) => socket.send(Buffer.from(requestText(method, "{}")), { binary: true })
      }
    case 8:
    case 9:
      return text("unknown method", requestText(unknownMethod(random), "{}"))
    case 10:
      return text(
        "bad id",
        requestText(method, "{}", random.pick(["5", "null", "{}", JSON.stringify("x".repeat(129))]))
      )
    case 11:
      return text(
        "bad type",
        random.pick(["{}", "{\"type\":\"event\"}", "{\"type\":\"res\",\"id\":\"1\"}", "{\"type\":5}"])
      )
    case 12:
    case 13:
      return text(
        "bad stream",
        requestText(
          "streamRunEvents",
          random.pick(["{}", "{\"runId\":\"nobody\"}", "{\"runId\":5}", "{\"runId\":\"nobody\",\"afterSeq\":-1}", "[]"])
        )
      )
    case 14:
      return text("bad connect", requestText("connect", random.pick(["{}", "null", "{\"minProtocol\":\"x\"}", "[1]"])))
    default: {
      const { bytes, kind } = malformed(random, method, (params) => requestText(method, params))
      return text(greeted ? kind : `${kind} before connect`, bytes)
    }
  }
}

const sendFrames = async (target: Target, takeOne: () => boolean) => {
  let greeted = true
  let line: Line | undefined
  while (takeOne()) {
    try {
      if (line === undefined || line.socket.readyState !== WebSocket.OPEN) {
        greeted = target.random.next() < 0.8
        line = await openLine(target, greeted)
      }
      const { ends = false, kind, send } = badFrame(target.random, greeted)
      send(line.socket)
      const answer = await line.answer()
      if (answer === "closed") {
        target.record(`frame: ${kind}`, "WebSocket closed", ends ? undefined : "closed the connection")
        line = undefined
      } else target.record(`frame: ${kind}`, `frame ${answer.error?.code}`, problemOf(answer))
      // An unauthenticated socket has ten seconds to live: change it now and then.
      if (!greeted && target.random.next() < 0.2) line?.socket.terminate()
    } catch (cause) {
      target.record("frame", "none", String(cause))
      line?.socket.terminate()
      line = undefined
    }
  }
  line?.socket.terminate()
}

/** Sends the real service what no client should, and sees that it says so, stays up and keeps nothing. */
export const fuzz = async (
  { count, say, seed }: { readonly count: number; readonly seed: number; readonly say: (line: string) => void }
): Promise<FuzzReport> => {
  const random = seeded(seed)
  const directory = workingDirectory("fuzz")
  const token = newToken()
  const program = distribution()
  const started = performance.now()
  say(`fuzz: seed ${seed}, ${count} requests and frames, ${program}`)
  const service = startService({
    program,
    home: path.join(directory, "home"),
    token,
    workflows: [path.resolve("scripts/soak/CrashWorkflow.ts")],
    // A small heap is collected often: what still grows is kept, not waiting to be collected.
    nodeOptions: ["--max-old-space-size=96", "--max-semi-space-size=8"]
  })
  const url = await service.url
  const answers: Record<string, number> = {}
  const violations: Array<string> = []
  const memory: Array<number> = []
  let sent = 0
  const target: Target = {
    url,
    token,
    random,
    record: (what, answer, problem) => {
      answers[answer] = (answers[answer] ?? 0) + 1
      if (problem !== undefined && violations.length < 50) violations.push(`${what}: ${problem}`)
    }
  }
  const takeOne = () => {
    if (sent >= count || service.hasEnded()) return false
    sent++
    if (sent % Math.ceil(count / 60) === 0) memory.push(residentMB(service.pid))
    if (sent % Math.ceil(count / 4) === 0) say(`fuzz: ${sent}/${count} sent, ${Math.round(memory.at(-1) ?? 0)} MB`)
    return true
  }
  const sendRequests = async () => {
    while (takeOne()) await (random.next() < 0.05 ? badBytes(target) : badRequest(target))
  }
  await Promise.all([
    ...Array.from({ length: httpWorkers }, sendRequests),
    ...Array.from({ length: socketWorkers }, () => sendFrames(target, takeOne))
  ])
  agent.destroy()

  if (service.hasEnded()) {
    const { code, stderr } = await service.ended
    violations.push(`the service ended, ${code}: ${stderr}`)
  } else violations.push(...await worksAsBefore(url, token, directory))
  // The lowest of a third: what garbage there is at a moment says nothing.
  const lowest = (from: number, to: number) =>
    Math.min(...memory.slice(Math.floor(memory.length * from), Math.max(1, Math.ceil(memory.length * to))))
  const resident = { early: lowest(0.1, 0.4), late: lowest(0.7, 1), highest: Math.max(...memory) }
  if (resident.late - resident.early > growthLimitMB) {
    violations.push(`memory grew from ${Math.round(resident.early)} to ${Math.round(resident.late)} MB`)
  }
  if (!service.hasEnded()) {
    service.kill("SIGTERM")
    const { code } = await service.ended
    if (code !== 0) violations.push(`the service ended with ${code} when it was asked to stop`)
  }
  fs.rmSync(directory, { recursive: true, force: true })
  return {
    seed,
    sent,
    answers: Object.fromEntries(Object.entries(answers).sort(([, a], [, b]) => b - a)),
    residentMB: {
      early: Math.round(resident.early),
      late: Math.round(resident.late),
      highest: Math.round(resident.highest)
    },
    seconds: Math.round((performance.now() - started) / 1_000),
    violations
  }
}

/** A service that was fuzzed is as good as new. */
const worksAsBefore = async (url: string, token: string, directory: string): Promise<ReadonlyArray<string>> => {
  const violations: Array<string> = []
  const health = await fetch(`${url}/health`)
  if (health.status !== 200) violations.push(`/health answers ${health.status}`)
  const stored = await ask<ReadonlyArray<unknown>>(url, token, "listRuns", {})
  if (stored.length > 0) violations.push(`${stored.length} runs were launched by what was malformed`)
  const file = path.join(directory, "lines")
  await ask(url, token, "launchRun", { workflow: workflowName, runId: "after", input: { file, tasks: 6 } })
  const deadline = performance.now() + answerLimitMs
  for (;;) {
    const { status } = await ask<{ readonly status: string }>(url, token, "getRun", { runId: "after" })
    if (status === "finished") return violations
    if (status !== "running" || performance.now() > deadline) return [...violations, `a normal run is ${status}`]
    await sleep(50)
  }
}

import { createHash, randomUUID } from "node:crypto"
import { readFileSync } from "node:fs"
import { createServer, type Server, type ServerResponse } from "node:http"
import { type AddressInfo } from "node:net"
import { extname, join } from "node:path"
import { type WebSocket, WebSocketServer } from "ws"

interface Event {
  readonly seq: number
  readonly event: string
  readonly payload: Record<string, unknown>
  readonly timestampMs: number
}

interface Node {
  readonly nodeId: string
  iteration: number
  kind: string
  label: string | null
  parentNodeId: string | null
  state: string
  lastAttempt: number
  startedAtMs: number | null
  finishedAtMs: number | null
  updatedAtMs: number
  error: { name: string; message: string; typed: boolean } | null
  cached: boolean
  output: unknown
}

interface Run {
  readonly runId: string
  readonly workflow: string
  readonly input: unknown
  status: string
  output: unknown
  error: { name: string; message: string; typed: boolean } | null
  hold: { kind: string; reason: string } | null
  createdAtMs: number
  finishedAtMs: number | null
  cancelRequestedAtMs: number | null
  readonly nodes: Array<Node>
  readonly events: Array<Event>
  approval: { nodeId: string; title: string; payload: unknown; requestedAtMs: number } | null
}

class Failure extends Error {
  readonly code: string
  readonly status: number
  readonly details: Record<string, unknown>
  constructor(status: number, code: string, message: string, details: Record<string, unknown> = {}) {
    super(message)
    this.status = status
    this.code = code
    this.details = details
  }
}

interface Connection {
  readonly socket: WebSocket
  seq: number
  readonly streams: Map<string, string>
}

const contentTypes: Readonly<Record<string, string>> = {
  ".html": "text/html",
  ".js": "text/javascript",
  ".css": "text/css",
  ".svg": "image/svg+xml"
}

export const workflows = [
  {
    key: "release-notes",
    hasUi: false,
    uiPath: null,
    system: false,
    readableName: "Release notes",
    description: "Collects the commits of a range, groups them, drafts notes and publishes what was approved.",
    inputSchema: {
      $schema: "http://json-schema.org/draft-07/schema#",
      type: "object",
      required: ["repo", "from", "to"],
      properties: {
        repo: { type: "string", description: "Path of a git repository under an allowed root." },
        from: { type: "string", description: "First revision, excluded." },
        to: { type: "string", description: "Last revision, included." },
        limit: { type: "integer", description: "How many commits at most." },
        style: { type: "string", enum: ["plain", "friendly"] },
        draft: { type: "boolean", description: "Leave the draft marker in." }
      },
      additionalProperties: false
    }
  },
  { key: "echo", hasUi: false, uiPath: null, system: false, description: "Gives back its input.", inputSchema: null }
]

const nothingOfThePeer = {
  workflowPath: null,
  workflowHash: null,
  hijackRequestedAtMs: null,
  hijackTarget: null,
  vcsType: null,
  vcsRoot: null,
  vcsRevision: null,
  cancelRequestId: null,
  cancelRequestSource: null,
  cancelRequestClientIdentity: null,
  cancelRequestClientPid: null,
  orgId: null,
  projectId: null
}

/** Speaks the v1 wire from memory, so that the console can be seen in states that take long to reach for real. */
export class FakeGateway {
  token = "smithers_test"
  readonly runs: Array<Run> = []
  readonly calls: Array<string> = []
  /** What was submitted about approvals. */
  readonly decisions: Array<Record<string, unknown>> = []
  #server: Server | undefined
  #port = 0
  readonly #connections = new Set<Connection>()
  readonly #folder: string

  constructor(folder: string) {
    this.#folder = folder
  }

  get address() {
    return `http://127.0.0.1:${this.#port}`
  }

  async start() {
    const server = createServer((request, response) => {
      const path = (request.url ?? "/").split("?")[0] ?? "/"
      if (request.method !== "POST") {
        this.#serveFile(path, response)
        return
      }
      const chunks: Array<Buffer> = []
      request.on("data", (chunk: Buffer) => chunks.push(chunk))
      request.on("end", () => {
        const id = randomUUID()
        const answer = (status: number, body: Record<string, unknown>) => {
          response.writeHead(status, { "Content-Type": "application/json" })
          response.end(JSON.stringify({ type: "res", id, apiVersion: "v1", ...body }))
        }
        try {
          const token = (request.headers.authorization ?? "").replace("Bearer ", "")
          if (token !== this.token) throw new Failure(401, "UNAUTHORIZED", "Invalid token")
          const text = Buffer.concat(chunks).toString()
          const params = (text === "" ? {} : JSON.parse(text)) as Record<string, unknown>
          answer(200, { ok: true, payload: this.#call(path.replace("/v1/rpc/", ""), params) })
        } catch (error) {
          const failure = error instanceof Failure ? error : new Failure(500, "SERVER_ERROR", String(error))
          answer(failure.status, {
            ok: false,
            error: { version: "v1", code: failure.code, message: failure.message, ...failure.details }
          })
        }
      })
    })
    this.#server = server
    new WebSocketServer({ server }).on("connection", (socket) => {
      this.#converse(socket)
    })
    await new Promise<void>((resolve) => server.listen(this.#port, "127.0.0.1", resolve))
    this.#port = (server.address() as AddressInfo).port
  }

  async stop() {
    for (const { socket } of this.#connections) socket.terminate()
    this.#connections.clear()
    this.#server?.closeAllConnections()
    await new Promise((resolve) => this.#server?.close(resolve))
  }

  #serveFile(path: string, response: ServerResponse) {
    const file = path.replace("/console", "").replace(/^\/$/, "")
    const asset = extname(file) !== ""
    const body = readFileSync(join(this.#folder, asset ? file : "index.html"))
    response.writeHead(200, {
      "Content-Type": contentTypes[extname(file)] ?? "text/html",
      "Content-Security-Policy": "default-src 'self'",
      "Cache-Control": "no-store"
    })
    response.end(body)
  }

  #send(connection: Connection, event: string, payload: unknown) {
    connection.seq += 1
    connection.socket.send(
      JSON.stringify({ type: "event", event, payload, seq: connection.seq, stateVersion: 1, apiVersion: "v1" })
    )
  }

  #converse(socket: WebSocket) {
    const connection: Connection = { socket, seq: 0, streams: new Map() }
    this.#send(connection, "connect.challenge", { nonce: randomUUID(), ts: Date.now() })
    socket.on("close", () => this.#connections.delete(connection))
    socket.on("message", (data: Buffer) => {
      const { id, method, params } = JSON.parse(data.toString()) as {
        id: string
        method: string
        params: Record<string, unknown> & { auth?: { token?: string } }
      }
      const answer = (body: Record<string, unknown>) => {
        socket.send(JSON.stringify({ type: "res", id, apiVersion: "v1", ...body }))
      }
      if (method === "connect") {
        if (params.auth?.token !== this.token) {
          answer({ ok: false, error: { version: "v1", code: "UNAUTHORIZED", message: "Invalid token" } })
          socket.close(1008)
          return
        }
        this.#connections.add(connection)
        const identity = { workspaceRoot: null, backend: "sqlite", version: "0", pid: 1, startedAtMs: 1 }
        answer({
          ok: true,
          payload: {
            protocol: 1,
            features: [],
            identity,
            policy: { heartbeatMs: 15_000 },
            auth: { sessionToken: "s", role: "operator", scopes: ["*"], userId: "user:op", tokenId: null },
            snapshot: { runs: [], approvals: [], stateVersion: 1 }
          }
        })
      } else {
        this.calls.push(`stream afterSeq=${String(params["afterSeq"])}`)
        const run = this.#run(params)
        const streamId = randomUUID()
        const afterSeq = typeof params["afterSeq"] === "number" ? params["afterSeq"] : null
        answer({ ok: true, payload: { streamId, runId: run.runId, afterSeq, currentSeq: run.events.length } })
        connection.streams.set(run.runId, streamId)
        if (afterSeq !== null) {
          for (const event of run.events.slice(afterSeq)) this.#stream(connection, streamId, run, event)
        }
      }
    })
  }

  #stream(connection: Connection, streamId: string, run: Run, event: Event) {
    this.#send(connection, "run.event", {
      streamId,
      apiVersion: "v1",
      type: "RunEvent",
      runId: run.runId,
      stateVersion: 1,
      ...event
    })
  }

  /** Adds an event to the run's journal and tells whoever listens. */
  emit(run: Run, event: string, payload: Record<string, unknown> = {}) {
    const entry: Event = {
      seq: run.events.length + 1,
      event,
      payload: { runId: run.runId, ...payload },
      timestampMs: Date.now()
    }
    run.events.push(entry)
    for (const connection of this.#connections) {
      const streamId = connection.streams.get(run.runId)
      if (streamId !== undefined) this.#stream(connection, streamId, run, entry)
      else if (event.includes(".")) this.#send(connection, event, entry.payload)
    }
  }

  addRun(workflow: string, input: unknown, status = "running", createdAtMs = Date.now()): Run {
    const run: Run = {
      runId: randomUUID(),
      workflow,
      input,
      status,
      output: null,
      error: null,
      hold: null,
      createdAtMs,
      finishedAtMs: status === "running" || status.startsWith("waiting") ? null : createdAtMs + 4_200,
      cancelRequestedAtMs: null,
      nodes: [],
      events: [],
      approval: null
    }
    this.runs.push(run)
    return run
  }

  node(run: Run, nodeId: string, state: string, more: Partial<Node> = {}): Node {
    const known = run.nodes.find((node) => node.nodeId === nodeId)
    const now = Date.now()
    const node = known ?? {
      nodeId,
      iteration: 0,
      kind: "task",
      label: null,
      parentNodeId: null,
      state,
      lastAttempt: 1,
      startedAtMs: now,
      finishedAtMs: null,
      updatedAtMs: now,
      error: null,
      cached: false,
      output: null
    }
    Object.assign(node, { state, updatedAtMs: now, ...(state === "finished" ? { finishedAtMs: now } : {}), ...more })
    if (known === undefined) run.nodes.push(node)
    return node
  }

  /** The first part of a release-notes run, up to its approval. */
  park(run: Run, payload: unknown) {
    this.emit(run, "RunStarted")
    this.node(run, "collect", "finished", { label: "Collect commits", output: { commits: 42 } })
    this.emit(run, "node.finished", { nodeId: "collect", state: "finished" })
    this.node(run, "drafts", "finished", { kind: "group", label: "Drafts" })
    this.node(run, "draft:features", "finished", { parentNodeId: "drafts", output: "### Features\n- one\n- two" })
    this.node(run, "draft:fixes", "finished", { parentNodeId: "drafts", lastAttempt: 2, output: "### Fixes" })
    this.emit(run, "node.retrying", { nodeId: "draft:fixes", state: "in-progress", attempt: 2 })
    this.emit(run, "node.finished", { nodeId: "draft:fixes", state: "finished" })
    this.node(run, "ship", "waiting-approval", { kind: "approval", label: "Publish these notes?" })
    run.status = "waiting-approval"
    run.approval = { nodeId: "ship", title: "Publish these notes?", payload, requestedAtMs: Date.now() }
    this.emit(run, "approval.requested", { nodeId: "ship", iteration: 0 })
  }

  #run(params: Record<string, unknown>): Run {
    const run = this.runs.find(({ runId }) => runId === params["runId"])
    if (run === undefined) throw new Failure(404, "NOT_FOUND", `Run ${String(params["runId"])} was not found.`)
    return run
  }

  #row(run: Run) {
    return {
      ...nothingOfThePeer,
      runId: run.runId,
      parentRunId: null,
      workflowName: run.workflow,
      workflowKey: run.workflow,
      status: run.status,
      createdAtMs: run.createdAtMs,
      startedAtMs: run.createdAtMs,
      finishedAtMs: run.finishedAtMs,
      heartbeatAtMs: null,
      runtimeOwnerId: null,
      cancelRequestedAtMs: run.cancelRequestedAtMs,
      pauseRequestedAtMs: null,
      errorJson: null,
      configJson: "{}",
      system: false,
      hold: run.hold
    }
  }

  #approvals(runId: unknown) {
    return this.runs.flatMap((run) =>
      run.approval === null || (runId !== undefined && runId !== run.runId) ? [] : [{
        runId: run.runId,
        workflowKey: run.workflow,
        nodeId: run.approval.nodeId,
        iteration: 0,
        requestTitle: run.approval.title,
        requestSummary: "Nothing is published before somebody has read it.",
        requestedAtMs: run.approval.requestedAtMs,
        approvalMode: "decision",
        options: [],
        allowedScopes: [],
        allowedUsers: [],
        autoApprove: null,
        payload: run.approval.payload,
        payloadSha256: createHash("sha256").update(JSON.stringify(run.approval.payload)).digest("hex"),
        owner: "release-lead",
        fallbackOwner: "cto"
      }]
    )
  }

  #call(method: string, params: Record<string, unknown>): unknown {
    this.calls.push(method)
    switch (method) {
      case "health":
        return {
          protocol: 1,
          features: [],
          stateVersion: 1,
          identity: { workspaceRoot: null, backend: "sqlite", version: "0", pid: 1, startedAtMs: 1 },
          workflowsLoaded: 2,
          workflowsTotal: 2,
          uptimeMs: 1,
          modulesFailed: []
        }
      case "listWorkflows":
        return workflows
      case "listRuns": {
        const { limit = 50, offset = 0, status } = (params["filter"] ?? {}) as {
          limit?: number
          offset?: number
          status?: string
        }
        return this.runs.toReversed().filter((run) => status === undefined || run.status === status)
          .slice(offset, offset + limit).map((run) => this.#row(run))
      }
      case "getRun": {
        const run = this.#run(params)
        const summary: Record<string, number> = {}
        for (const { state } of run.nodes) summary[state] = (summary[state] ?? 0) + 1
        return {
          ...this.#row(run),
          summary,
          runState: {
            runId: run.runId,
            computedAt: new Date().toISOString(),
            state: run.status === "finished" ? "succeeded" : run.status,
            ...(run.approval === null ? {} : {
              blocked: {
                kind: "approval",
                nodeId: run.approval.nodeId,
                requestedAt: new Date(run.approval.requestedAtMs).toISOString()
              }
            })
          },
          input: run.input,
          output: run.output,
          error: run.error
        }
      }
      case "listNodeStates":
        return this.#run(params).nodes.map(({ output: _, ...node }) => node)
      case "getNodeOutput": {
        const node = this.#run(params).nodes.find(({ nodeId }) => nodeId === params["nodeId"])
        const schema = { fields: [] }
        if (node?.error) {
          return {
            status: "failed",
            row: null,
            schema,
            partial: null,
            error: { ...node.error, attempt: node.lastAttempt }
          }
        }
        return { status: node?.state === "finished" ? "produced" : "pending", row: node?.output ?? null, schema }
      }
      case "listEvents": {
        const afterSeq = Number(params["afterSeq"] ?? 0)
        return this.#run(params).events.slice(afterSeq, afterSeq + Number(params["limit"] ?? 100))
          .map((event) => ({ ...event, runId: params["runId"], event: storedName(event) }))
      }
      case "listApprovals":
        return this.#approvals(params["runId"]).slice(0, Number(params["limit"] ?? 50))
      case "launchRun": {
        const input = params["input"] as Record<string, unknown>
        if (input["repo"] === "/nowhere") {
          throw new Failure(400, "INVALID_INPUT", "repo: must lie under an allowed root", { field: "repo" })
        }
        const run = this.addRun(String(params["workflow"]), input)
        this.node(run, "collect", "in-progress", { label: "Collect commits" })
        setImmediate(() => {
          this.park(run, { title: "Notes", markdown: "## 1.1\n\n- Faster\n- Safer" })
        })
        return { runId: run.runId, workflow: run.workflow, system: false, existing: false }
      }
      case "submitApproval": {
        const run = this.#run(params)
        const { nodeId } = params
        this.decisions.push(params)
        run.approval = null
        run.status = "running"
        this.node(run, String(nodeId), "finished", {
          output: { approved: params["approved"], note: params["note"] ?? null }
        })
        this.emit(run, "approval.decided", { nodeId, iteration: 0, approved: params["approved"] })
        setImmediate(() => {
          run.status = "finished"
          run.finishedAtMs = Date.now()
          run.output = { path: "artifacts/NOTES.md", note: params["note"] ?? null }
          this.emit(run, "run.completed", { status: "finished" })
        })
        return { runId: run.runId, nodeId, iteration: 0, approved: params["approved"] }
      }
      case "cancelRun": {
        const run = this.#run(params)
        run.status = "cancelled"
        run.approval = null
        run.finishedAtMs = run.cancelRequestedAtMs = Date.now()
        this.emit(run, "run.completed", { status: "cancelled" })
        return { runId: run.runId, status: "cancelled" }
      }
      case "pauseRun": {
        const run = this.#run(params)
        run.status = "paused"
        this.emit(run, "RunStatusChanged", { status: "paused" })
        return { runId: run.runId, status: "pausing" }
      }
      case "resumeRun": {
        const run = this.#run(params)
        run.status = "running"
        this.emit(run, "RunStatusChanged", { status: "running" })
        return { runId: run.runId, status: "resume_requested" }
      }
      default:
        throw new Failure(404, "METHOD_NOT_FOUND", `Unknown method ${method}`)
    }
  }
}

const storedNames: Readonly<Record<string, string>> = {
  "approval.requested": "ApprovalRequested",
  "approval.decided": "ApprovalGranted",
  "node.started": "NodeStarted",
  "node.finished": "NodeFinished",
  "node.failed": "NodeFailed",
  "node.retrying": "NodeRetrying"
}

const storedName = ({ event, payload: { status } }: Event) => {
  if (event !== "run.completed") return storedNames[event] ?? event
  return status === "failed" ? "RunFailed" : status === "cancelled" ? "RunCancelled" : "RunFinished"
}

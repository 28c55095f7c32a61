import WebSocket from "ws"

export interface SeenEvent {
  readonly seq: number
  readonly event: string
  readonly nodeId: string | null
  readonly timestampMs: number
}

/** Follows the events of one run over as many connections as it takes. */
interface Subscriber {
  /** Goes on after the last event that was seen; whatever connection there was is given up. */
  readonly connect: (url: string) => void
  readonly disconnect: () => void
  readonly seen: ReadonlyArray<SeenEvent>
  /** What must never happen: gaps, repetitions, refusals. */
  readonly violations: ReadonlyArray<string>
}

interface Frame {
  readonly type: string
  readonly id?: string
  readonly ok?: boolean
  readonly error?: { readonly code: string; readonly message: string }
  readonly event?: string
  readonly payload?: {
    readonly seq: number
    readonly event: string
    readonly timestampMs: number
    readonly error?: { readonly code: string }
    readonly payload?: { readonly nodeId?: string }
  }
}

const request = (id: string, method: string, params: unknown) => JSON.stringify({ type: "req", id, method, params })

export const makeSubscriber = (runId: string, token: string, onEvent: (event: SeenEvent) => void): Subscriber => {
  const seen: Array<SeenEvent> = []
  const violations: Array<string> = []
  let socket: WebSocket | undefined

  const take = ({ event, payload, seq, timestampMs }: NonNullable<Frame["payload"]>) => {
    const last = seen.at(-1)?.seq ?? 0
    if (seq !== last + 1) violations.push(`event ${seq} (${event}) came after event ${last}`)
    const next = { seq, event, nodeId: payload?.nodeId ?? null, timestampMs }
    seen.push(next)
    onEvent(next)
  }

  const disconnect = () => {
    socket?.removeAllListeners()
    // A socket that is still connecting reports its end as an error.
    socket?.on("error", () => {})
    socket?.terminate()
    socket = undefined
  }

  return {
    seen,
    violations,
    disconnect,
    connect: (url) => {
      disconnect()
      const opened = new WebSocket(`${url.replace(/^http/, "ws")}/`)
      socket = opened
      opened.on("error", () => {})
      opened.on("open", () =>
        opened.send(request("connect", "connect", {
          minProtocol: 1,
          maxProtocol: 1,
          client: { id: "soak", version: "1", platform: "node" },
          auth: { token },
          subscribe: [runId]
        })))
      opened.on("message", (data) => {
        const frame = JSON.parse(String(data)) as Frame
        if (frame.type === "res" && frame.ok === false) {
          violations.push(`${frame.id} was refused: ${frame.error?.code} ${frame.error?.message}`)
        } else if (frame.type === "res" && frame.id === "connect") {
          opened.send(request("stream", "streamRunEvents", { runId, afterSeq: seen.at(-1)?.seq ?? 0 }))
        } else if (frame.event === "run.event" && frame.payload !== undefined) {
          take(frame.payload)
        } else if (frame.event === "run.error" && frame.payload?.error?.code !== "ConnectionClosed") {
          violations.push(`the stream failed: ${JSON.stringify(frame.payload)}`)
        }
      })
    }
  }
}

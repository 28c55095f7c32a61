import { Effect } from "effect"
import type { Duplex } from "node:stream"
import type { WebSocket } from "ws"
import { jsonText } from "./Json.ts"
import { limits } from "./Limits.ts"
import { backpressureDisconnects, messagesSent } from "./Metrics.ts"

/** Bytes that wait in the queues of all connections. */
export interface QueueBudget {
  used: number
}

/** What one connection writes: every frame in order, bounded, the event frames numbered. */
export interface Outbox {
  readonly response: (text: string) => void
  /** `payloadJson` is JSON text already. */
  readonly event: (event: string, payloadJson: string, stateVersion: number) => void
  /** Whether the socket takes more without queueing. */
  readonly isReady: () => boolean
  /** Completes when it does. */
  readonly ready: Effect.Effect<void>
  /** Nothing is sent from now on. */
  readonly close: () => void
}

/**
 * `raw` is the connection below `socket`. A reader that does not read costs what the socket buffers plus a bounded queue;
 * when that is full `overflow` is called, once, and nothing more is sent.
 */
export const makeOutbox = (socket: WebSocket, raw: Duplex, budget: QueueBudget, overflow: () => void): Outbox => {
  const queue: Array<string> = []
  let queued = 0
  let seq = 0
  let closed = false
  const waiting = new Set<() => void>()

  const isReady = () => queue.length === 0 && socket.bufferedAmount <= limits.buffered
  const write = (text: string) => {
    messagesSent.unsafeUpdate(1, [])
    socket.send(text, ignore)
  }
  const drop = () => {
    closed = true
    budget.used -= queued
    queued = 0
    queue.length = 0
  }
  const flush = () => {
    let sent = 0
    while (sent < queue.length && socket.bufferedAmount <= limits.buffered) {
      const text = queue[sent++]!
      queued -= text.length
      budget.used -= text.length
      write(text)
    }
    queue.splice(0, sent)
    if (!isReady()) return
    for (const wake of waiting) wake()
    waiting.clear()
  }
  raw.on("drain", flush)

  const send = (text: string) => {
    if (closed) return
    if (isReady()) return write(text)
    if (queued + text.length > limits.queued || budget.used + text.length > limits.queuedInAll) {
      drop()
      backpressureDisconnects.unsafeUpdate(1, [])
      return overflow()
    }
    queue.push(text)
    queued += text.length
    budget.used += text.length
  }

  return {
    response: send,
    event: (event, payloadJson, stateVersion) => {
      if (closed) return
      send(
        `{"type":"event","event":${
          jsonText(event)
        },"payload":${payloadJson},"seq":${++seq},"stateVersion":${stateVersion},"apiVersion":"v1"}`
      )
    },
    isReady,
    ready: Effect.async((resume) => {
      if (isReady()) return resume(Effect.void)
      const wake = () => resume(Effect.void)
      waiting.add(wake)
      return Effect.sync(() => waiting.delete(wake))
    }),
    close: () => {
      drop()
      raw.off("drain", flush)
    }
  }
}

/** What cannot be sent is followed by the close event, which is what ends a connection. */
const ignore = () => undefined

import { Metric, MetricBoundaries, MetricKey, MetricLabel } from "effect"

const counter = (name: string, description: string) => Metric.counter(name, { description, incremental: true })

/** The labels become part of the key: `Metric.tagged` would look the metric up anew at every update. */
const labelled = <K extends MetricKey.MetricKey.Untyped>(key: K, labels: Readonly<Record<string, string>>) =>
  Metric.fromMetricKey(
    MetricKey.taggedWithLabels(key, Object.entries(labels).map(([name, value]) => MetricLabel.make(name, value))) as K
  )

const callCount = MetricKey.counter("smithers_gateway_rpc_calls_total", {
  description: "Calls, by outcome",
  incremental: true
})
const callDuration = MetricKey.histogram(
  "smithers_gateway_rpc_duration_seconds",
  MetricBoundaries.fromIterable([0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1, 5, 30]),
  "How long a call took"
)

export type Transport = "http" | "ws"

/** What is counted of the calls of one method over one transport. */
export const callMetrics = (transport: Transport, method: string) => ({
  ok: labelled(callCount, { transport, method, outcome: "ok" }),
  error: labelled(callCount, { transport, method, outcome: "error" }),
  duration: labelled(callDuration, { transport, method })
})

export const connectionsTotal = counter("smithers_gateway_connections_total", "WebSocket connections accepted")
export const connectionsClosed = counter("smithers_gateway_connections_closed_total", "WebSocket connections ended")
export const connectionsActive = Metric.gauge("smithers_gateway_connections_active", {
  description: "WebSocket connections open now"
})
export const messagesReceived = counter("smithers_gateway_messages_received_total", "WebSocket messages received")
export const messagesSent = counter("smithers_gateway_messages_sent_total", "WebSocket frames sent")
export const authFailures = counter(
  "smithers_gateway_auth_failures_total",
  "Calls and connections refused: no valid credential"
)
export const backpressureDisconnects = counter(
  "smithers_gateway_backpressure_disconnects_total",
  "Streams and connections cut off because their reader does not read"
)

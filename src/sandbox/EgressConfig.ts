import { Context, Duration } from "effect"

export interface Settings {
  /** Ports of hosts that may be reached. */
  readonly ports: ReadonlyArray<number>
  /** Ranges that may be reached although they are not public, like `10.1.0.0/16`: a mirror of packages, a test. */
  readonly ranges: ReadonlyArray<string>
  /** Connections of one sandbox at once; more are not accepted. */
  readonly maxConnections: number
  /** Of one request, in bytes. */
  readonly maxHeaderBytes: number
  readonly resolveTimeout: Duration.Duration
  readonly connectTimeout: Duration.Duration
  /** Until the header of a request must be complete. */
  readonly headerTimeout: Duration.Duration
  /** A connection on which nothing moves is cut after this. */
  readonly idleTimeout: Duration.Duration
}

export const defaults: Settings = {
  ports: [80, 443],
  ranges: [],
  maxConnections: 64,
  maxHeaderBytes: 16_384,
  resolveTimeout: Duration.seconds(5),
  connectTimeout: Duration.seconds(10),
  headerTimeout: Duration.seconds(10),
  idleTimeout: Duration.minutes(5)
}

/** What the egress proxy allows beyond its list of hosts, and how much. */
export class EgressConfig extends Context.Reference<EgressConfig>()("smithers-orchestrator/sandbox/EgressConfig", {
  defaultValue: () => defaults
}) {}

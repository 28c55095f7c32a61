import { Duration } from "effect"

/** The bounds of the v1 wire (`wire-protocol.md` §§1.5, 2.2, 2.7, 2.8); sizes in bytes unless a name says otherwise. */
export const limits = {
  body: 1_048_576,
  /** What is read and thrown away of a body that is too large, so that its sender gets to see the answer. */
  discarded: 16_777_216,
  depth: 32,
  elements: 256,
  stringChars: 16_384,
  methodChars: 64,
  promptChars: 8_192,

  headersTimeoutMs: 30_000,
  requestTimeoutMs: 60_000,
  keepAliveMs: 65_000,

  pendingSockets: 64,
  sockets: 1_000,
  connectDeadline: Duration.seconds(10),
  /** Requests of one socket that are worked on at once; beyond it the socket is not read. */
  socketRequests: 32,

  streams: 256,
  streamsPerUser: 32,
  streamsPerRun: 64,
  streamsPerSocket: 8,
  /** New events that a stream may miss while its socket takes nothing more. */
  streamBacklog: 1_000,
  /** How long a stream waits for a socket that takes nothing more. */
  stall: Duration.seconds(30),

  /** Buffered by a socket before frames wait in our own queue. */
  buffered: 1_048_576,
  /** Waiting in the queue of one socket, and of all together. */
  queued: 33_554_432,
  queuedInAll: 268_435_456,
  /** Events that wait to be broadcast; beyond it they are sent as they come. */
  broadcastBacklog: 10_000,

  /** How long a shutdown waits for requests in flight, then for sockets to say goodbye. */
  requestGrace: Duration.millis(300),
  closeGrace: Duration.millis(300)
} as const

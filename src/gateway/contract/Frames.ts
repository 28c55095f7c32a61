import { Schema } from "effect"
import { Seq, TimestampMs } from "../../model/index.ts"
import { ApprovalRow } from "./ApprovalRpcs.ts"
import { StreamedEvent } from "./EventRpcs.ts"
import { WireError } from "./Failure.ts"
import { Identity } from "./HealthRpcs.ts"
import { RunRow } from "./RunRow.ts"

/** Characters of a request's id. */
export const frameIdChars = 128

const FrameId = Schema.String.pipe(Schema.maxLength(frameIdChars))

/** What a client sends over the WebSocket. */
export const RequestFrame = Schema.Struct({
  type: Schema.Literal("req"),
  id: FrameId,
  method: Schema.String,
  params: Schema.optional(Schema.Unknown)
})

/** The answer to a request, over HTTP and WebSocket alike. */
export const ResponseFrame = Schema.Union(
  Schema.Struct({
    type: Schema.Literal("res"),
    id: Schema.String,
    ok: Schema.Literal(true),
    apiVersion: Schema.Literal("v1"),
    payload: Schema.Unknown
  }),
  Schema.Struct({
    type: Schema.Literal("res"),
    id: Schema.String,
    ok: Schema.Literal(false),
    apiVersion: Schema.Literal("v1"),
    error: WireError
  })
)

/** What the server sends of its own accord: `seq` counts the event frames of the connection. */
export const EventFrame = Schema.Struct({
  type: Schema.Literal("event"),
  event: Schema.String,
  payload: Schema.optional(Schema.Unknown),
  seq: Schema.Int,
  stateVersion: Schema.Int,
  apiVersion: Schema.Literal("v1")
})

export const ServerFrame = Schema.Union(ResponseFrame, EventFrame)

/** Parameters of `connect`. */
export const ConnectParams = Schema.Struct({
  minProtocol: Schema.Int,
  maxProtocol: Schema.Int,
  client: Schema.Struct({
    id: Schema.optional(Schema.String),
    version: Schema.optional(Schema.String),
    platform: Schema.optional(Schema.String)
  }),
  auth: Schema.optional(Schema.Struct({ token: Schema.optional(Schema.String) })),
  subscribe: Schema.optional(Schema.Array(Schema.String))
})

/** The answer to `connect`. */
export const Hello = Schema.Struct({
  protocol: Schema.Literal(1),
  features: Schema.Array(Schema.String),
  identity: Identity,
  policy: Schema.Struct({ heartbeatMs: Schema.Int }),
  auth: Schema.Struct({
    sessionToken: Schema.String,
    role: Schema.String,
    scopes: Schema.Array(Schema.String),
    userId: Schema.NullOr(Schema.String),
    tokenId: Schema.NullOr(Schema.String)
  }),
  snapshot: Schema.Struct({
    runs: Schema.Array(RunRow),
    approvals: Schema.Array(ApprovalRow),
    stateVersion: Schema.Int
  })
})

const streamFields = { streamId: Schema.String, runId: Schema.String }

/** The answer to `streamRunEvents`. */
export const StreamAnswer = Schema.Struct({
  ...streamFields,
  afterSeq: Schema.NullOr(Seq),
  currentSeq: Seq
})

/** Payload of a `run.event` frame. */
export const StreamEventPayload = Schema.Struct({
  ...StreamedEvent.fields,
  streamId: Schema.String,
  apiVersion: Schema.Literal("v1"),
  stateVersion: Schema.Int
})

/** Payload of a `run.heartbeat` frame. */
export const StreamHeartbeatPayload = Schema.Struct({
  ...streamFields,
  apiVersion: Schema.Literal("v1"),
  type: Schema.Literal("Heartbeat"),
  ts: TimestampMs
})

/** Payload of a `run.error` frame: the stream has ended. */
export const StreamErrorPayload = Schema.Struct({ ...streamFields, error: WireError })

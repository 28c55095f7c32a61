import { Schema } from "effect"

/** Every code that a caller may be answered with, and the HTTP status it travels under (`wire-protocol.md` §1.4). */
export const failureStatus = {
  INVALID_REQUEST: 400,
  INVALID_INPUT: 400,
  PROTOCOL_UNSUPPORTED: 400,
  InvalidRunId: 400,
  InvalidNodeId: 400,
  InvalidIteration: 400,
  SeqOutOfRange: 400,
  UNAUTHORIZED: 401,
  FORBIDDEN: 403,
  NOT_FOUND: 404,
  METHOD_NOT_FOUND: 404,
  RunNotFound: 404,
  NodeNotFound: 404,
  AttemptNotFinished: 409,
  AlreadyDecided: 409,
  RUN_NOT_ACTIVE: 409,
  RUN_ACTIVE: 409,
  CONFLICT: 409,
  DiffTooLarge: 413,
  PayloadTooLarge: 413,
  RateLimited: 429,
  BackpressureDisconnect: 429,
  QUOTA_EXCEEDED: 429,
  UnsupportedSandbox: 501,
  CONNECTION_LIMIT: 500,
  ConnectionClosed: 500,
  Internal: 500,
  SERVER_ERROR: 500
} as const

export type FailureCode = keyof typeof failureStatus

export const FailureCode = Schema.Literal(...(Object.keys(failureStatus) as Array<FailureCode>))

/** What a call can fail with. `details` are the members that stand beside code and message on the wire. */
export class GatewayFailure extends Schema.TaggedError<GatewayFailure>()("GatewayFailure", {
  code: FailureCode,
  message: Schema.String,
  details: Schema.optional(Schema.Record({ key: Schema.String, value: Schema.Unknown }))
}) {}

/** A failure whose code the compiler knows. */
export function failure<const C extends FailureCode>(
  code: C,
  message: string,
  details?: Readonly<Record<string, unknown>>
): GatewayFailure & { readonly code: C }
export function failure(code: FailureCode, message: string, details?: Readonly<Record<string, unknown>>) {
  return new GatewayFailure({ code, message, ...(details && { details }) })
}

/** The `error` member of a response: details are flattened into it. */
export const WireError = Schema.Struct(
  { version: Schema.Literal("v1"), code: Schema.String, message: Schema.String },
  { key: Schema.String, value: Schema.Unknown }
)
export type WireError = typeof WireError.Type

export const toWireError = ({ code, details, message }: GatewayFailure): WireError => ({
  ...details,
  version: "v1",
  code,
  message
})

/** Codes that any method may answer with: bounds, authentication, and what went wrong inside. */
const commonCodes = [
  "INVALID_REQUEST",
  "INVALID_INPUT",
  "UNAUTHORIZED",
  "FORBIDDEN",
  "SERVER_ERROR"
] as const satisfies ReadonlyArray<FailureCode>

type CommonCode = typeof commonCodes[number]

/** The failures of one method: the given codes and those that any method has. */
export const failures = <const C extends FailureCode>(...codes: ReadonlyArray<C>) => {
  const declared: ReadonlySet<FailureCode> = new Set([...commonCodes, ...codes])
  return GatewayFailure.pipe(
    Schema.filter(
      (failure): failure is GatewayFailure & { readonly code: C | CommonCode } => declared.has(failure.code),
      { identifier: `GatewayFailure(${[...declared].join("|")})` }
    )
  )
}

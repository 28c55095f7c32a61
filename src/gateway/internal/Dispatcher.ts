import { Headers } from "@effect/platform"
import { type Rpc, RpcSchema } from "@effect/rpc"
import { Cause, Context, Effect, Either, Metric, Option, Schema, Stream } from "effect"
import { type Access, administersTenant, type Permit, Principal, type Tenants } from "../../access/index.ts"
import type { RunStore } from "../../journal/index.ts"
import type { Reach } from "../../model/index.ts"
import { Redaction, type SecretGuard } from "../../secrets/index.ts"
import { Caller } from "../Caller.ts"
import {
  AdminOnly,
  aliasesOf,
  failure,
  GatewayFailure,
  type GatewayRpc,
  GatewayRpcs,
  scopeOf,
  type StreamedEvent,
  type StreamOpened,
  StreamRunEvents,
  tenantUseOf
} from "../contract.ts"
import type { AccessLog } from "./AccessLog.ts"
import { invalidInput, invalidRequest, isObject, jsonText } from "./Json.ts"
import { limits } from "./Limits.ts"
import { authFailures, callMetrics, type Transport } from "./Metrics.ts"
import { makeTenantGate } from "./TenantGate.ts"
import { decodeFailure, failAs, toFailure } from "./wireErrors.ts"

type Served = Rpc.AnyWithProps & GatewayRpc
type Opened = typeof StreamOpened.Type
type CallerContext = Context.Context<Caller>

/** How a call is named in the audit of what it does: as its sender named it. */
export interface CallOrigin {
  readonly requestId: string
  /** W3C trace id. */
  readonly traceId?: string | undefined
}

/** Requests by method name, whatever they came over: scope, request schema, handler, answer schema. */
export interface Dispatcher {
  /** Who presents this; counts the refusals. */
  readonly authenticate: (presented: string) => Effect.Effect<Principal.Principal, GatewayFailure>
  /** Whether the principal holds the scope of a method. */
  readonly holds: (principal: Principal.Principal, method: keyof typeof scopes) => Effect.Effect<boolean>
  /** The answer as JSON text. */
  readonly call: (
    transport: Transport,
    method: string,
    params: unknown,
    principal: Principal.Principal,
    request: CallOrigin
  ) => Effect.Effect<string, GatewayFailure>
  /** Somebody who has authenticated opens a connection or a browser session. */
  readonly entered: AccessLog["entered"]
  /** `streamRunEvents`. */
  readonly stream: (
    params: unknown,
    principal: Principal.Principal
  ) => Stream.Stream<Opened | StreamedEvent, GatewayFailure>
  /** The failure as it may be answered: whoever sent a secret by mistake does not get it back, into another log. */
  readonly clean: (failed: GatewayFailure) => GatewayFailure
  /** An answer instead of what must not leave the house: the cause is logged under an id, the caller gets the id. */
  readonly opaque: (cause: Cause.Cause<unknown>, at: string) => Effect.Effect<GatewayFailure>
}

const scopes = { listRuns: "run:read", listApprovals: "approval:read" } as const

const methodPattern = /^[a-z][a-zA-Z0-9]*(\.[a-z][a-zA-Z0-9]*)*$/

export const makeDispatcher = (
  access: Access.Access["Type"],
  tenants: Tenants["Type"],
  runs: RunStore.RunStore["Type"],
  handlers: Context.Context<Rpc.ToHandler<GatewayRpc>>,
  guard: SecretGuard.SecretGuard["Type"],
  accessLog: AccessLog
): Dispatcher => {
  const methods = new Map<string, ReturnType<typeof makeMethod>>()
  for (const rpc of GatewayRpcs.requests.values()) {
    const method = makeMethod(rpc as Served, handlers)
    for (const name of [rpc._tag, ...aliasesOf(rpc)]) methods.set(name, method)
  }
  const streaming = methods.get(StreamRunEvents._tag)!
  const gate = makeTenantGate(access, tenants, runs)

  const opaque = (cause: Cause.Cause<unknown>, at: string) =>
    Effect.suspend(() => {
      const errorId = crypto.randomUUID()
      return Effect.logError("The gateway answered SERVER_ERROR", cause).pipe(
        Effect.annotateLogs({ errorId, at }),
        Effect.as(
          failure("SERVER_ERROR", `Internal error ${errorId}`, { errorId })
        )
      )
    })

  /** The permit of a call, or why there is none. */
  const authorize = (method: Method, name: string, principal: Principal.Principal, origin?: CallOrigin) => {
    if (method.adminOnly && !isAdministrator(principal)) {
      return Effect.fail(
        failure("FORBIDDEN", `${name} is reserved to administrators`, { requiredScope: "*" })
      ).pipe(Effect.tapError(() => access.noteRefused(principal, name, "*", origin)))
    }
    return Effect.zipRight(
      gate.opens(method, name, principal, origin),
      Effect.mapError(access.authorize(principal, method.scope, name, origin), toFailure)
    )
  }

  const prepare = (
    method: Method,
    name: string,
    params: unknown,
    principal: Principal.Principal,
    origin?: CallOrigin
  ) =>
    Effect.flatMap(authorize(method, name, principal, origin), (permit) => {
      const payload = method.decode(params)
      if (Either.isLeft(payload)) return Effect.fail(payload.left)
      return principal.tenant === null
        ? Effect.succeed([payload.right, method.callerOf(permit, principal, null, origin)] as const)
        : Effect.map(
          method.failing(gate.admit(method, name, principal, payload.right)),
          (reach) => [payload.right, method.callerOf(permit, principal, reach, origin)] as const
        )
    })

  /** A declared failure as it is, an interruption as one, and everything else opaque. */
  const refail = (cause: Cause.Cause<GatewayFailure>, at: string): Effect.Effect<never, GatewayFailure> => {
    const failed = Cause.failureOption(cause)
    if (Option.isSome(failed)) return Effect.fail(failed.value)
    return Cause.isInterruptedOnly(cause) ? Effect.failCause(cause) : Effect.flatMap(opaque(cause, at), Effect.fail)
  }

  const unknownMethod = (name: string, principal: Principal.Principal, origin: CallOrigin) =>
    Effect.zipRight(
      Effect.mapError(access.authorize(principal, "run:read", name, origin), toFailure),
      Effect.fail(failure("METHOD_NOT_FOUND", `Unknown method: ${name}`))
    )

  const withoutSecrets = (text: string): string => guard.suspects(text) ? guard.redact(text) : text

  return {
    opaque,
    clean: ({ code, details, message }) =>
      new GatewayFailure({
        code,
        message: withoutSecrets(message),
        ...(details && { details: Redaction.redactValue(details, withoutSecrets) as typeof details }) // -- of the same shape
      }),
    authenticate: (presented) =>
      Effect.catchAll(
        access.authenticate(presented),
        (error) => Effect.zipRight(Metric.increment(authFailures), Effect.fail(toFailure(error)))
      ),
    holds: (principal, method) => Effect.sync(() => access.permits(principal, scopes[method], method)),
    entered: accessLog.entered,
    call: (transport, name, params, principal, { requestId, traceId }) =>
      Effect.suspend(() => {
        const origin = { requestId: withoutSecrets(requestId), traceId }
        if (name.length > limits.methodChars || !methodPattern.test(name) || guard.suspects(name)) {
          return Effect.fail(invalidInput("method: is not a method name"))
        }
        const method = methods.get(name)
        if (method === undefined) return unknownMethod(name, principal, origin)
        if (method === streaming) return Effect.fail(invalidRequest(`${name} is served over the WebSocket only`))
        const { duration, error, ok } = method.metrics[transport]
        const startedAt = performance.now()
        const count = (outcome: typeof ok) => {
          outcome.unsafeUpdate(1, [])
          accessLog.called(principal, method.rpc._tag, outcome === ok)
          duration.unsafeUpdate((performance.now() - startedAt) / 1_000, [])
        }
        return Effect.matchCauseEffect(
          Effect.flatMap(
            prepare(method, name, params, principal, origin),
            ([payload, caller]) => Effect.flatMap(method.run(payload, caller), method.encode)
          ),
          {
            onFailure: (cause) => {
              count(error)
              return refail(cause, name)
            },
            onSuccess: (json) => {
              count(ok)
              return Effect.succeed(json)
            }
          }
        )
      }),
    stream: (params, principal) =>
      Stream.unwrap(
        prepare(streaming, StreamRunEvents._tag, params, principal).pipe(
          Effect.tapBoth({
            onFailure: () => Effect.sync(() => accessLog.called(principal, StreamRunEvents._tag, false)),
            onSuccess: () => Effect.sync(() => accessLog.called(principal, StreamRunEvents._tag, true))
          }),
          Effect.map(([payload, caller]) => streaming.stream(payload, caller))
        )
      ).pipe(
        Stream.catchAllCause((cause) => Stream.fromEffect(refail(cause, StreamRunEvents._tag)))
      )
  }
}

type Method = ReturnType<typeof makeMethod>

/** One method with its schemas compiled. */
const makeMethod = (rpc: Served, handlers: Context.Context<Rpc.ToHandler<GatewayRpc>>) => {
  // The handler map of a group is keyed by `rpc.key`; its types are checked where the handlers are written.
  const { handler } = handlers.unsafeMap.get(rpc.key) as Rpc.Handler<string>
  const decodePayload = Schema.decodeUnknownEither(rpc.payloadSchema as Schema.Schema<unknown>)
  const stream = RpcSchema.isStreamSchema(rpc.successSchema) ? rpc.successSchema : undefined
  const errorSchema = (stream?.failure ?? rpc.errorSchema) as Schema.Schema<unknown>
  const encodeSuccess = Schema.encodeEither((stream?.success ?? rpc.successSchema) as Schema.Schema<unknown>)
  const options = { clientId: 0, headers: Headers.empty }

  return {
    rpc,
    scope: scopeOf(rpc),
    tenantUse: tenantUseOf(rpc),
    failing: failAs(errorSchema as Schema.Schema<GatewayFailure>),
    adminOnly: Option.isSome(Context.getOption(rpc.annotations, AdminOnly)),
    metrics: { http: callMetrics("http", rpc._tag), ws: callMetrics("ws", rpc._tag) },
    decode: (params: unknown): Either.Either<unknown, GatewayFailure> => {
      if (!isObject(params)) return Either.left(invalidRequest("params: must be an object"))
      const decoded = decodePayload(params)
      return Either.mapLeft(decoded, (error) => decodeFailure(errorSchema, error))
    },
    callerOf: (
      permit: Permit,
      principal: Principal.Principal,
      reach: Reach | null,
      origin?: CallOrigin
    ): CallerContext =>
      Context.make(Caller, {
        permit,
        actor: { ...Principal.toActor(principal), ...origin, ...(reach !== null && { reach }) },
        reach
      }),
    // Our handlers hold the services they were built with: of the context they need the caller alone.
    run: (payload: unknown, caller: CallerContext) =>
      Effect.mapInputContext(
        handler(payload, options) as Effect.Effect<unknown, GatewayFailure, Caller>,
        (_: Context.Context<never>) => caller
      ),
    stream: (payload: unknown, caller: CallerContext) =>
      Stream.provideContext(
        handler(payload, options) as Stream.Stream<Opened | StreamedEvent, GatewayFailure, Caller>,
        caller
      ),
    encode: (answer: unknown) => {
      const encoded = encodeSuccess(answer)
      return Either.isLeft(encoded) ? Effect.die(encoded.left) : Effect.succeed(jsonText(encoded.right))
    }
  }
}

/** Token grants are the keys of the house: a scope for runs, however wide, does not open them. */
const isAdministrator = ({ role, scopes, tenant }: Principal.Principal): boolean =>
  tenant !== null
    ? administersTenant(role)
    : role.toLowerCase() === "admin" || scopes.some((scope) => scope.trim() === "*")

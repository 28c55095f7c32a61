import { Cause, Clock, Deferred, Duration, Effect, Either, FiberHandle, FiberSet, Schema } from "effect"
import type { Duplex } from "node:stream"
import type { WebSocket } from "ws"
import type { Access, Principal, Tenants } from "../../access/index.ts"
import type { Reach } from "../../model/index.ts"
import type { PersistenceError } from "../../persistence/index.ts"
import { ConnectParams, failure, type GatewayFailure, Hello, RequestFrame } from "../contract.ts"
import { features, protocol, type ServiceState } from "../ServiceState.ts"
import { errorFrame, okFrame } from "./Answer.ts"
import { presentedBy } from "./Credentials.ts"
import type { Dispatcher } from "./Dispatcher.ts"
import { encodeWith } from "./encodeWith.ts"
import type { Hub, Member } from "./Hub.ts"
import { checkBounds, clipPrompt, invalidInput, invalidRequest, isObject, jsonText, parseJson } from "./Json.ts"
import { limits } from "./Limits.ts"
import { messagesReceived } from "./Metrics.ts"
import type { IncomingMessage } from "./NodeHttp.ts"
import { makeOutbox, type QueueBudget } from "./Outbox.ts"
import { makeRunStreams } from "./RunStreams.ts"
import type { Snapshot } from "./Snapshot.ts"
import type { StreamCaps } from "./StreamCaps.ts"

/** What all connections share. */
export interface Shared {
  readonly access: Access.Access["Type"]
  readonly tenants: Tenants["Type"]
  readonly dispatcher: Dispatcher
  readonly state: ServiceState["Type"]
  readonly hub: Hub
  readonly caps: StreamCaps
  readonly budget: QueueBudget
  readonly snapshot: (runs: Reach | null, approvals: Reach | null) => Effect.Effect<Snapshot, PersistenceError>
  readonly heartbeat: Duration.Duration
  /** A connection that has said hello for the first time moves to the authenticated pool, if there is room. */
  readonly admit: () => boolean
}

/** A connection, as the server's shutdown sees it. */
export interface Connection {
  /** Tells the streams why they end, then says goodbye. */
  readonly goodbye: () => void
}

const encodeHello = encodeWith(Hello)
const decodeConnect = Schema.decodeUnknownEither(ConnectParams)
const decodeRequest = Schema.decodeUnknownEither(RequestFrame)
const shuttingDown = failure("ConnectionClosed", "The service is shutting down")

/**
 * One WebSocket from its first frame to its last (`wire-protocol.md` §2). Completes when the socket is closed; every fiber
 * that works for it ends with it.
 */
export const serveConnection = Effect.fnUntraced(
  function*(
    shared: Shared,
    socket: WebSocket,
    raw: Duplex,
    upgrade: IncomingMessage,
    register: (connection: Connection) => void
  ) {
    const { access, dispatcher, hub, state } = shared
    const closed = yield* Deferred.make<void>()
    const greeted = yield* Deferred.make<void>()
    const work = yield* FiberSet.makeRuntime()
    const grantWatch = yield* FiberHandle.make()
    const reachWatch = yield* FiberHandle.make()
    let principal: Principal.Principal | undefined
    let readsRuns = false
    let reach: Reach | null = null
    let subscribed: ReadonlySet<string> | undefined
    let inFlight = 0

    const outbox = makeOutbox(socket, raw, shared.budget, () => hangUp(1013, "event backpressure"))
    const hangUp = (code: number, reason: string) => {
      socket.close(code, reason)
      // Whoever does not read will not read the close frame either.
      if (socket.bufferedAmount > limits.buffered) socket.terminate()
    }
    const streams = yield* makeRunStreams(
      outbox,
      dispatcher,
      shared.caps,
      state,
      (count) => hub.streaming(member, count > 0)
    )
    const member: Member = {
      reach: () => reach,
      broadcast: (runId, { event }, payloadJson, stateVersion) => {
        if (!readsRuns || streams.has(runId)) return
        if (subscribed !== undefined && subscribed.size > 0 && !subscribed.has(runId)) return
        outbox.event(event, payloadJson(), stateVersion)
      },
      noteEvent: streams.noteEvent,
      tick: (ts) => outbox.isReady() && outbox.event("tick", jsonText({ ts }), state.stateVersion()),
      beat: streams.beat
    }

    /**
     * What is pushed goes by what the caller reached when it connected. When teams or projects give it another reach, it
     * is sent to connect anew; when its organization is gone, away.
     */
    const watchReach = (who: Principal.Principal, orgId: string) =>
      Effect.all([shared.tenants.hasOrg(orgId), access.reach(who, "run:read")]).pipe(
        Effect.map(([isThere, now]) => {
          if (!isThere) hangUp(1008, "organization deleted")
          else if (jsonText(now) !== jsonText(reach)) hangUp(1012, "rights changed")
        }),
        // A look that fails is made again: a database that does not answer pushes nothing either.
        Effect.ignoreLogged,
        Effect.delay(shared.heartbeat),
        Effect.forever
      )

    const hello = Effect.fnUntraced(function*(who: Principal.Principal) {
      const [seesRuns, seesApprovals] = yield* Effect.all([
        dispatcher.holds(who, "listRuns"),
        dispatcher.holds(who, "listApprovals")
      ])
      readsRuns = seesRuns
      const { approvals, runs, stateVersion } = yield* shared.snapshot(
        reach,
        yield* access.reach(who, "approval:read")
      )
      return encodeHello({
        protocol,
        features,
        identity: state.identity,
        policy: { heartbeatMs: Duration.toMillis(shared.heartbeat) },
        auth: {
          sessionToken: crypto.randomUUID(),
          role: who.role,
          scopes: who.scopes,
          userId: who.userId,
          tokenId: who.tokenId
        },
        snapshot: { runs: seesRuns ? runs : [], approvals: seesApprovals ? approvals : [], stateVersion }
      })
    })

    const connect = Effect.fnUntraced(function*(requestId: string, params: unknown) {
      const decoded = decodeConnect(params)
      if (Either.isLeft(decoded)) {
        return yield* invalidRequest(
          "connect: needs minProtocol, maxProtocol and client; auth and subscribe are optional"
        )
      }
      const { auth, maxProtocol, minProtocol, subscribe } = decoded.right
      if (minProtocol > protocol || maxProtocol < protocol) {
        return yield* failure("PROTOCOL_UNSUPPORTED", `protocol: this service speaks ${protocol}`)
      }
      const who = yield* dispatcher.authenticate(auth?.token ?? presentedBy(upgrade).token)
      if (principal === undefined && !shared.admit()) {
        return yield* failure("CONNECTION_LIMIT", `At most ${limits.sockets} connections`)
      }
      // Known before anything is told to it.
      reach = yield* access.reach(who, "run:read")
      principal = who
      subscribed = subscribe && new Set(subscribe)
      // From here on nothing is missed: what happens while the snapshot is read comes as frames as well.
      hub.join(member)
      yield* Deferred.succeed(greeted, undefined)
      yield* dispatcher.entered(who, "gateway.connect", { requestId })
      if (who.tokenId !== null) {
        yield* FiberHandle.run(
          grantWatch,
          Effect.map(access.ended(who.tokenId), (how) => hangUp(1008, `token ${how}`))
        )
      } else if (who.expiresAtMs !== null) {
        const leftMs = who.expiresAtMs - (yield* Clock.currentTimeMillis)
        yield* FiberHandle.run(
          grantWatch,
          Effect.zipRight(Effect.sleep(Math.max(leftMs, 0)), Effect.sync(() => hangUp(1008, "token expired")))
        )
      }
      if (who.tenant !== null) yield* FiberHandle.run(reachWatch, watchReach(who, who.tenant.orgId))
      return yield* hello(who)
    })

    const call = (requestId: string, method: string, params: unknown): Effect.Effect<string, GatewayFailure> => {
      if (method === "connect") {
        return Effect.catchTag(
          connect(requestId, params),
          "PersistenceError",
          (error) => Effect.flatMap(dispatcher.opaque(Cause.fail(error), method), Effect.fail)
        )
      }
      return principal === undefined
        ? Effect.fail(failure("UNAUTHORIZED", "Connect first"))
        : dispatcher.call("ws", method, params, principal, { requestId })
    }
    const answerRequest = ({ id, method, params = {} }: typeof RequestFrame.Type) => {
      if (method === "streamRunEvents" && principal !== undefined) return streams.open(id, params, principal)
      return call(id, method, params).pipe(
        Effect.match({
          onFailure: (failed) => {
            outbox.response(errorFrame(id, dispatcher.clean(failed)))
            if (method !== "connect") return
            if (failed.code === "UNAUTHORIZED") hangUp(1008, "authentication failed")
            if (failed.code === "CONNECTION_LIMIT") hangUp(1013, "too many connections")
          },
          onSuccess: (payload) => outbox.response(okFrame(id, payload))
        })
      )
    }

    const onMessage = (data: Buffer, isBinary: boolean) => {
      messagesReceived.unsafeUpdate(1, [])
      const request = readRequest(data, isBinary)
      if (Either.isLeft(request)) {
        const [id, failed] = request.left
        return outbox.response(errorFrame(id, dispatcher.clean(failed)))
      }
      if (++inFlight >= limits.socketRequests) socket.pause()
      work(Effect.ensuring(
        answerRequest(request.right),
        Effect.sync(() => {
          if (--inFlight < limits.socketRequests) socket.resume()
        })
      ))
    }

    yield* Effect.acquireRelease(
      Effect.sync(() => {
        socket.on("message", onMessage)
        socket.on("error", () => undefined)
        socket.on("close", () => Deferred.unsafeDone(closed, Effect.void))
        register({
          goodbye: () => {
            streams.end(shuttingDown)
            hangUp(1001, "service is shutting down")
          }
        })
      }),
      () =>
        Effect.sync(() => {
          hub.leave(member)
          outbox.close()
          socket.terminate()
        })
    )
    const ts = yield* Clock.currentTimeMillis
    outbox.event("connect.challenge", jsonText({ nonce: crypto.randomUUID(), ts }), state.stateVersion())
    work(
      Deferred.await(greeted).pipe(
        Effect.timeoutOption(limits.connectDeadline),
        Effect.map((inTime) => inTime._tag === "None" && socket.terminate())
      )
    )
    yield* Deferred.await(closed)
  },
  Effect.scoped
)

type Refused = readonly [id: string, failed: GatewayFailure]

const readRequest = (data: Buffer, isBinary: boolean): Either.Either<typeof RequestFrame.Type, Refused> => {
  if (isBinary) return Either.left(["invalid", invalidInput("frame: must be text")])
  const parsed = parseJson(data)
  if (Either.isLeft(parsed)) return Either.left(["invalid", parsed.left])
  const frame = isObject(parsed.right) ? { ...parsed.right, params: clipPrompt(parsed.right["params"]) } : parsed.right
  const decoded = decodeRequest(frame)
  if (Either.isLeft(decoded)) {
    return Either.left([
      "invalid",
      invalidInput("frame: must be {type: \"req\", id (at most 128 characters), method, params?}")
    ])
  }
  const violation = checkBounds(decoded.right.params, "params")
  return violation === undefined
    ? Either.right(decoded.right)
    : Either.left([decoded.right.id, invalidInput(violation)])
}

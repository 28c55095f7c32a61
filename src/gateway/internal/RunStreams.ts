import { Deferred, Effect, Exit, FiberSet, Option, type Scope, Stream } from "effect"
import type { Principal } from "../../access/index.ts"
import { failure, type GatewayFailure, StreamAnswer, StreamedEvent, toWireError } from "../contract.ts"
import type { ServiceState } from "../ServiceState.ts"
import { errorFrame, okFrame } from "./Answer.ts"
import type { Dispatcher } from "./Dispatcher.ts"
import { encodeWith } from "./encodeWith.ts"
import { jsonText } from "./Json.ts"
import { limits } from "./Limits.ts"
import { backpressureDisconnects } from "./Metrics.ts"
import type { Outbox } from "./Outbox.ts"
import type { StreamCaps } from "./StreamCaps.ts"

interface OpenStream {
  readonly streamId: string
  readonly runId: string
  /** New events that came while the socket took nothing. */
  missed: number
  blocked: boolean
  readonly cutOff: Deferred.Deferred<never, GatewayFailure>
}

/** The `streamRunEvents` of one connection. */
interface RunStreams {
  /** Answers the request, then sends its events until the connection ends or the stream fails. */
  readonly open: (frameId: string, params: unknown, principal: Principal.Principal) => Effect.Effect<void>
  readonly has: (runId: string) => boolean
  readonly noteEvent: (runId: string) => void
  readonly beat: (nowMs: number) => void
  /** Tells every stream why it ends. */
  readonly end: (reason: GatewayFailure) => void
}

const encodeAnswer = encodeWith(StreamAnswer)
const encodeEvent = encodeWith(StreamedEvent)

const texts = new WeakMap<StreamedEvent, string>()

/** JSON text of an event without its closing brace: encoded once for all streams that it goes to. */
const openText = (event: StreamedEvent): string => {
  const known = texts.get(event)
  if (known !== undefined) return known
  const made = encodeEvent(event).slice(0, -1)
  texts.set(event, made)
  return made
}

const slowReader = failure("BackpressureDisconnect", "The connection is not read fast enough")

export const makeRunStreams = (
  outbox: Outbox,
  dispatcher: Dispatcher,
  caps: StreamCaps,
  state: ServiceState["Type"],
  onChange: (count: number) => void
): Effect.Effect<RunStreams, never, Scope.Scope> =>
  Effect.gen(function*() {
    const streams = new Map<string, OpenStream>()
    const fibers = yield* FiberSet.make()

    const end = ({ runId, streamId }: OpenStream, reason: GatewayFailure) =>
      outbox.event(
        "run.error",
        jsonText({ streamId, runId, error: toWireError(dispatcher.clean(reason)) }),
        state.stateVersion()
      )

    /** Waits for a socket that takes nothing more; fails when it has waited, or missed, too much. */
    const waitUntilReady = (stream: OpenStream) =>
      Effect.suspend(() => {
        stream.blocked = true
        return outbox.ready.pipe(
          Effect.timeoutFail({ duration: limits.stall, onTimeout: () => slowReader }),
          Effect.raceFirst(Deferred.await(stream.cutOff)),
          Effect.ensuring(Effect.sync(() => {
            stream.blocked = false
            stream.missed = 0
          }))
        )
      })
    const send = (stream: OpenStream, event: StreamedEvent) =>
      outbox.event(
        "run.event",
        `${openText(event)},"streamId":"${stream.streamId}","apiVersion":"v1","stateVersion":${state.stateVersion()}}`,
        state.stateVersion()
      )

    const serve = Effect.fnUntraced(function*(frameId: string, params: unknown, principal: Principal.Principal) {
      const streamId = crypto.randomUUID()
      let opened: OpenStream | undefined
      // Two organizations may have a user of the same name.
      const user = `${principal.tenant?.orgId ?? ""}/${principal.userId ?? principal.tokenId ?? principal.role}`
      const exit = yield* dispatcher.stream(params, principal).pipe(
        Stream.runForEach((item) => {
          if (item.type === "Opened") {
            const refused = caps.enter(user, item.runId, streams.size)
            if (refused !== undefined) return Effect.fail(refused)
            return Effect.map(Deferred.make<never, GatewayFailure>(), (cutOff) => {
              opened = { streamId, runId: item.runId, missed: 0, blocked: false, cutOff }
              streams.set(streamId, opened)
              onChange(streams.size)
              const { afterSeq, currentSeq, runId } = item
              outbox.response(okFrame(frameId, encodeAnswer({ streamId, runId, afterSeq, currentSeq })))
            })
          }
          const stream = opened!
          if (outbox.isReady()) return Effect.sync(() => send(stream, item))
          return Effect.map(waitUntilReady(stream), () => send(stream, item))
        }),
        Effect.ensuring(Effect.sync(() => {
          if (opened === undefined) return
          streams.delete(streamId)
          caps.leave(user, opened.runId)
          onChange(streams.size)
        })),
        Effect.exit
      )
      if (Exit.isSuccess(exit)) return
      const failed = Option.getOrElse(
        Exit.isFailure(exit) && exit.cause._tag === "Fail" ? Option.some(exit.cause.error) : Option.none(),
        () => failure("Internal", "The stream failed")
      )
      if (failed.code === "BackpressureDisconnect") backpressureDisconnects.unsafeUpdate(1, [])
      if (opened === undefined) outbox.response(errorFrame(frameId, dispatcher.clean(failed)))
      else end(opened, failed)
    })

    return {
      open: (frameId, params, principal) => Effect.asVoid(FiberSet.run(fibers, serve(frameId, params, principal))),
      has: (runId) => {
        for (const stream of streams.values()) if (stream.runId === runId) return true
        return false
      },
      noteEvent: (runId) => {
        for (const stream of streams.values()) {
          if (!stream.blocked || stream.runId !== runId) continue
          if (++stream.missed > limits.streamBacklog) Deferred.unsafeDone(stream.cutOff, Exit.fail(slowReader))
        }
      },
      beat: (ts) => {
        if (!outbox.isReady()) return
        for (const { runId, streamId } of streams.values()) {
          outbox.event(
            "run.heartbeat",
            jsonText({ apiVersion: "v1", type: "Heartbeat", streamId, runId, ts }),
            state.stateVersion()
          )
        }
      },
      end: (reason) => streams.forEach((stream) => end(stream, reason))
    }
  })

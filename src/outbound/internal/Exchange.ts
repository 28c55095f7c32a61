// @effect-diagnostics nodeBuiltinImport:off -- the connection goes to the address that was examined, which fetch cannot promise
import { Effect, Option, Stream } from "effect"
import { lookup } from "node:dns/promises"
import { type ClientRequest, type IncomingMessage, request as requestPlain } from "node:http"
import { request as requestTls } from "node:https"
import { isIP } from "node:net"
import { OutboundFailed } from "../OutboundError.ts"

/** All addresses of a name, in the order of the resolver; none when it has none or nobody could say. */
export const resolve = (host: string): Effect.Effect<ReadonlyArray<string>> =>
  Effect.tryPromise(() => lookup(host, { all: true, verbatim: true })).pipe(
    Effect.map((found) => found.map(({ address }) => address)),
    Effect.orElseSucceed(() => [])
  )

/** A body that is sent as it comes. */
export interface Streamed {
  readonly bytes: number
  /** Exactly so many bytes; a failure of it breaks the request off. */
  readonly content: Stream.Stream<Uint8Array, { readonly _tag: string }>
}

export type Body = string | Uint8Array | Streamed

interface Sent {
  readonly method: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Body
}

const isStreamed = (body: Body | undefined): body is Streamed =>
  typeof body === "object" && !(body instanceof Uint8Array)

const lengthOf = (body: Body): number => isStreamed(body) ? body.bytes : Buffer.byteLength(body)

const write = (outgoing: ClientRequest, chunk: Uint8Array) =>
  Effect.async<void>((resume) => {
    if (outgoing.write(chunk)) return resume(Effect.void)
    const drained = () => resume(Effect.void)
    outgoing.once("drain", drained)
    return Effect.sync(() => outgoing.off("drain", drained))
  })

const send = (outgoing: ClientRequest, { content }: Streamed) =>
  Stream.runForEach(content, (chunk) => write(outgoing, chunk)).pipe(
    Effect.matchCauseEffect({
      onFailure: () => Effect.sync(() => outgoing.destroy()),
      onSuccess: () => Effect.sync(() => outgoing.end())
    })
  )

/** What comes, piece by piece; nothing is read that nobody asks for. */
const bodyOf = (incoming: IncomingMessage, broke: OutboundFailed): Stream.Stream<Uint8Array, OutboundFailed> =>
  Stream.repeatEffectOption(
    Effect.async<Uint8Array, Option.Option<OutboundFailed>>((resume) => {
      const events = ["readable", "end", "close"] as const
      const leave = () => {
        for (const event of events) incoming.off(event, take)
      }
      const done = (outcome: Effect.Effect<Uint8Array, Option.Option<OutboundFailed>>) => {
        leave()
        resume(outcome)
      }
      const take = () => {
        const chunk = incoming.read() as Buffer | null // -- no encoding is set
        if (chunk !== null) done(Effect.succeed(chunk))
        else if (incoming.readableEnded) done(Effect.fail(Option.none()))
        else if (incoming.destroyed) done(Effect.fail(Option.some(broke)))
      }
      for (const event of events) incoming.on(event, take)
      take()
      return Effect.sync(leave)
    })
  )

/** One request on one connection to `address`, whatever the name of the host resolves to by now; it is closed with the scope. */
export const exchange = (url: URL, address: string, { body, headers, method }: Sent) =>
  Effect.gen(function*() {
    const failed = (detail: string) =>
      new OutboundFailed({ reason: "Unreachable", detail: `${url.hostname} ${detail}` })
    const name = url.hostname.replace(/^\[|\]$/g, "")
    const outgoing = yield* Effect.acquireRelease(
      Effect.sync(() =>
        (url.protocol === "https:" ? requestTls : requestPlain)({
          agent: false,
          host: address,
          port: url.port === "" ? undefined : Number(url.port),
          path: `${url.pathname}${url.search}`,
          method,
          headers: {
            ...headers,
            ...(body !== undefined && { "content-length": String(lengthOf(body)) }),
            host: url.host,
            connection: "close"
          },
          // The certificate has to be that of the name.
          ...(isIP(name) === 0 ? { servername: name } : {}),
          maxHeaderSize: 16_384
        }).on("error", () => undefined)
      ),
      (outgoing) => Effect.sync(() => outgoing.destroy())
    )
    const answered = Effect.async<IncomingMessage, OutboundFailed>((resume) => {
      outgoing.once("response", (incoming) => {
        // Whoever reads it sees that it broke.
        incoming.on("error", () => undefined)
        resume(Effect.succeed(incoming))
      })
      outgoing.once(
        "error",
        (cause: NodeJS.ErrnoException) => resume(failed(`cannot be reached: ${cause.code ?? "broken"}.`))
      )
      if (!isStreamed(body)) outgoing.end(body)
    })
    if (isStreamed(body)) yield* Effect.forkScoped(send(outgoing, body))
    const incoming = yield* answered
    return {
      status: incoming.statusCode ?? 0,
      headers: Object.fromEntries(
        Object.entries(incoming.headers).map((
          [name, value = ""]
        ) => [name, Array.isArray(value) ? value.join(", ") : value])
      ),
      body: bodyOf(incoming, failed("closed the connection within its answer."))
    }
  })

type Answer = Effect.Effect.Success<ReturnType<typeof exchange>>

/** All of an answer, if it is not too long; the text is made when somebody reads it: most large answers are not text. */
export const collect = ({ body, headers, status }: Answer, maxBytes: number, host: string) =>
  Effect.suspend(() => {
    const chunks: Array<Uint8Array> = []
    let bytes = 0
    return Stream.runForEach(body, (chunk) => {
      bytes += chunk.length
      chunks.push(chunk)
      return bytes <= maxBytes
        ? Effect.void
        : new OutboundFailed({ reason: "TooLarge", detail: `${host} answered with more than ${maxBytes} bytes.` })
    }).pipe(Effect.map(() => {
      const whole = Buffer.concat(chunks)
      return {
        status,
        headers,
        body: whole,
        get text() {
          return whole.toString("utf8")
        }
      }
    }))
  })

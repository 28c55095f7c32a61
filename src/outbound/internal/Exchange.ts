// @effect-diagnostics nodeBuiltinImport:off -- the connection goes to the address that was examined, which fetch cannot promise
import { Effect } from "effect"
import { lookup } from "node:dns/promises"
import { type IncomingMessage, request as requestPlain } from "node:http"
import { request as requestTls } from "node:https"
import { isIP } from "node:net"
import { OutboundFailed } from "../OutboundError.ts"

/** All addresses of a name, in the order of the resolver; none when it has none or nobody could say. */
export const resolve = (host: string): Effect.Effect<ReadonlyArray<string>> =>
  Effect.tryPromise(() => lookup(host, { all: true, verbatim: true })).pipe(
    Effect.map((found) => found.map(({ address }) => address)),
    Effect.orElseSucceed(() => [])
  )

interface Sent {
  readonly method: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** The text is made when somebody reads it: most large answers are not text. */
const answerOf = ({ headers, statusCode = 0 }: IncomingMessage, body: Buffer) => ({
  status: statusCode,
  headers: Object.fromEntries(
    Object.entries(headers).map(([name, value = ""]) => [name, Array.isArray(value) ? value.join(", ") : value])
  ),
  body,
  get text() {
    return body.toString("utf8")
  }
})

/** One request on one connection to `address`, whatever the name of the host resolves to by now. */
export const exchange = (url: URL, address: string, { body, headers, method }: Sent, maxBytes: number) =>
  Effect.async<ReturnType<typeof answerOf>, OutboundFailed>((resume) => {
    const fail = (reason: OutboundFailed["reason"], detail: string) =>
      resume(new OutboundFailed({ reason, detail: `${url.hostname} ${detail}` }))
    const broke = (cause: NodeJS.ErrnoException) => fail("Unreachable", `cannot be reached: ${cause.code ?? "broken"}.`)

    const receive = (incoming: IncomingMessage) => {
      const chunks: Array<Buffer> = []
      let bytes = 0
      incoming.on("data", (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > maxBytes) {
          fail("TooLarge", `answered with more than ${maxBytes} bytes.`)
          outgoing.destroy()
          return
        }
        chunks.push(chunk)
      })
      incoming.on("error", broke)
      incoming.on("aborted", () => fail("Unreachable", "closed the connection within its answer."))
      incoming.on("end", () => resume(Effect.succeed(answerOf(incoming, Buffer.concat(chunks)))))
    }

    const name = url.hostname.replace(/^\[|\]$/g, "")
    const length = body === undefined ? {} : { "content-length": String(Buffer.byteLength(body)) }
    const outgoing = (url.protocol === "https:" ? requestTls : requestPlain)({
      agent: false,
      host: address,
      port: url.port === "" ? undefined : Number(url.port),
      path: `${url.pathname}${url.search}`,
      method,
      headers: { ...headers, ...length, host: url.host, connection: "close" },
      // The certificate has to be that of the name.
      ...(isIP(name) === 0 ? { servername: name } : {}),
      maxHeaderSize: 16_384
    }, receive)
    outgoing.on("error", broke)
    outgoing.end(body)
    return Effect.sync(() => outgoing.destroy())
  })

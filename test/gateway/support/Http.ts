import { assert } from "@effect/vitest"
import { Effect } from "effect"
import http from "node:http"
import { address, adminToken } from "./Service.ts"

export interface Answer {
  readonly status: number
  readonly headers: http.IncomingHttpHeaders
  readonly text: string
}

export interface Sent {
  readonly method?: string
  readonly headers?: http.OutgoingHttpHeaders
  readonly body?: string | Buffer
}

const agent = new http.Agent({ keepAlive: true, maxSockets: 16 })

/** One request, exactly as given. */
export const request = (path: string, { body, headers = {}, method = "GET" }: Sent = {}) =>
  Effect.flatMap(address, ({ host, port }) =>
    Effect.async<Answer, Error>((resume) => {
      const outgoing = http.request({ host, port, path, method, headers, agent }, (incoming) => {
        const chunks: Array<Buffer> = []
        incoming.on("data", (chunk: Buffer) => chunks.push(chunk))
        incoming.on("end", () =>
          resume(Effect.succeed({
            status: incoming.statusCode!,
            headers: incoming.headers,
            text: Buffer.concat(chunks).toString("utf8")
          })))
      })
      outgoing.on("error", (error) => resume(Effect.fail(error)))
      outgoing.end(body)
    }))

// eslint-disable-next-line @typescript-eslint/no-explicit-any -- tests look at what the wire says, member by member
export type Wire = any

export const parse = (text: string): Wire => JSON.parse(text)

export const bearer = (token: string) => ({ Authorization: `Bearer ${token}` })

/** `POST /v1/rpc/<method>`, as the administrator unless another token is given. */
export const rpc = (method: string, params?: unknown, token = adminToken) =>
  Effect.map(
    request(`/v1/rpc/${method}`, {
      method: "POST",
      headers: bearer(token),
      body: typeof params === "string" || Buffer.isBuffer(params) ? params : JSON.stringify(params ?? {})
    }),
    (answer) => ({ ...answer, frame: parse(answer.text) })
  )

/** What the method answers; fails unless it does. */
export const ok = (method: string, params: unknown, token = adminToken) =>
  Effect.map(rpc(method, params, token), ({ frame, status, text }): Wire => {
    assert.strictEqual(status, 200, `${method} ${text}`)
    assert.isTrue(frame.ok, `${method} ${text}`)
    return frame.payload
  })

/** Status, code and message of a refusal. */
export const refusal = (method: string, params: unknown, token = adminToken) =>
  Effect.map(rpc(method, params, token), ({ frame, status }) => [status, frame.error?.code, frame.error?.message])

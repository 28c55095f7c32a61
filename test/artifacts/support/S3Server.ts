import { Effect } from "effect"
import { createHash, createHmac, timingSafeEqual } from "node:crypto"
import http from "node:http"
import type { AddressInfo } from "node:net"

/**
 * A small S3-compatible server on loopback. It verifies Signature Version 4 as Amazon documents it ("Authenticating
 * Requests: Using the Authorization Header"), with nothing of the code under test, and the hash of what was sent.
 */
export const credentials = {
  accessKeyId: "AKIDTEST",
  secretAccessKey: "a secret / of + the tests",
  sessionToken: "a-session"
}
export const region = "eu-test-1"

interface StoredObject {
  body: Buffer
  metadata: Record<string, string>
}

/**
 * What the next request meets instead of an answer; "late": it is carried out, and nobody gets to know; "broken" and
 * "stuck": the head comes, and of the content a part or nothing.
 */
export type Fault = "silence" | "cut" | "late" | "broken" | "stuck" | number

const hex = (data: Buffer | string) => createHash("sha256").update(data).digest("hex")
const hmac = (key: Buffer | string, data: string) => createHmac("sha256", key).update(data).digest()
const encode = (text: string) =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)

/** Of one page of a listing, whatever is asked for. */
const pageKeys = 7

const compare = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))

/** The code of the refusal; undefined when the signature is right. */
const refusalOf = (request: http.IncomingMessage, body: Buffer): [number, string] | undefined => {
  const { headers, method = "", url = "" } = request
  const authorization =
    /^AWS4-HMAC-SHA256 Credential=([^/]+)\/(\d{8})\/([^/]+)\/s3\/aws4_request, SignedHeaders=([^,]+), Signature=([0-9a-f]{64})$/
      .exec(headers.authorization ?? "")
  if (authorization === null) return [403, "AccessDenied"]
  const [, id = "", day = "", scope = "", names = "", given = ""] = authorization
  if (id !== credentials.accessKeyId) return [403, "InvalidAccessKeyId"]
  if (scope !== region) return [400, "AuthorizationHeaderMalformed"]
  const time = String(headers["x-amz-date"])
  const iso = time.replace(/^(\d{4})(\d\d)(\d\d)T(\d\d)(\d\d)(\d\d)Z$/, "$1-$2-$3T$4:$5:$6Z")
  if (!time.startsWith(day) || !(Math.abs(Date.parse(iso) - Date.now()) < 900_000)) return [403, "RequestTimeTooSkewed"]
  const signed = names.split(";")
  const mustBeSigned = ["host", ...Object.keys(headers).filter((name) => name.startsWith("x-amz-"))]
  if (mustBeSigned.some((name) => !signed.includes(name))) return [403, "AccessDenied"]
  const payload = String(headers["x-amz-content-sha256"])
  if (payload !== hex(body)) return [400, "XAmzContentSHA256Mismatch"]
  const [path = "", query = ""] = url.split("?")
  const canonical = [
    method,
    path.split("/").map((part) => encode(decodeURIComponent(part))).join("/"),
    query === "" ? "" : query.split("&").map((pair) => {
      const [name = "", value = ""] = pair.split("=")
      return `${encode(decodeURIComponent(name))}=${encode(decodeURIComponent(value))}`
    }).sort(compare).join("&"),
    ...signed.map((name) => `${name}:${String(headers[name]).trim().replace(/ +/g, " ")}`),
    "",
    names,
    payload
  ].join("\n")
  const toSign = ["AWS4-HMAC-SHA256", time, `${day}/${scope}/s3/aws4_request`, hex(canonical)].join("\n")
  const key = [day, scope, "s3", "aws4_request"].reduce(hmac, Buffer.from(`AWS4${credentials.secretAccessKey}`))
  if (!timingSafeEqual(hmac(key, toSign), Buffer.from(given, "hex"))) return [403, "SignatureDoesNotMatch"]
  const token = headers["x-amz-security-token"]
  return token === undefined || token === credentials.sessionToken ? undefined : [403, "InvalidToken"]
}

export const makeServer = Effect.gen(function*() {
  const objects = new Map<string, StoredObject>()
  const faults: Array<Fault> = []
  const requests: Array<{ readonly method: string; readonly url: string; readonly headers: http.IncomingHttpHeaders }> =
    []

  const answer = (request: http.IncomingMessage, response: http.ServerResponse, body: Buffer) => {
    const refuse = (status: number, code: string) =>
      response.writeHead(status, { "content-type": "application/xml" })
        .end(
          request.method === "HEAD"
            ? ""
            : `<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`
        )
    const refused = refusalOf(request, body)
    if (refused !== undefined) return refuse(...refused)
    const url = new URL(request.url!, "http://here")
    const [, bucket = "", ...parts] = url.pathname.split("/").map(decodeURIComponent)
    const key = parts.join("/")
    if (bucket !== "bucket") return refuse(404, "NoSuchBucket")
    if (key === "" && request.method === "HEAD") return response.writeHead(200).end()
    if (key === "") {
      const prefix = url.searchParams.get("prefix")!
      const after = url.searchParams.get("start-after") ?? ""
      const found = [...objects].filter(([key]) => key.startsWith(prefix) && compare(key, after) > 0)
        .sort(([a], [b]) => compare(a, b))
      // Stores give fewer than they are asked for when they like.
      const page = found.slice(0, Math.min(Number(url.searchParams.get("max-keys")), pageKeys))
      const rows = page.map(([key, { body }]) =>
        `<Contents><Key>${
          encode(key).replaceAll("%20", "+").replaceAll("%2F", "/")
        }</Key><Size>${body.length}</Size></Contents>`
      )
      return response.writeHead(200).end(
        `<?xml version="1.0"?><ListBucketResult xmlns="x"><IsTruncated>${page.length < found.length}</IsTruncated>${
          rows.join("")
        }</ListBucketResult>`
      )
    }
    if (request.method === "PUT") {
      const condition = request.headers["if-none-match"]
      if (condition === "*" && objects.has(key)) return refuse(412, "PreconditionFailed")
      if (condition !== undefined && condition !== "*") return refuse(501, "NotImplemented")
      const metadata = Object.entries(request.headers).filter(([name]) => name.startsWith("x-amz-meta-"))
      objects.set(key, { body, metadata: Object.fromEntries(metadata) as Record<string, string> })
      return response.writeHead(200).end()
    }
    if (request.method === "DELETE") {
      objects.delete(key)
      return response.writeHead(204).end()
    }
    const found = objects.get(key)
    if (found === undefined) return refuse(404, "NoSuchKey")
    response.writeHead(200, { ...found.metadata, "content-length": found.body.length })
    return response.end(request.method === "HEAD" ? undefined : found.body)
  }

  const server = yield* Effect.acquireRelease(
    Effect.async<http.Server>((resume) => {
      const server = http.createServer((request, response) => {
        const chunks: Array<Buffer> = []
        request.on("data", (chunk: Buffer) => chunks.push(chunk))
        request.on("end", () => {
          requests.push({ method: request.method!, url: request.url!, headers: request.headers })
          const fault = faults.shift()
          if (fault === "silence") return
          if (fault === "cut") {
            response.writeHead(200, { "content-length": "1000" })
            response.write("half of it", () => response.destroy())
            return
          }
          if (typeof fault === "number") {
            return void response.writeHead(fault).end("<Error><Code>SlowDown</Code></Error>")
          }
          if (fault === "late") response.end = () => response.destroy()
          if (fault === "broken" || fault === "stuck") {
            response.end = (content?: unknown) => {
              if (fault === "stuck") response.flushHeaders()
              else response.write((content as Buffer).subarray(0, 3), () => response.destroy())
              return response
            }
          }
          answer(request, response, Buffer.concat(chunks))
        })
      })
      server.listen(0, "127.0.0.1", () => resume(Effect.succeed(server)))
    }),
    (server) =>
      Effect.async<void>((resume) => {
        server.closeAllConnections()
        server.close(() => resume(Effect.void))
      })
  )
  return { endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, objects, faults, requests }
})

export type Server = Effect.Effect.Success<typeof makeServer>

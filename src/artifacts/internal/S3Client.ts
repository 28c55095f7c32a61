import { AwsV4Signer } from "aws4fetch"
import { Clock, DateTime, Effect, Option, Redacted, Schedule, Stream } from "effect"
import { createHash } from "node:crypto"
import { Outbound, type OutboundFailed } from "../../outbound/index.ts"
import { type SecretRef, Secrets } from "../../secrets/index.ts"
import { ArtifactFailed } from "../ArtifactError.ts"
import type { S3Settings } from "../ArtifactsConfig.ts"
import type { Errno } from "./Folder.ts"
import { errorCode } from "./Listing.ts"

/** A content that is on disk: it can be sent again. */
interface Streamed {
  readonly bytes: number
  readonly sha256: string
  readonly content: Stream.Stream<Uint8Array, Errno>
}

interface Call {
  readonly method: "GET" | "HEAD" | "PUT" | "DELETE"
  /** Empty: the bucket itself. */
  readonly key: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | Streamed
  /** Of the answer. */
  readonly maxBytes?: number
}

/** As Signature Version 4 wants it: everything but unreserved characters. */
const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)

const hashOf = (body: Call["body"]): string =>
  body !== undefined && "sha256" in body ? body.sha256 : createHash("sha256").update(body ?? "").digest("hex")

/** Of an answer that is not what was asked for. */
const refusalBytes = 65_536

const isLater = (status: number): boolean => status === 408 || status === 409 || status === 429 || status >= 500

/** Answers of S3 to calls that are signed for it. */
export const makeClient = Effect.fnUntraced(function*(settings: S3Settings) {
  const outbound = yield* Outbound.Outbound
  const secrets = yield* Secrets.Secrets
  const { addressing, attempts, backoff, bucket, endpoint, region, timeout } = settings

  const base = new URL(endpoint)
  if (addressing === "virtual-host") base.host = `${bucket}.${base.host}`
  const folder = addressing === "path" ? `/${bucket}` : ""

  const urlOf = ({ key, query = {} }: Call): string => {
    const search = Object.entries(query).map(([name, value]) => `${encode(name)}=${encode(value)}`).join("&")
    const path = key === "" && folder !== "" ? folder : `${folder}/${key.split("/").map(encode).join("/")}`
    return `${base.origin}${path}${search === "" ? "" : `?${search}`}`
  }

  const fail = (key: string, reason: ArtifactFailed["reason"], detail: string) =>
    new ArtifactFailed({ reason, place: `s3://${bucket}/${key}`, detail })

  const value = <A, E>(ref: SecretRef.SecretRef, use: (value: string) => Effect.Effect<A, E>) =>
    secrets.use(ref, (redacted) => use(Redacted.value(redacted)))

  /** Headers with the signature; the credentials are looked up for each call and forgotten after it. */
  const signed = (call: Call) =>
    value(settings.accessKeyId, (accessKeyId) =>
      value(settings.secretAccessKey, (secretAccessKey) => {
        const sign = (sessionToken?: string) =>
          Effect.gen(function*() {
            const datetime = DateTime.formatIso(DateTime.unsafeMake(yield* Clock.currentTimeMillis))
            const signer = new AwsV4Signer({
              method: call.method,
              url: urlOf(call),
              headers: {
                ...call.headers,
                "x-amz-content-sha256": hashOf(call.body)
              },
              accessKeyId,
              secretAccessKey,
              ...(sessionToken !== undefined && { sessionToken }),
              service: "s3",
              region,
              datetime: datetime.replace(/[:-]|\.\d{3}/g, "")
            })
            const { headers } = yield* Effect.promise(() => signer.sign())
            return Object.fromEntries(headers)
          })
        return Option.match(settings.sessionToken, { onNone: () => sign(), onSome: (ref) => value(ref, sign) })
      })).pipe(
        Effect.catchTags({
          SecretNotFound: ({ message }) => fail(call.key, "Refused", message),
          SecretUnavailable: ({ message }) => fail(call.key, "Unavailable", message)
        })
      )

  const failed = (key: string) => ({ message, reason }: OutboundFailed) =>
    fail(key, reason === "Unreachable" || reason === "TimedOut" ? "Unavailable" : "Refused", message)

  const requestOf = (call: Call) =>
    Effect.map(signed(call), (headers) => ({
      method: call.method,
      url: urlOf(call),
      headers,
      timeout,
      ...(call.body !== undefined && { body: call.body })
    }))

  const attempt = (call: Call) =>
    Effect.gen(function*() {
      const { maxBytes } = call
      const answer = yield* outbound.request({ ...yield* requestOf(call), ...(maxBytes !== undefined && { maxBytes }) })
        .pipe(Effect.mapError(failed(call.key)))
      return isLater(answer.status) ? yield* refusal(call.key, answer) : answer
    })

  const attemptOpen = (call: Call) =>
    Effect.gen(function*() {
      const { body, headers, status } = yield* Effect.mapError(
        outbound.open(yield* requestOf(call)),
        failed(call.key)
      )
      const content = Stream.mapError(body, failed(call.key))
      if (status >= 200 && status <= 299) return { status, headers, text: "", content }
      const text = yield* content.pipe(
        Stream.decodeText(),
        Stream.runFoldWhile("", (text) => text.length < refusalBytes, (text, more) => text + more)
      )
      return isLater(status) ? yield* refusal(call.key, { status, text }) : { status, headers, text, content }
    })

  /** An answer that is not what was asked for, as an error. */
  const refusal = (key: string, { status, text }: Pick<Outbound.Response, "status" | "text">) =>
    fail(
      key,
      isLater(status) ? "Unavailable" : "Refused",
      `the store answered with status ${status}${
        Option.match(Option.fromNullable(errorCode(text)), { onNone: () => "", onSome: (code) => ` (${code})` })
      }`
    )

  const again = <A, R>(attempt: Effect.Effect<A, ArtifactFailed, R>): Effect.Effect<A, ArtifactFailed, R> =>
    Effect.retry(attempt, {
      while: ({ reason }) => reason === "Unavailable",
      schedule: Schedule.intersect(
        Schedule.jittered(Schedule.exponential(backoff)),
        Schedule.recurs(attempts - 1)
      )
    })

  /** An answer, whatever its status, but none that says "later"; asked again up to `attempts` times. */
  const request = (call: Call) => again(attempt(call))

  /** The same of any length, while the scope is open; what breaks off after its head is not asked for again. */
  const open = (call: Call) => again(attemptOpen(call))

  return { request, open, refusal, fail }
})

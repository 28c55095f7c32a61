import { AwsV4Signer } from "aws4fetch"
import { Clock, DateTime, Effect, Option, Redacted, Schedule } from "effect"
import { createHash } from "node:crypto"
import { Outbound } from "../../outbound/index.ts"
import { type SecretRef, Secrets } from "../../secrets/index.ts"
import { ArtifactFailed } from "../ArtifactError.ts"
import type { S3Settings } from "../ArtifactsConfig.ts"
import { errorCode } from "./Listing.ts"

interface Call {
  readonly method: "GET" | "HEAD" | "PUT" | "DELETE"
  /** Empty: the bucket itself. */
  readonly key: string
  readonly query?: Readonly<Record<string, string>>
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array
  /** Of the answer. */
  readonly maxBytes?: number
}

/** As Signature Version 4 wants it: everything but unreserved characters. */
const encode = (text: string): string =>
  encodeURIComponent(text).replace(/[!'()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)

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
                "x-amz-content-sha256": createHash("sha256").update(call.body ?? "").digest("hex")
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

  const attempt = (call: Call) =>
    Effect.gen(function*() {
      const headers = yield* signed(call)
      const { body, maxBytes, method } = call
      const answer = yield* outbound.request({
        method,
        url: urlOf(call),
        headers,
        timeout,
        ...(body !== undefined && { body }),
        ...(maxBytes !== undefined && { maxBytes })
      }).pipe(Effect.mapError(({ message, reason }) =>
        reason === "Unreachable" || reason === "TimedOut"
          ? fail(call.key, "Unavailable", message)
          : fail(call.key, "Refused", message)
      ))
      return isLater(answer.status) ? yield* refusal(call.key, answer) : answer
    })

  /** An answer that is not what was asked for, as an error. */
  const refusal = (key: string, { status, text }: Outbound.Response) =>
    fail(
      key,
      isLater(status) ? "Unavailable" : "Refused",
      `the store answered with status ${status}${
        Option.match(Option.fromNullable(errorCode(text)), { onNone: () => "", onSome: (code) => ` (${code})` })
      }`
    )

  /** An answer, whatever its status, but none that says "later"; asked again up to `attempts` times. */
  const request = (call: Call): Effect.Effect<Outbound.Response, ArtifactFailed> =>
    Effect.retry(attempt(call), {
      while: ({ reason }) => reason === "Unavailable",
      schedule: Schedule.intersect(
        Schedule.jittered(Schedule.exponential(backoff)),
        Schedule.recurs(attempts - 1)
      )
    })

  return { request, refusal, fail }
})

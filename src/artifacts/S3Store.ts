import { Effect, Layer, Option } from "effect"
import { createHash } from "node:crypto"
import type { Outbound } from "../outbound/index.ts"
import { type ArtifactKey, checkContent, checkKey, checkPage, isName, type Owner } from "./ArtifactKey.ts"
import { ArtifactsConfig, type S3Settings } from "./ArtifactsConfig.ts"
import { ArtifactStore, type Stored } from "./ArtifactStore.ts"
import { errorCode, parseListing } from "./internal/Listing.ts"
import { makeClient } from "./internal/S3Client.ts"

const hashHeader = "x-amz-meta-sha256"

/** A listing of 1,000 keys as long as keys may be, each byte of them percent-encoded, fits. */
const listingBytes = 8_388_608

const make = Effect.fnUntraced(function*(settings: S3Settings) {
  const { maxBytes } = yield* ArtifactsConfig
  const { fail, refusal, request } = yield* makeClient(settings)
  const { bucket, prefix } = settings

  const folderOf = ({ runId, tenant }: Owner): string =>
    tenant === null ? `${prefix}operator/${runId}/` : `${prefix}orgs/${tenant.orgId}/${runId}/`
  const objectOf = (key: ArtifactKey): string => `${folderOf(key)}${key.name}`
  const locationOf = (key: string): string => `s3://${bucket}/${key}`

  const isGood = ({ status }: Outbound.Response): boolean => status >= 200 && status <= 299

  const noBucket = (key: string) => fail(key, "Refused", `there is no bucket ${bucket}`)

  /** An object that is not there, or its bucket. */
  const missing = (key: string, { text }: Outbound.Response) =>
    errorCode(text) === "NoSuchBucket" ? noBucket(key) : fail(key, "NotFound", "there is none")

  const expectHash = (key: string, { headers }: Outbound.Response) => {
    const sha256 = headers[hashHeader] ?? ""
    return /^[0-9a-f]{64}$/.test(sha256)
      ? Effect.succeed(sha256)
      : fail(key, "Altered", "no hash of it is recorded")
  }

  const put: ArtifactStore["Type"]["put"] = Effect.fn("ArtifactStore.put")(function*(given, content) {
    yield* Effect.zipRight(checkKey(given), checkContent(content, maxBytes))
    const key = objectOf(given)
    const sha256 = createHash("sha256").update(content).digest("hex")
    const answer = yield* request({ method: "PUT", key, headers: { [hashHeader]: sha256 }, body: content })
    if (answer.status === 404) return yield* noBucket(key)
    if (!isGood(answer)) return yield* refusal(key, answer)
    return { name: given.name, bytes: content.length, sha256, location: locationOf(key) }
  })

  const get: ArtifactStore["Type"]["get"] = Effect.fn("ArtifactStore.get")(function*(given) {
    yield* checkKey(given)
    const key = objectOf(given)
    const answer = yield* request({ method: "GET", key, maxBytes })
    if (answer.status === 404) return yield* missing(key, answer)
    if (!isGood(answer)) return yield* refusal(key, answer)
    const recorded = yield* expectHash(key, answer)
    const { body } = answer
    const sha256 = createHash("sha256").update(body).digest("hex")
    if (sha256 !== recorded) return yield* fail(key, "Altered", "the content is another")
    return { name: given.name, bytes: body.length, sha256, location: locationOf(key), content: body }
  })

  const stat: ArtifactStore["Type"]["stat"] = Effect.fn("ArtifactStore.stat")(function*(given) {
    yield* checkKey(given)
    const key = objectOf(given)
    const answer = yield* request({ method: "HEAD", key })
    if (answer.status === 404) {
      // Its answer has no body that would say what is not there.
      const { status } = yield* request({ method: "HEAD", key: "" })
      return yield* status === 404 ? noBucket(key) : missing(key, answer)
    }
    if (!isGood(answer)) return yield* refusal(key, answer)
    const sha256 = yield* expectHash(key, answer)
    const bytes = Number(answer.headers["content-length"])
    if (!Number.isSafeInteger(bytes)) return yield* fail(key, "Unavailable", "the store does not say its size")
    const stored: Stored = { name: given.name, bytes, sha256, location: locationOf(key) }
    return stored
  })

  const list: ArtifactStore["Type"]["list"] = Effect.fn("ArtifactStore.list")(function*(owner, page = {}) {
    const { after, limit } = yield* checkPage(owner, page)
    const folder = folderOf(owner)
    const answer = yield* request({
      method: "GET",
      key: "",
      query: {
        "list-type": "2",
        "encoding-type": "url",
        "max-keys": String(limit),
        prefix: folder,
        ...(after !== "" && { "start-after": `${folder}${after}` })
      },
      maxBytes: listingBytes
    })
    if (answer.status === 404) return yield* noBucket(folder)
    if (!isGood(answer)) return yield* refusal(folder, answer)
    const objects = yield* Option.match(parseListing(answer.text), {
      onNone: () => fail(folder, "Unavailable", "the store's answer is no listing"),
      onSome: Effect.succeed
    })
    // What others put below the run is not ours when we could not have put it.
    return objects.flatMap(({ bytes, key }) => {
      const name = key.slice(folder.length)
      return key.startsWith(folder) && isName(name) ? [{ name, bytes }] : []
    })
  })

  const remove: ArtifactStore["Type"]["remove"] = Effect.fn("ArtifactStore.remove")(function*(given) {
    yield* checkKey(given)
    const key = objectOf(given)
    const answer = yield* request({ method: "DELETE", key })
    if (answer.status === 404 && errorCode(answer.text) === "NoSuchBucket") return yield* noBucket(key)
    if (!isGood(answer) && answer.status !== 404) return yield* refusal(key, answer)
  })

  return ArtifactStore.of({
    put,
    get,
    stat,
    list,
    remove,
    place: (key) => Effect.as(checkKey(key), locationOf(objectOf(key)))
  })
})

/**
 * Objects `<prefix>operator/<run>/<name>` or `<prefix>orgs/<org>/<run>/<name>` of an S3-compatible store, their hash in the
 * metadata `sha256`: who may write to the bucket can replace both. Content is signed with its hash, so that the store refuses what
 * was altered on its way. An answer that says "later", none, or one that breaks off is asked for again, a bounded number of times.
 */
export const layer = (settings: S3Settings) => Layer.effect(ArtifactStore, make(settings))

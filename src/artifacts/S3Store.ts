import { Effect, Layer, Option, type Stream } from "effect"
import { createHash, randomUUID } from "node:crypto"
import type { Outbound } from "../outbound/index.ts"
import { type ArtifactKey, checkContent, checkKey, checkPage, isName, type Owner } from "./ArtifactKey.ts"
import { ArtifactsConfig, type S3Settings } from "./ArtifactsConfig.ts"
import { ArtifactStore, type Listed, type PutOptions, type Stored } from "./ArtifactStore.ts"
import * as Content from "./internal/Content.ts"
import * as Draft from "./internal/Draft.ts"
import type * as Folder from "./internal/Folder.ts"
import { errorCode, parseListing } from "./internal/Listing.ts"
import { makeClient } from "./internal/S3Client.ts"

const hashHeader = "x-amz-meta-sha256"

/** By which a put that has to be new knows its own first attempt again. */
const attemptHeader = "x-amz-meta-put"

/** Objects of a page that is removed; and how many are asked for at once. */
const removedPage = 1_000
const removedAtOnce = 8

/** A listing of 1,000 keys as long as keys may be, each byte of them percent-encoded, fits. */
const listingBytes = 8_388_608

const make = Effect.fnUntraced(function*(settings: S3Settings, home: string) {
  const { maxBytes } = yield* ArtifactsConfig
  yield* Draft.discardLeftDrafts(home)
  const { fail, open, refusal, request } = yield* makeClient(settings)
  const { bucket, prefix } = settings

  const folderOf = ({ runId, tenant }: Owner): string =>
    tenant === null ? `${prefix}operator/${runId}/` : `${prefix}orgs/${tenant.orgId}/${runId}/`
  const objectOf = (key: ArtifactKey): string => `${folderOf(key)}${key.name}`
  const locationOf = (key: string): string => `s3://${bucket}/${key}`

  type Head = Pick<Outbound.Response, "status" | "headers" | "text">

  const isGood = ({ status }: Head): boolean => status >= 200 && status <= 299

  const noBucket = (key: string) => fail(key, "Refused", `there is no bucket ${bucket}`)

  /** An object that is not there, or its bucket. */
  const missing = (key: string, { text }: Head) =>
    errorCode(text) === "NoSuchBucket" ? noBucket(key) : fail(key, "NotFound", "there is none")

  const expectHash = (key: string, { headers }: Head) => {
    const sha256 = headers[hashHeader] ?? ""
    return /^[0-9a-f]{64}$/.test(sha256)
      ? Effect.succeed(sha256)
      : fail(key, "Altered", "no hash of it is recorded")
  }

  const bytesOf = (key: string, { headers }: Head) => {
    const bytes = Number(headers["content-length"] ?? "none")
    return Number.isSafeInteger(bytes)
      ? Effect.succeed(bytes)
      : fail(key, "Unavailable", "the store does not say its size")
  }

  const putObject = Effect.fnUntraced(function*(
    given: ArtifactKey,
    { body, bytes, sha256 }: {
      readonly bytes: number
      readonly sha256: string
      readonly body: NonNullable<Parameters<typeof request>[0]["body"]>
    },
    ifAbsent: boolean
  ) {
    const key = objectOf(given)
    const attempt = randomUUID()
    const answer = yield* request({
      method: "PUT",
      key,
      headers: { [hashHeader]: sha256, ...(ifAbsent && { "if-none-match": "*", [attemptHeader]: attempt }) },
      body
    })
    const stored: Stored = { name: given.name, bytes, sha256, location: locationOf(key) }
    if (answer.status === 412) {
      const { headers } = yield* request({ method: "HEAD", key })
      return headers[attemptHeader] === attempt ? stored : yield* fail(key, "Exists", "there is one already")
    }
    if (answer.status === 404) return yield* noBucket(key)
    if (!isGood(answer)) return yield* refusal(key, answer)
    return stored
  })

  const put: ArtifactStore["Type"]["put"] = Effect.fn("ArtifactStore.put")(
    function*(given, content, { ifAbsent = false } = {}) {
      yield* Effect.zipRight(checkKey(given), checkContent(content, maxBytes))
      const sha256 = createHash("sha256").update(content).digest("hex")
      return yield* putObject(given, { body: content, bytes: content.length, sha256 }, ifAbsent)
    }
  )

  const putStream = Effect.fn("ArtifactStore.putStream")(function*<E, R>(
    given: ArtifactKey,
    content: Stream.Stream<Uint8Array, E, R>,
    { ifAbsent = false }: PutOptions = {}
  ) {
    yield* checkKey(given)
    const key = objectOf(given)
    const faultOf = ({ code }: Folder.Errno) => fail(key, "Unavailable", `its draft: ${code} from the operating system`)
    const { bytes, file, sha256 } = yield* Draft.write(home, content, maxBytes, faultOf)
    const body = { bytes, sha256, content: Content.ofFile(file, bytes) }
    return yield* putObject(given, { body, bytes, sha256 }, ifAbsent)
  }, Effect.scoped)

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

  const getStream: ArtifactStore["Type"]["getStream"] = Effect.fn("ArtifactStore.getStream")(function*(given) {
    yield* checkKey(given)
    const key = objectOf(given)
    const answer = yield* open({ method: "GET", key })
    if (answer.status === 404) return yield* missing(key, answer)
    if (!isGood(answer)) return yield* refusal(key, answer)
    const sha256 = yield* expectHash(key, answer)
    const bytes = yield* bytesOf(key, answer)
    if (bytes > maxBytes) {
      return yield* fail(key, "Refused", `it has ${bytes} bytes, at most ${maxBytes} (SMITHERS_ARTIFACTS_MAX_BYTES)`)
    }
    const content = Content.compared(answer.content, sha256, fail(key, "Altered", "the content is another"))
    return { name: given.name, bytes, sha256, location: locationOf(key), content }
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
    const bytes = yield* bytesOf(key, answer)
    const stored: Stored = { name: given.name, bytes, sha256, location: locationOf(key) }
    return stored
  })

  /** Keys and sizes of what lies below a run, whoever put it there. */
  const page = Effect.fnUntraced(function*(folder: string, after: string, limit: number) {
    const answer = yield* request({
      method: "GET",
      key: "",
      query: {
        "list-type": "2",
        "encoding-type": "url",
        "max-keys": String(limit),
        prefix: folder,
        ...(after !== "" && { "start-after": after })
      },
      maxBytes: listingBytes
    })
    if (answer.status === 404) return yield* noBucket(folder)
    if (!isGood(answer)) return yield* refusal(folder, answer)
    return yield* Option.match(parseListing(answer.text), {
      onNone: () => fail(folder, "Unavailable", "the store's answer is no listing"),
      onSome: Effect.succeed
    })
  })

  const list: ArtifactStore["Type"]["list"] = Effect.fn("ArtifactStore.list")(function*(owner, asked = {}) {
    const { after, limit } = yield* checkPage(owner, asked)
    const folder = folderOf(owner)
    const found: Array<Listed> = []
    let from = after === "" ? "" : `${folder}${after}`
    for (;;) {
      const { objects, truncated } = yield* page(folder, from, limit - found.length)
      // What others put below the run is not ours when we could not have put it.
      found.push(...objects.flatMap(({ bytes, key }) => {
        const name = key.slice(folder.length)
        return key.startsWith(folder) && isName(name) ? [{ name, bytes }] : []
      }))
      const last = objects.at(-1)?.key
      if (!truncated || last === undefined || last === from || found.length >= limit) return found
      from = last
    }
  })

  const remove: ArtifactStore["Type"]["remove"] = Effect.fn("ArtifactStore.remove")(function*(given) {
    yield* checkKey(given)
    const key = objectOf(given)
    const answer = yield* request({ method: "DELETE", key })
    if (answer.status === 404 && errorCode(answer.text) === "NoSuchBucket") return yield* noBucket(key)
    if (!isGood(answer) && answer.status !== 404) return yield* refusal(key, answer)
  })

  const removeAll: ArtifactStore["Type"]["removeAll"] = Effect.fn("ArtifactStore.removeAll")(function*(owner) {
    let removed = 0
    let after: string | undefined
    for (;;) {
      const names = yield* list(owner, { after, limit: removedPage })
      yield* Effect.forEach(names, ({ name }) => remove({ ...owner, name }), {
        concurrency: removedAtOnce,
        discard: true
      })
      removed += names.length
      if (names.length < removedPage) return removed
      after = names.at(-1)?.name
    }
  })

  return ArtifactStore.of({
    put,
    putStream,
    get,
    getStream,
    stat,
    list,
    remove,
    removeAll,
    place: (key) => Effect.as(checkKey(key), locationOf(objectOf(key)))
  })
})

/**
 * Objects `<prefix>operator/<run>/<name>` or `<prefix>orgs/<org>/<run>/<name>` of an S3-compatible store, their hash in the
 * metadata `sha256`: who may write to the bucket can replace both. Content is signed with its hash, so that the store refuses what
 * was altered on its way; metadata and signature come before it, so a content that is streamed waits in `<home>/artifact-drafts`
 * until its hash is known. An answer that says "later", none, or one that breaks off is asked for again, a bounded number of times.
 * `ifAbsent` is the store's `If-None-Match`: one that ignores it cannot be told from one that has no such object.
 */
export const layer = (settings: S3Settings, home: string) => Layer.effect(ArtifactStore, make(settings, home))

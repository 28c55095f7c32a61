import { Cause, type Chunk, Effect, Option, Schema, Stream } from "effect"
import type { Principal } from "../../access/index.ts"
import type { ArtifactFailed, ArtifactStore } from "../../artifacts/index.ts"
import type { RunStore } from "../../journal/index.ts"
import { type GatewayFailure, GetArtifact } from "../contract.ts"
import { baseHeaders } from "./Answer.ts"
import { artifactFailure, ownerOf } from "./artifacts.ts"
import { decode } from "./Credentials.ts"
import type { Dispatcher } from "./Dispatcher.ts"
import type { ServerResponse } from "./NodeHttp.ts"
import { failAs } from "./wireErrors.ts"
import { written } from "./written.ts"

const pattern = /^\/v1\/api\/runs\/([^/]+)\/artifacts\/(.+)$/

/** An artifact, as a path names it. */
interface Asked {
  readonly runId: string
  readonly name: string
}

/** The artifact whose content is asked for by a path; undefined: it asks for something else. */
export const askedArtifact = (path: string): Asked | undefined => {
  const [, runId, name] = pattern.exec(path) ?? []
  return runId === undefined || name === undefined ? undefined : { runId: decode(runId), name: decode(name) }
}

const escaped = (text: string): string =>
  encodeURIComponent(text).replace(/['()*]/g, (c) => `%${c.charCodeAt(0).toString(16).toUpperCase()}`)

/** As a file of its last name (RFC 6266), whatever it holds: nothing of it is ever shown within our origin. */
const headersOf = ({ bytes, name, sha256 }: typeof GetArtifact.successSchema.Type) => {
  const file = name.slice(name.lastIndexOf("/") + 1)
  return {
    ...baseHeaders,
    "Content-Type": "application/octet-stream",
    "Content-Length": bytes,
    "Content-Disposition": `attachment; filename="${file.replace(/[^A-Za-z0-9 ._-]/g, "_")}"; filename*=UTF-8''${
      escaped(file)
    }`,
    "Content-Security-Policy": "default-src 'none'; sandbox",
    "ETag": `"${sha256}"`
  }
}

interface Downloads {
  readonly dispatcher: Dispatcher
  readonly runs: RunStore.RunStore["Type"]
  readonly artifacts: ArtifactStore.ArtifactStore["Type"]
}

const decodeRow = Schema.decodeUnknown(Schema.parseJson(GetArtifact.successSchema))
const failing = failAs(GetArtifact.errorSchema)

/**
 * The content of an artifact, as fast as it is taken. Authorized and recorded as the call of `getArtifact` that it begins
 * with. Only what goes wrong before the first piece can be answered; after that the connection is cut, and the content is shorter
 * than it was said to be: the store keeps the last piece back until it knows that all of them are right.
 */
export const answerArtifact = (
  { artifacts, dispatcher, runs }: Downloads,
  principal: Principal.Principal,
  response: ServerResponse,
  asked: Asked,
  requestId: string,
  withContent: boolean
): Effect.Effect<void, GatewayFailure> =>
  Effect.gen(function*() {
    const row = yield* dispatcher.call("http", GetArtifact._tag, asked, principal, { requestId })
    if (!withContent) {
      response.writeHead(200, headersOf(yield* Effect.orDie(decodeRow(row))))
      response.end()
      return
    }
    const owner = yield* failing(ownerOf(runs, asked.runId))
    const { content, found } = yield* artifacts.getStream({ ...owner, name: asked.name }).pipe(
      Effect.flatMap((found) => Effect.map(begun(found.content), (content) => ({ content, found }))),
      Effect.catchTags(artifactFailure(asked)),
      failing
    )
    response.writeHead(200, headersOf(found))
    yield* send(response, content, asked)
  }).pipe(Effect.scoped)

/** The same content, whose first piece is there, if it has any. */
const begun = <E>(content: Stream.Stream<Uint8Array, E>) =>
  Effect.gen(function*() {
    const pull = yield* Stream.toPull(content)
    const next: Effect.Effect<Chunk.Chunk<Uint8Array> | undefined, E> = Effect.catchAll(
      pull,
      Option.match({ onNone: () => Effect.succeed(undefined), onSome: (error) => Effect.fail(error) })
    )
    const first = yield* Effect.repeat(next, { until: (pieces) => pieces === undefined || pieces.length > 0 })
    return first === undefined
      ? Stream.empty
      : Stream.concat(Stream.fromChunk(first), Stream.repeatEffectChunkOption(pull))
  })

const send = (
  response: ServerResponse,
  content: Stream.Stream<Uint8Array, ArtifactFailed>,
  asked: Asked
): Effect.Effect<void> =>
  Effect.suspend(() => {
    let taken = true
    return Stream.runForEachWhile(content, (piece) => Effect.map(written(response, piece), (ok) => taken = ok)).pipe(
      Effect.map(() => taken),
      Effect.catchAllCause((cause) =>
        Cause.isInterruptedOnly(cause)
          ? Effect.failCause(cause as Cause.Cause<never>)
          : Effect.as(Effect.logWarning("The content of an artifact was cut off", asked, cause), false)
      ),
      Effect.map((whole) => {
        if (whole) response.end()
        else response.destroy()
      })
    )
  })

import { Cause, Effect, Either } from "effect"
import type { ArtifactStore } from "../../artifacts/index.ts"
import type { Engine } from "../../engine/index.ts"
import type { RunStore } from "../../journal/index.ts"
import { ExamineService, failure, frameIdChars, type GatewayFailure, HealthAnswer } from "../contract.ts"
import type { ServiceState } from "../ServiceState.ts"
import { answerFailure, answerJson, answerNotFound, answerText, okFrame } from "./Answer.ts"
import { answerArtifact, askedArtifact } from "./artifactDownload.ts"
import { answerSession, answerSignIn, enterSession } from "./BrowserSession.ts"
import type { ConsoleFiles } from "./ConsoleFiles.ts"
import { decode, isAllowedOrigin, isForeign, presentedBy } from "./Credentials.ts"
import type { Dispatcher } from "./Dispatcher.ts"
import { encodeWith } from "./encodeWith.ts"
import { readBody } from "./HttpBody.ts"
import { checkBounds, clipPrompt, invalidInput, invalidRequest, isObject, jsonText, parseJson } from "./Json.ts"
import { listWorkflows } from "./listWorkflows.ts"
import type { IncomingMessage, ServerResponse } from "./NodeHttp.ts"
import { answerOrgExport, exportedOrg } from "./orgExport.ts"
import { prometheusText } from "./Prometheus.ts"

const rpcPrefix = "/v1/rpc/"
const encodeHealth = encodeWith(HealthAnswer)

interface HttpFaceOptions {
  readonly dispatcher: Dispatcher
  readonly engine: Engine.Engine["Type"]
  readonly runs: RunStore.RunStore["Type"]
  readonly artifacts: ArtifactStore.ArtifactStore["Type"]
  readonly state: ServiceState["Type"]
  readonly console: ConsoleFiles
  readonly allowedOrigins: ReadonlyArray<string>
}

type Serve = (request: IncomingMessage, response: ServerResponse) => Effect.Effect<void>

/** The HTTP routes of the v1 wire (`wire-protocol.md` §1). Never fails: whatever goes wrong is answered. */
export const makeHttpFace = (
  { allowedOrigins, artifacts, console, dispatcher, engine, runs, state }: HttpFaceOptions
): Serve => {
  const authenticate = (request: IncomingMessage) => {
    const { ambient, token } = presentedBy(request)
    if (!isAllowedOrigin(request, allowedOrigins) || ambient && isForeign(request)) {
      return Effect.fail(failure("UNAUTHORIZED", "Origin is not allowed"))
    }
    return dispatcher.authenticate(token)
  }

  /** A call: `named` is the method of the path, else the body names it. */
  const rpc = (request: IncomingMessage, response: ServerResponse, named: string | undefined) => {
    const given = request.headers["x-request-id"]
    let id = typeof given === "string" && given.length <= frameIdChars ? given : undefined
    const identified = () => id ??= crypto.randomUUID()
    return Effect.flatMap(authenticate(request), (principal) =>
      Effect.flatMap(readBody(request), (bytes) => {
        const parsed = readCall(bytes, named)
        if (Either.isLeft(parsed)) return Effect.fail(parsed.left)
        const { method, params } = parsed.right
        id = parsed.right.id ?? id
        return dispatcher.call("http", method, params, principal, {
          requestId: identified(),
          traceId: traceIdOf(request.headers["traceparent"])
        })
      })).pipe(
        Effect.match({
          onFailure: (failed) => answerFailure(response, identified(), dispatcher.clean(failed)),
          onSuccess: (payload) => answerJson(response, 200, okFrame(identified(), payload))
        })
      )
  }

  /** The checklist as a plain document, for whoever watches: 503 when something failed. */
  const doctor = (request: IncomingMessage, response: ServerResponse) => {
    const requestId = crypto.randomUUID()
    return Effect.flatMap(
      authenticate(request),
      (principal) => dispatcher.call("http", ExamineService._tag, {}, principal, { requestId })
    ).pipe(
      Effect.match({
        onFailure: (failed) => answerFailure(response, requestId, dispatcher.clean(failed)),
        onSuccess: (payload) => answerJson(response, payload.startsWith(`{"ok":true`) ? 200 : 503, payload)
      })
    )
  }

  /** An organization with all it has, of any size, in chunks. */
  const orgExport = (request: IncomingMessage, response: ServerResponse, orgId: string, query: URLSearchParams) => {
    const requestId = crypto.randomUUID()
    return Effect.flatMap(
      authenticate(request),
      (principal) => answerOrgExport(dispatcher, principal, response, orgId, query, requestId)
    ).pipe(
      Effect.catchAll((failed) => Effect.sync(() => answerFailure(response, requestId, dispatcher.clean(failed))))
    )
  }

  /** What a run left, of any size, in pieces. */
  const artifact = (
    request: IncomingMessage,
    response: ServerResponse,
    asked: NonNullable<ReturnType<typeof askedArtifact>>
  ) => {
    const requestId = crypto.randomUUID()
    return Effect.flatMap(
      authenticate(request),
      (principal) =>
        answerArtifact(
          { artifacts, dispatcher, runs },
          principal,
          response,
          asked,
          requestId,
          request.method === "GET"
        )
    ).pipe(
      Effect.catchAll((failed) => Effect.sync(() => answerFailure(response, requestId, dispatcher.clean(failed))))
    )
  }

  const health = Effect.map(state.health, (answer) => encodeHealth({ ok: true, ...answer }))
  const workflows = Effect.map(
    listWorkflows(engine),
    (rows) => jsonText({ workflows: rows.map(({ inputSchema: _, ...summary }) => summary) })
  )

  const route: Serve = (request, response) => {
    const { method, url = "/" } = request
    if (method === "POST") {
      if (url.startsWith(rpcPrefix)) return rpc(request, response, decode(pathOf(url).slice(rpcPrefix.length)))
      if (pathOf(url) === "/rpc") return rpc(request, response, undefined)
      if (url === "/v1/auth/session") return enterSession(dispatcher, request, response, allowedOrigins)
      return Effect.sync(() => answerNotFound(response))
    }
    if (method !== "GET" && method !== "HEAD") return Effect.sync(() => answerNotFound(response))
    // The exact target: `/health?x=1` is another one.
    if (url === "/health") return Effect.map(health, (json) => answerJson(response, 200, json))
    const path = pathOf(url)
    const orgId = method === "GET" ? exportedOrg(path) : undefined
    if (orgId !== undefined) {
      return orgExport(request, response, orgId, new URLSearchParams(url.slice(path.length)))
    }
    const asked = askedArtifact(path)
    if (asked !== undefined) return artifact(request, response, asked)
    switch (path) {
      case "/metrics":
        return Effect.map(
          prometheusText,
          (text) => answerText(response, 200, "text/plain; version=0.0.4; charset=utf-8", text)
        )
      case "/v1/api/doctor":
        return doctor(request, response)
      case "/workflows":
        return Effect.map(workflows, (json) => answerJson(response, 200, json))
      case "/v1/auth/session":
        return answerSession(dispatcher, request, response)
      case "/v1/auth/sign-in":
        return Effect.sync(() => answerSignIn(request, response))
      case "/":
        return Effect.sync(() =>
          console.mountPath === null
            ? answerNotFound(response)
            : answerText(response, 302, "text/plain", "", { Location: console.mountPath })
        )
      default:
        return Effect.sync(() => {
          if (!console.answer(path, response)) answerNotFound(response)
        })
    }
  }

  return (request, response) =>
    Effect.catchAllCause(route(request, response), (cause) =>
      Cause.isInterruptedOnly(cause)
        ? Effect.failCause(cause)
        : Effect.map(
          dispatcher.opaque(cause, "http"),
          (failed) => answerFailure(response, crypto.randomUUID(), failed)
        ))
}

/** The trace that a `traceparent` header names (w3.org/TR/trace-context). */
const traceIdOf = (header: string | ReadonlyArray<string> | undefined): string | undefined =>
  typeof header === "string" ? /^00-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}$/.exec(header)?.[1] : undefined

const pathOf = (url: string): string => {
  const query = url.indexOf("?")
  return query === -1 ? url : url.slice(0, query)
}

interface Called {
  readonly method: string
  readonly params: unknown
  readonly id: string | undefined
}

/** What a body asks for: with a `method` it is an envelope, without one it is the parameters. */
const readCall = (bytes: Buffer, named: string | undefined): Either.Either<Called, GatewayFailure> => {
  const parsed = parseJson(bytes)
  if (Either.isLeft(parsed)) return Either.left(parsed.left)
  const body = parsed.right
  if (!isObject(body)) return Either.left(invalidRequest("body: must be a JSON object"))
  const { id, method, params } = body
  const enveloped = named === undefined || method !== undefined
  const name = named ?? method
  if (typeof name !== "string") return Either.left(invalidRequest("method: must be a string"))
  const clipped = clipPrompt(enveloped ? params ?? {} : body)
  const violation = checkBounds(clipped, "params")
  if (violation !== undefined) return Either.left(invalidInput(violation))
  if (id !== undefined && enveloped && (typeof id !== "string" || id.length > frameIdChars)) {
    return Either.left(invalidInput(`id: must be a string of at most ${frameIdChars} characters`))
  }
  return Either.right({ method: name, params: clipped, id: typeof id === "string" ? id : undefined })
}

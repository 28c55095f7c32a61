import { Effect, Schema } from "effect"
import type { Principal } from "../../access/index.ts"
import { ExportOrg, type GatewayFailure } from "../contract.ts"
import { baseHeaders } from "./Answer.ts"
import { decode } from "./Credentials.ts"
import type { Dispatcher } from "./Dispatcher.ts"
import type { ServerResponse } from "./NodeHttp.ts"
import { written } from "./written.ts"

const pattern = /^\/v1\/api\/orgs\/([^/]+)\/export$/

/** The organization whose export is asked for by a path; undefined: it asks for something else. */
export const exportedOrg = (path: string): string | undefined => {
  const id = pattern.exec(path)?.[1]
  return id === undefined ? undefined : decode(id)
}

const decodePart = Schema.decodeUnknown(Schema.parseJson(ExportOrg.successSchema))

/**
 * All parts of `orgs.export` as one document, in chunks: each part is a call of its own, authorized and recorded as such.
 * Only a failure of the first can be answered; after that the connection is cut, and the document lacks its last line.
 */
export const answerOrgExport = (
  dispatcher: Dispatcher,
  principal: Principal.Principal,
  response: ServerResponse,
  orgId: string,
  query: URLSearchParams,
  requestId: string
): Effect.Effect<void, GatewayFailure> => {
  const part = (cursor: string | undefined) =>
    Effect.flatMap(
      dispatcher.call("http", ExportOrg._tag, { orgId, ...timesOf(query), cursor }, principal, { requestId }),
      (text) => Effect.orDie(decodePart(text))
    )
  const cut = Effect.sync(() => {
    response.destroy()
  })
  const send = ({ next, text }: Effect.Effect.Success<ReturnType<typeof part>>): Effect.Effect<void> =>
    Effect.flatMap(written(response, text), (taken) => {
      if (!taken) return cut
      if (next !== null) return Effect.matchEffect(part(next), { onFailure: () => cut, onSuccess: send })
      return Effect.sync(() => {
        response.end()
      })
    })
  return Effect.flatMap(part(undefined), (first) => {
    response.writeHead(200, { ...baseHeaders, "Content-Type": "application/x-ndjson" })
    return send(first)
  })
}

const timesOf = (query: URLSearchParams) =>
  Object.fromEntries(["sinceMs", "untilMs"].flatMap((name) => {
    const given = query.get(name)
    // What is no number is refused as any other input that is none.
    return given === null ? [] : [[name, given === "" ? given : Number(given)]]
  }))

import { failureStatus, type GatewayFailure, toWireError } from "../contract.ts"
import { jsonText } from "./Json.ts"
import type { ServerResponse } from "./NodeHttp.ts"

export const baseHeaders = {
  "Cache-Control": "no-store",
  "X-Content-Type-Options": "nosniff",
  "X-Smithers-API-Version": "v1"
}

/** Sends a whole answer, once; silently nothing when the client is gone. */
export const answer = (
  response: ServerResponse,
  status: number,
  body: string | Buffer,
  headers: Readonly<Record<string, string>>
): void => {
  if (response.headersSent || response.destroyed) return
  response.writeHead(status, { ...headers, "Content-Length": Buffer.byteLength(body) })
  response.end(body)
}

const jsonHeaders = { "Content-Type": "application/json", ...baseHeaders }

export const answerJson = (response: ServerResponse, status: number, json: string): void =>
  answer(response, status, json, jsonHeaders)

export const answerText = (
  response: ServerResponse,
  status: number,
  contentType: string,
  text: string,
  more?: Readonly<Record<string, string>>
): void => answer(response, status, text, { "Content-Type": contentType, ...baseHeaders, ...more })

/** A response frame around a payload that is JSON text already. */
export const okFrame = (id: string, payloadJson: string): string =>
  `{"type":"res","id":${jsonText(id)},"ok":true,"apiVersion":"v1","payload":${payloadJson}}`

export const errorFrame = (id: string, failure: GatewayFailure): string =>
  jsonText({ type: "res", id, ok: false, apiVersion: "v1", error: toWireError(failure) })

export const answerFailure = (response: ServerResponse, id: string, failure: GatewayFailure): void =>
  answerJson(response, failureStatus[failure.code], errorFrame(id, failure))

const notFoundBody = jsonText({ error: { code: "NOT_FOUND", message: "Route not found" } })

export const answerNotFound = (response: ServerResponse): void => answerJson(response, 404, notFoundBody)

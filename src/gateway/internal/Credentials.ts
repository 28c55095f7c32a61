import type { IncomingMessage } from "./NodeHttp.ts"

/** What a request presents; `ambient` when a browser sent it by itself. */
interface Presented {
  readonly token: string
  readonly ambient: boolean
}

const one = (value: string | ReadonlyArray<string> | undefined): string | undefined =>
  typeof value === "string" ? value : value?.[0]

/** In the order of `wire-protocol.md` §3.2. */
export const presentedBy = ({ headers }: IncomingMessage): Presented => {
  const key = one(headers["x-smithers-key"])
  if (key !== undefined) return { token: key.trim(), ambient: false }
  const { authorization } = headers
  if (authorization !== undefined) return { token: authorization.replace(/^bearer(\s+|$)/i, "").trim(), ambient: false }
  const cookie = cookieOf(headers.cookie, sessionCookie(headers.host))
  return cookie === undefined ? { token: "", ambient: false } : { token: cookie, ambient: true }
}

/** Browsers keep cookies by host alone: the port is part of the name. */
export const sessionCookie = (host: string | undefined): string => {
  const port = /:(\d+)$/.exec(host ?? "")?.[1]
  return port === undefined ? "smithers_session" : `smithers_session_${port}`
}

const cookieOf = (header: string | undefined, name: string): string | undefined => {
  for (const part of (header ?? "").split(";")) {
    const [key, ...value] = part.split("=")
    if (key?.trim() === name) return decode(value.join("=").trim())
  }
  return undefined
}

/** Percent-decoding that leaves alone what is not percent-encoded UTF-8. */
export const decode = (text: string): string =>
  // Most of what is sent has nothing to decode.
  !text.includes("%") ? text : new URLSearchParams(`v=${text.replaceAll(/[+&]/g, escape)}`).get("v") ?? ""

const escape = (character: string) => character === "+" ? "%2B" : "%26"

/** Whether the page that caused the request was served by somebody else. Requests that no page caused have no origin. */
export const isForeign = ({ headers }: IncomingMessage): boolean => {
  const { host, origin } = headers
  return origin !== undefined && (!URL.canParse(origin) || new URL(origin).host !== host)
}

/** Whether the list of allowed origins, if there is one, lets the request pass. */
export const isAllowedOrigin = ({ headers: { origin } }: IncomingMessage, allowed: ReadonlyArray<string>): boolean =>
  origin === undefined || allowed.length === 0 || allowed.includes(origin)

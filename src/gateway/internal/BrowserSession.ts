import { Effect } from "effect"
import { answerFailure, answerText } from "./Answer.ts"
import { sessionCookie } from "./Credentials.ts"
import type { Dispatcher } from "./Dispatcher.ts"
import { jsonText } from "./Json.ts"
import type { IncomingMessage, ServerResponse } from "./NodeHttp.ts"

/** `GET /v1/auth/session?token=&next=`: turns a token into the cookie of a browser session (`wire-protocol.md` §3.4). */
export const answerSession = (
  dispatcher: Dispatcher,
  request: IncomingMessage,
  response: ServerResponse
): Effect.Effect<void> => {
  const query = new URLSearchParams((request.url ?? "").split("?")[1] ?? "")
  const token = query.get("token") ?? ""
  const entered = Effect.tap(
    dispatcher.authenticate(token),
    (principal) => dispatcher.entered(principal, "gateway.sign-in", {})
  )
  return Effect.match(entered, {
    onFailure: (failed) => answerFailure(response, crypto.randomUUID(), failed),
    onSuccess: () => {
      const nonce = crypto.randomUUID()
      const next = jsonText(safePath(query.get("next"))).replaceAll("<", "\\u003c")
      const page = `<!doctype html><meta charset="utf-8"><title>Smithers</title>` +
        `<script nonce="${nonce}">location.replace(${next})</script>`
      answerText(response, 200, "text/html; charset=utf-8", page, {
        "Set-Cookie": `${sessionCookie(request.headers.host)}=${
          encodeURIComponent(token)
        }; HttpOnly; Path=/; SameSite=Lax${isEncrypted(request) ? "; Secure" : ""}`,
        "Content-Security-Policy": `default-src 'none'; script-src 'nonce-${nonce}'`,
        "Referrer-Policy": "no-referrer"
      })
    }
  })
}

/** A path of this origin, or the front page. */
const safePath = (next: string | null): string =>
  next !== null && next.startsWith("/") && !next.startsWith("//") && !next.includes("\\") ? next : "/"

const isEncrypted = (request: IncomingMessage): boolean =>
  "encrypted" in request.socket || request.headers["x-forwarded-proto"] === "https"

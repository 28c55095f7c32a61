import { Effect } from "effect"
import { failure } from "../contract.ts"
import { answerFailure, answerText } from "./Answer.ts"
import { isAllowedOrigin, isForeign, sessionCookie } from "./Credentials.ts"
import type { Dispatcher } from "./Dispatcher.ts"
import { readBody } from "./HttpBody.ts"
import { jsonText } from "./Json.ts"
import type { IncomingMessage, ServerResponse } from "./NodeHttp.ts"
import { escapeHtml } from "./UiFiles.ts"

const enter = (dispatcher: Dispatcher, token: string) =>
  Effect.tap(dispatcher.authenticate(token), (principal) => dispatcher.entered(principal, "gateway.sign-in", {}))

/** `GET /v1/auth/session?token=&next=`: turns a token into the cookie of a browser session (`wire-protocol.md` §3.4). */
export const answerSession = (
  dispatcher: Dispatcher,
  request: IncomingMessage,
  response: ServerResponse
): Effect.Effect<void> => {
  const query = queryOf(request)
  const token = query.get("token") ?? ""
  return Effect.match(enter(dispatcher, token), {
    onFailure: (failed) => answerFailure(response, crypto.randomUUID(), failed),
    onSuccess: () => {
      const nonce = crypto.randomUUID()
      const next = jsonText(safePath(query.get("next"))).replaceAll("<", "\\u003c")
      const page = `<!doctype html><meta charset="utf-8"><title>Smithers</title>` +
        `<script nonce="${nonce}">location.replace(${next})</script>`
      answerText(response, 200, "text/html; charset=utf-8", page, {
        "Set-Cookie": cookieFor(request, encodeURIComponent(token)),
        "Content-Security-Policy": `default-src 'none'; script-src 'nonce-${nonce}'`,
        "Referrer-Policy": "no-referrer"
      })
    }
  })
}

/** `GET /v1/auth/sign-in?next=`: asks for a token, for pages that do not ask themselves. */
export const answerSignIn = (request: IncomingMessage, response: ServerResponse): void =>
  signInPage(response, 200, safePath(queryOf(request).get("next")), "")

/**
 * `POST /v1/auth/session`, the form of that page: a `token` that is good makes the session and leads to `next`, none ends
 * the session of this browser.
 */
export const enterSession = (
  dispatcher: Dispatcher,
  request: IncomingMessage,
  response: ServerResponse,
  allowedOrigins: ReadonlyArray<string>
): Effect.Effect<void> =>
  Effect.gen(function*() {
    // Nobody is signed in by a page of others.
    if (!isAllowedOrigin(request, allowedOrigins) || isForeign(request)) {
      return yield* Effect.fail(failure("UNAUTHORIZED", "Origin is not allowed"))
    }
    const form = new URLSearchParams((yield* readBody(request)).toString("utf8"))
    const token = (form.get("token") ?? "").trim()
    const next = safePath(form.get("next"))
    const go = (cookie: string) => answerText(response, 303, "text/plain", "", { Location: next, "Set-Cookie": cookie })
    if (token === "") return go(cookieFor(request, "", "Max-Age=0"))
    yield* Effect.match(enter(dispatcher, token), {
      onFailure: ({ message }) => signInPage(response, 401, next, message),
      onSuccess: () => go(cookieFor(request, encodeURIComponent(token)))
    })
  }).pipe(
    Effect.catchAll((failed) =>
      Effect.sync(() => answerFailure(response, crypto.randomUUID(), dispatcher.clean(failed)))
    )
  )

const signInPage = (response: ServerResponse, status: number, next: string, problem: string): void => {
  const nonce = crypto.randomUUID()
  const page = `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <meta name="color-scheme" content="light dark">
    <title>Sign in</title>
    <style nonce="${nonce}">
      body { font: 1rem/1.5 system-ui, sans-serif; margin: 4rem auto; max-width: 24rem; padding: 0 1rem }
      label, input { display: block; width: 100%; box-sizing: border-box }
      input, button { font: inherit; padding: 0.5rem; margin: 0.5rem 0 }
    </style>
  </head>
  <body>
    <main>
      <h1>Sign in</h1>
      ${problem === "" ? "" : `<p role="alert">${escapeHtml(problem)}</p>`}
      <form method="post" action="/v1/auth/session">
        <label for="token">Access token</label>
        <input id="token" name="token" type="password" autocomplete="off" spellcheck="false" required autofocus>
        <input type="hidden" name="next" value="${escapeHtml(next)}">
        <button>Sign in</button>
      </form>
    </main>
  </body>
</html>
`
  answerText(response, status, "text/html; charset=utf-8", page, {
    "Content-Security-Policy": `default-src 'none'; style-src 'nonce-${nonce}'; form-action 'self'; ` +
      "base-uri 'none'; frame-ancestors 'none'",
    // With `no-referrer` the form would not say which page it comes from.
    "Referrer-Policy": "same-origin"
  })
}

const queryOf = (request: IncomingMessage) => new URLSearchParams((request.url ?? "").split("?")[1] ?? "")

const cookieFor = (request: IncomingMessage, value: string, ...more: ReadonlyArray<string>): string =>
  [
    `${sessionCookie(request.headers.host)}=${value}`,
    "HttpOnly",
    "Path=/",
    "SameSite=Lax",
    ...more,
    ...(isEncrypted(request) ? ["Secure"] : [])
  ].join("; ")

/** A path of this origin, or the front page. Browsers read `\\` as a slash, and nothing where there is a tab. */
const safePath = (next: string | null): string =>
  next !== null && /^\/(?:[!-.0-[\]-~][!-[\]-~]*)?$/.test(next) ? next : "/"

const isEncrypted = (request: IncomingMessage): boolean =>
  "encrypted" in request.socket || request.headers["x-forwarded-proto"] === "https"

import { FetchHttpClient, FileSystem, HttpClient, HttpClientRequest } from "@effect/platform"
import { NodeContext, NodeSocket } from "@effect/platform-node"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import { writeFileSync } from "node:fs"
import path from "node:path"
import { make } from "../../src/gateway/client.ts"
import type { CustomUi } from "../../src/gateway/index.ts"
import { loadUi } from "../../src/gateway/internal/UiFiles.ts"
import { bearer, request } from "./support/Http.ts"
import { address, addRun, adminToken, gatewayWith } from "./support/Service.ts"

const folder = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const parent = yield* Effect.flatMap(fs.makeTempDirectoryScoped(), fs.realPath)
  const ui = path.join(parent, "ui")
  const files = {
    "../outside.js": "secret",
    "../elsewhere/deep.js": "secret",
    "main.mjs": "import './parts/list.js'",
    "parts/list.js": "export {}",
    "parts/größe 1.css": "p {}",
    "logo.svg": "<svg/>",
    "list.js": "export {}",
    ".env.js": "secret",
    ".git/config.json": "secret",
    "notes.md": "secret",
    "server.ts": "secret",
    "key.pem": "secret"
  }
  for (const [name, text] of Object.entries(files)) {
    yield* fs.makeDirectory(path.dirname(path.join(ui, name)), { recursive: true })
    yield* fs.writeFileString(path.join(ui, name), text)
  }
  yield* fs.symlink(path.join(parent, "outside.js"), path.join(ui, "leads-out.js"))
  yield* fs.symlink(path.join(parent, "elsewhere"), path.join(ui, "folder-out"))
  yield* fs.symlink(path.join(ui, "parts"), path.join(ui, "parts", "circle"))
  yield* fs.symlink(path.join(ui, "list.js"), path.join(ui, "also.js"))
  return ui
}).pipe(Effect.provide(NodeContext.layer), Effect.orDie)

const props = { text: "</script><script>alert(1)</script><!--", numbers: [1, null], "__proto__": "x" }

const uiOf = (entry: string, more: Partial<CustomUi> = {}) =>
  Option.some({ entry, path: "/acme/ops", title: `Acme & "Sons" </title><b>`, props, ...more })

const hosting = Layer.unwrapScoped(
  Effect.map(folder, (ui) =>
    gatewayWith({}, {
      ui: uiOf(path.join(ui, "main.mjs")),
      consoleDirectory: Option.some(path.join(ui, "../elsewhere"))
    }))
)

layer(hosting, { excludeTestServices: true })("a user interface of one's own", (it) => {
  it.effect("is one page at its mount and below, with title and props that cannot break out, and no inline script", () =>
    Effect.gen(function*() {
      for (const target of ["/acme/ops", "/acme/ops/", "/acme/ops/runs/run-1", "/acme/ops?theme=dark"]) {
        const { headers, status, text } = yield* request(target)
        assert.deepStrictEqual([target, status], [target, 200])
        assert.include(text, "<title>Acme &amp; &quot;Sons&quot; &lt;/title&gt;&lt;b&gt;</title>")
        const scripts = [...text.matchAll(/<script([^>]*)>(.*?)<\/script>/gs)].map(([, attributes, body]) => ({
          attributes: attributes!.trim(),
          body: body!
        }))
        assert.deepStrictEqual(scripts.map(({ attributes }) => attributes), [
          "type=\"application/json\" id=\"smithers-ui\"",
          "src=\"/acme/ops/__smithers_ui.js\"",
          "type=\"module\" src=\"/acme/ops/__smithers_ui/main.mjs\""
        ])
        assert.deepStrictEqual(scripts.slice(1).map(({ body }) => body), ["", ""])
        assert.notInclude(scripts[0]!.body, "<")
        assert.deepStrictEqual(JSON.parse(scripts[0]!.body), {
          apiVersion: "v1",
          kind: "gateway",
          mountPath: "/acme/ops",
          rpcPath: "/v1/rpc",
          wsPath: "/",
          assetBasePath: "/acme/ops/__smithers_ui/",
          signInPath: "/v1/auth/sign-in",
          props: JSON.parse(JSON.stringify(props))
        })
        assert.deepInclude(headers, {
          "content-type": "text/html; charset=utf-8",
          "cache-control": "no-store",
          "x-content-type-options": "nosniff",
          "content-security-policy": "default-src 'self'; script-src 'self'; connect-src 'self'; " +
            "img-src 'self' data:; object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
        })
      }
    }))

  it.effect("has the files beside its entry with their types, and a link to one of them", () =>
    Effect.gen(function*() {
      const served = {
        "main.mjs": "text/javascript; charset=utf-8",
        "parts/list.js": "text/javascript; charset=utf-8",
        "also.js": "text/javascript; charset=utf-8",
        "logo.svg": "image/svg+xml",
        [encodeURI("parts/größe 1.css")]: "text/css; charset=utf-8"
      }
      for (const [name, type] of Object.entries(served)) {
        const { headers, status } = yield* request(`/acme/ops/__smithers_ui/${name}`)
        assert.deepStrictEqual([name, status, headers["content-type"]], [name, 200, type])
        assert.deepInclude(headers, { "cache-control": "no-store", "x-content-type-options": "nosniff" })
      }
      assert.include((yield* request("/acme/ops/__smithers_ui.js")).text, "__SMITHERS_GATEWAY_UI__")
    }))

  it.effect("no path and no link leads out of its folder, and what begins with a dot or is no asset is not there", () =>
    Effect.gen(function*() {
      for (
        const name of [
          "../outside.js",
          "..%2foutside.js",
          "%2e%2e/outside.js",
          "parts/../../outside.js",
          "..\\outside.js",
          "leads-out.js",
          "folder-out/deep.js",
          "parts/circle/list.js",
          ".env.js",
          ".git/config.json",
          "notes.md",
          "server.ts",
          "key.pem",
          "parts",
          "",
          "%00.js",
          "/etc/passwd.txt"
        ]
      ) {
        const { status, text } = yield* request(`/acme/ops/__smithers_ui/${name}`)
        assert.deepStrictEqual([name, status], [name, 404])
        assert.notInclude(text, "secret")
      }
      for (const target of ["/acme", "/acme/opsx", "/acme/ops/gone.js", "/__smithers_ui/main.mjs"]) {
        assert.strictEqual((yield* request(target)).status, 404, target)
      }
    }))

  it.effect("is where the front page leads, and the gateway stays where it is", () =>
    Effect.gen(function*() {
      const front = yield* request("/")
      assert.deepStrictEqual([front.status, front.headers.location], [302, "/acme/ops"])
      assert.strictEqual((yield* request("/health")).status, 200)
    }))

  it.effect("sends who has no session to a page that makes one, which only a page of this origin may send", () =>
    Effect.gen(function*() {
      const { host, port } = yield* address
      const Origin = `http://${host}:${port}`
      const page = yield* request(`/v1/auth/sign-in?next=${encodeURIComponent("/acme/ops?a=\"><b>&c=1")}`)
      assert.strictEqual(page.status, 200)
      // What is no path stands for the front page, and no text of the query is markup.
      assert.include(page.text, "name=\"next\" value=\"/acme/ops?a=&quot;&gt;&lt;b&gt;&amp;c=1\"")
      assert.include(page.headers["content-security-policy"] as string, "default-src 'none'")
      assert.strictEqual(page.headers["referrer-policy"], "same-origin")
      const send = (form: Record<string, string>, headers: Record<string, string> = {}) =>
        request("/v1/auth/session", {
          method: "POST",
          headers: { Host: `${host}:${port}`, Origin, ...headers },
          body: new URLSearchParams(form).toString()
        })

      const entered = yield* send({ token: adminToken, next: "/acme/ops" })
      assert.deepStrictEqual([entered.status, entered.headers.location], [303, "/acme/ops"])
      const cookie = `smithers_session_${port}=${adminToken}`
      assert.deepStrictEqual(entered.headers["set-cookie"], [`${cookie}; HttpOnly; Path=/; SameSite=Lax`])
      for (const next of ["//evil.example", "https://evil.example", "/\t/evil.example", "/\\evil", "/a\r\nX: y"]) {
        assert.strictEqual((yield* send({ token: adminToken, next })).headers.location, "/", next)
      }

      const wrong = yield* send({ token: "nope", next: "/acme/ops" })
      assert.strictEqual(wrong.status, 401)
      assert.include(wrong.text, "role=\"alert\"")
      assert.notProperty(wrong.headers, "set-cookie")
      const foreign = yield* send({ token: adminToken }, { Origin: "https://evil.example" })
      assert.deepStrictEqual([foreign.status, "set-cookie" in foreign.headers], [401, false])

      const ended = yield* send({ next: "/acme/ops" })
      assert.strictEqual(ended.status, 303)
      assert.match(ended.headers["set-cookie"]![0]!, /^smithers_session_\d+=; .*Max-Age=0/)
    }))

  it.effect("uses the typed client without a token, by the session of its browser", () =>
    Effect.gen(function*() {
      const { port, url } = yield* address
      yield* addRun("seen-by-cookie")
      const http = yield* HttpClient.HttpClient
      const browser = HttpClient.mapRequest(http, (outgoing) => {
        assert.notProperty(outgoing.headers, "authorization")
        return HttpClientRequest.setHeader(outgoing, "cookie", `smithers_session_${port}=${adminToken}`)
      })
      const client = yield* Effect.provideService(make({ baseUrl: url }), HttpClient.HttpClient, browser)
      const runs = yield* client.listRuns({})
      assert.deepStrictEqual(runs.map(({ runId }) => runId), ["seen-by-cookie"])
      assert.strictEqual((yield* request("/v1/rpc/listRuns", { method: "POST", headers: bearer("") })).status, 401)
    }).pipe(Effect.provide([FetchHttpClient.layer, NodeSocket.layerWebSocketConstructor])))
})

describe("a user interface that is not acceptable", () => {
  const refusal = (more: (ui: string) => Partial<CustomUi>, home = "/nowhere") =>
    Effect.gen(function*() {
      const ui = yield* folder
      const given = { entry: path.join(ui, "main.mjs"), path: "/ops", title: "Ops", props: {}, ...more(ui) }
      const refused = yield* Effect.flip(loadUi(given, home.replace("<ui>", ui)))
      assert.deepInclude(refused, { _tag: "GatewayRefused", reason: "Ui" })
      return refused.message
    }).pipe(Effect.scoped, Effect.provide(NodeContext.layer))

  it.effect("is refused with the field and the bound", () =>
    Effect.gen(function*() {
      for (
        const path of ["", "/", "ops", "/ops/", "/a//b", "/../b", "/a b", "/a?b", "/v1/ui", "/health", "/workflows/x"]
      ) {
        assert.match(
          yield* refusal(() => ({ path })),
          /^ui\.path: must be 1–8 segments .* at most 128 characters/,
          path
        )
      }
      assert.match(yield* refusal(() => ({ path: `/${"a".repeat(128)}` })), /^ui\.path: .* at most 128 characters/)
      for (const title of ["", "x".repeat(201)]) {
        assert.match(yield* refusal(() => ({ title })), /^ui\.title: must have 1–200 characters/)
      }
      const circle: Record<string, unknown> = {}
      circle["self"] = circle
      for (const props of ["x".repeat(65_536), undefined, () => 1, 1n, circle]) {
        assert.match(yield* refusal(() => ({ props })), /^ui\.props: must be a JSON value of at most 65536 bytes/)
      }
      for (const entry of ["main.ts", "main", "ma in.js", ".main.js"]) {
        assert.match(yield* refusal(() => ({ entry })), /^ui\.entry: must name a module of JavaScript/)
      }
      assert.match(yield* refusal((ui) => ({ entry: path.join(ui, "gone.js") })), /^ui\.entry: .*gone\.js/)
      assert.match(yield* refusal((ui) => ({ entry: path.join(ui, "leads-out.js") })), /^ui\.entry: .*leads-out\.js/)
      assert.match(yield* refusal(() => ({ entry: "/nowhere/main.js" })), /^ui\.entry: /)
    }))

  it.effect("is one whose folder holds the home of the service, or more files than a folder of its own would", () =>
    Effect.gen(function*() {
      for (const home of ["<ui>", "<ui>/parts"]) {
        assert.match(yield* refusal(() => ({}), home), /^ui\.entry: has the home of the service beside or below it/)
      }
      const crowded = yield* refusal((ui) => {
        for (let i = 0; i < 1_000; i++) writeFileSync(path.join(ui, `${i}.js`), "")
        return {}
      })
      assert.match(crowded, /^ui\.entry: has more than 1000 files or 67108864 bytes beside it/)
    }))

  it.live("keeps the gateway from listening", () =>
    Effect.gen(function*() {
      const refused = yield* Effect.flip(Layer.build(gatewayWith({}, { ui: uiOf("/nowhere/main.js") })))
      assert.deepInclude(refused, { _tag: "GatewayRefused", reason: "Ui" })
    }).pipe(Effect.scoped))
})

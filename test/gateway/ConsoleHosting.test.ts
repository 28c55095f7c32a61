import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer, Option } from "effect"
import net from "node:net"
import path from "node:path"
import { request } from "./support/Http.ts"
import { address, gatewayWith } from "./support/Service.ts"

const index = "<!doctype html><html><head><title>Console</title></head><body><div id=\"root\"></div></body></html>"

const built = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const parent = yield* fs.makeTempDirectoryScoped()
  const folder = path.join(parent, "console")
  yield* fs.makeDirectory(path.join(folder, "assets"), { recursive: true })
  yield* fs.writeFileString(path.join(parent, "secret.txt"), "secret")
  yield* fs.writeFileString(path.join(folder, "index.html"), index)
  yield* fs.writeFileString(path.join(folder, "favicon.svg"), "<svg/>")
  yield* fs.writeFileString(path.join(folder, "assets/main-1a2b.js"), "export {}")
  return folder
}).pipe(Effect.provide(NodeContext.layer))

const hosting = Layer.unwrapScoped(
  Effect.map(built, (folder) => gatewayWith({}, { consoleDirectory: Option.some(folder) }))
)

layer(hosting, { excludeTestServices: true })("the console", (it) => {
  it.effect("is the same page at every path below its mount, with the boot object and a nonce of its own", () =>
    Effect.gen(function*() {
      const nonces = new Set<string>()
      for (
        const target of ["/console", "/console/", "/console/runs/run-1", "/console/index.html", "/console?theme=dark"]
      ) {
        const { headers, status, text } = yield* request(target)
        assert.deepStrictEqual([target, status], [target, 200])
        const [, nonce, json] = /<script nonce="([^"]+)">globalThis\.__SMITHERS_GATEWAY_UI__=(.*?);<\/script>/.exec(
          text
        )!
        nonces.add(nonce!)
        assert.deepStrictEqual(JSON.parse(json!), {
          apiVersion: "v1",
          kind: "operator",
          mountPath: "/console",
          rpcPath: "/v1/rpc",
          wsPath: "/",
          assetBasePath: "/console/",
          props: {}
        })
        assert.strictEqual(text.replace(/<script nonce.*?<\/script>/, ""), index)
        assert.deepInclude(headers, {
          "content-type": "text/html; charset=utf-8",
          "cache-control": "no-store",
          "x-content-type-options": "nosniff"
        })
        assert.notProperty(headers, "x-smithers-api-version")
        const policy = headers["content-security-policy"] as string
        assert.match(policy, /^default-src 'self';/)
        assert.include(policy, `script-src 'self' 'nonce-${nonce}'`)
        assert.include(policy, "frame-ancestors 'none'")
        assert.notInclude(policy, "unsafe")
      }
      assert.strictEqual(nonces.size, 5)
    }))

  it.effect("files with a hash in their name are kept for ever, others are asked for again", () =>
    Effect.gen(function*() {
      const script = yield* request("/console/assets/main-1a2b.js")
      assert.strictEqual(script.text, "export {}")
      assert.deepInclude(script.headers, {
        "content-type": "text/javascript; charset=utf-8",
        "cache-control": "public, max-age=31536000, immutable",
        "x-content-type-options": "nosniff"
      })
      const icon = yield* request("/console/favicon.svg")
      assert.deepInclude(icon.headers, { "content-type": "image/svg+xml", "cache-control": "no-store" })
      assert.strictEqual((yield* request("/console/assets/gone-1a2b.js")).status, 404)
      assert.strictEqual((yield* request("/consoles")).status, 404)
    }))

  it.effect("answers HEAD without a body", () =>
    Effect.gen(function*() {
      const { headers, status, text } = yield* request("/console", { method: "HEAD" })
      assert.deepStrictEqual([status, text], [200, ""])
      assert.isAbove(Number(headers["content-length"]), 100)
    }))

  it.effect("no path leads out of its folder", () =>
    Effect.gen(function*() {
      const { port } = yield* address
      const raw = (target: string) =>
        Effect.async<string>((resume) => {
          const socket = net.connect(
            port,
            "127.0.0.1",
            () => socket.end(`GET ${target} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n`)
          )
          let text = ""
          socket.on("data", (data) => text += String(data))
          socket.on("close", () => resume(Effect.succeed(text)))
        })
      for (
        const target of [
          "/console/../secret.txt",
          "/console/%2e%2e/secret.txt",
          "/console/..%2fsecret.txt",
          "/console/assets/../../secret.txt",
          "/console//etc/passwd.txt",
          "/console/..\\secret.txt",
          "/console/assets/%00.js"
        ]
      ) {
        const text = yield* raw(target)
        assert.match(text, /^HTTP\/1\.1 404 /, target)
        assert.notInclude(text, "secret")
      }
    }))
})

describe("a console that is not built", () => {
  it.live("is a 404, and the rest is served", () =>
    Effect.gen(function*() {
      assert.strictEqual((yield* request("/console")).status, 404)
      assert.strictEqual((yield* request("/health")).status, 200)
    }).pipe(Effect.provide(gatewayWith({}, { consoleDirectory: Option.some("/nowhere") }))))
})

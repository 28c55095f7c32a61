import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Cause, ConfigProvider, Context, Effect, Exit, Layer, Option } from "effect"
import { execFileSync } from "node:child_process"
import https from "node:https"
import path from "node:path"
import { Gateway, GatewayConfig, GatewayRefused } from "../../src/gateway/index.ts"
import { gatewayWith } from "./support/Service.ts"

/** Why a gateway with this configuration does not start. */
const refusal = (config: Partial<GatewayConfig.GatewayConfig["Type"]>) =>
  Effect.scoped(Layer.build(gatewayWith({}, config))).pipe(
    Effect.sandbox,
    Effect.flip,
    Effect.map((cause) => Option.getOrThrow(Cause.failureOption(cause))),
    Effect.map((error) => error instanceof GatewayRefused ? error.reason : error)
  )

const started = (config: Partial<GatewayConfig.GatewayConfig["Type"]>) =>
  Effect.map(Layer.build(gatewayWith({}, config)), (context) => Context.get(context, Gateway.Gateway).address)

const certificate = Effect.gen(function*() {
  const fs = yield* FileSystem.FileSystem
  const folder = yield* fs.makeTempDirectoryScoped()
  const [cert, key] = [path.join(folder, "cert.pem"), path.join(folder, "key.pem")] as const
  execFileSync("openssl", [
    ...["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1"],
    ...["-subj", "/CN=localhost", "-keyout", key, "-out", cert]
  ], { stdio: "ignore" })
  return { cert, key }
}).pipe(Effect.provide(NodeContext.layer))

describe("where the gateway listens", () => {
  it.live("a host that others can reach is refused without TLS, whichever way it is written", () =>
    Effect.gen(function*() {
      for (const host of ["0.0.0.0", "::", "192.0.2.1", "example.org", "127.0.0.1.example.org"]) {
        assert.strictEqual(yield* refusal({ host }), "InsecureBind", host)
      }
    }))

  it.live("unless told otherwise", () =>
    Effect.scoped(Effect.gen(function*() {
      const { port } = yield* started({ host: "0.0.0.0", insecureBind: true })
      assert.isAbove(port, 0)
    })))

  it.live("a port that is taken is refused, port 0 is a free one", () =>
    Effect.scoped(Effect.gen(function*() {
      const { host, port, url } = yield* started({})
      assert.strictEqual(url, `http://${host}:${port}`)
      assert.strictEqual(yield* refusal({ port }), "Listen")
    })))

  it.live("TLS files that are missing, or no certificate, are refused", () =>
    Effect.gen(function*() {
      const missing = { cert: "/nowhere/cert.pem", key: "/nowhere/key.pem" }
      assert.strictEqual(yield* refusal({ tls: Option.some(missing) }), "TlsFiles")
      const wrong = { cert: "package.json", key: "package.json" }
      assert.strictEqual(yield* refusal({ tls: Option.some(wrong) }), "TlsFiles")
    }))

  it.live("with TLS it speaks HTTPS, on any host", () =>
    Effect.scoped(Effect.gen(function*() {
      const tls = yield* certificate
      const { port, url } = yield* started({ host: "0.0.0.0", tls: Option.some(tls) })
      assert.strictEqual(url, `https://0.0.0.0:${port}`)
      const health = yield* Effect.async<string>((resume) => {
        https.get({ port, host: "127.0.0.1", path: "/health", rejectUnauthorized: false, agent: false }, (response) => {
          let text = ""
          response.on("data", (chunk) => text += String(chunk))
          response.on("end", () => resume(Effect.succeed(text)))
        })
      })
      // To others no path of this machine is told.
      assert.deepInclude(JSON.parse(health).identity, { workspaceRoot: null })
    })))
})

describe("its configuration", () => {
  const read = (settings: Record<string, string>) =>
    Effect.map(Layer.build(GatewayConfig.layerConfig), (context) => Context.get(context, GatewayConfig.GatewayConfig))
      .pipe(
        Effect.withConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(settings)), { pathDelim: "_" })),
        Effect.scoped
      )

  it.effect("has the defaults of the wire", () =>
    Effect.gen(function*() {
      const { allowedOrigins, host, insecureBind, port, tls } = yield* read({})
      assert.deepStrictEqual([host, port, insecureBind, tls, allowedOrigins], [
        "127.0.0.1",
        7331,
        false,
        Option.none(),
        []
      ])
    }))

  it.effect("is read from SMITHERS_*", () =>
    Effect.gen(function*() {
      const { allowedOrigins, host, port, tls } = yield* read({
        SMITHERS_HOST: "::1",
        SMITHERS_PORT: "0",
        SMITHERS_TLS_CERT: "c",
        SMITHERS_TLS_KEY: "k",
        SMITHERS_ALLOWED_ORIGINS: "https://a.example, https://b.example"
      })
      assert.deepStrictEqual([host, port, tls], ["::1", 0, Option.some({ cert: "c", key: "k" })])
      assert.deepStrictEqual(allowedOrigins, ["https://a.example", "https://b.example"])
    }))

  it.effect("is refused when a port is none, a heartbeat out of bounds, or a certificate has no key", () =>
    Effect.gen(function*() {
      for (const bad of [{ SMITHERS_PORT: "65536" }, { SMITHERS_HEARTBEAT: "1 hour" }, { SMITHERS_TLS_CERT: "c" }]) {
        assert.isTrue(Exit.isFailure(yield* Effect.exit(read(bad as unknown as Record<string, string>)))) // a union of shapes
      }
    }))
})

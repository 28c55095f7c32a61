import { assert, describe, it } from "@effect/vitest"
import { Duration, Effect, Layer, Option, Stream } from "effect"
import net from "node:net"
import { ArtifactStore } from "../../src/artifacts/index.ts"
import { Outbound } from "../../src/outbound/index.ts"
import { makeServer } from "./support/S3Server.ts"
import { openS3, s3At, secretNamed, settingsOf } from "./support/Stores.ts"

const key = { tenant: { orgId: "acme", projectId: "web" }, runId: "run-1", name: "report/a b.md" }
const content = new TextEncoder().encode("content")

const unusedPort = Effect.async<number>((resume) => {
  const server = net.createServer().listen(0, "127.0.0.1", () => {
    const { port } = server.address() as net.AddressInfo
    server.close(() => resume(Effect.succeed(port)))
  })
})

/** Every operation that asks the store, and how it fails. */
const failures = (store: ArtifactStore.ArtifactStore["Type"]) =>
  Effect.all([
    Effect.flip(store.put(key, content)),
    Effect.flip(store.get(key)),
    Effect.flip(store.stat(key)),
    Effect.flip(store.list(key)),
    Effect.flip(store.remove(key))
  ])

describe("artifacts in an S3-compatible store", () => {
  it.scopedLive("lie below the prefix, by organization and run, with their hash; keys never reach the store", () =>
    Effect.gen(function*() {
      const server = yield* makeServer
      const store = yield* openS3(settingsOf(server.endpoint))
      const { location, sha256 } = yield* store.put(key, content)
      assert.strictEqual(location, "s3://bucket/smithers/orgs/acme/run-1/report/a b.md")
      assert.strictEqual(yield* store.place(key), location)
      assert.deepStrictEqual(server.objects.get("smithers/orgs/acme/run-1/report/a b.md")?.metadata, {
        "x-amz-meta-sha256": sha256
      })
      assert.notInclude(JSON.stringify(server.requests), "a secret")
    }))

  it.scopedLive("temporary credentials send their session token, signed", () =>
    Effect.gen(function*() {
      const server = yield* makeServer
      const settings = settingsOf(server.endpoint)
      const store = yield* openS3({ ...settings, sessionToken: Option.some(secretNamed("sessionToken")) })
      yield* store.put(key, content)
      assert.strictEqual(server.requests[0]?.headers["x-amz-security-token"], "a-session")
      const wrong = yield* openS3({ ...settings, sessionToken: Option.some(secretNamed("wrong")) })
      assert.include((yield* Effect.flip(wrong.get(key))).message, "InvalidToken")
    }))

  it.scopedLive("wrong credentials, region or secret are refused once, with the store's word for it", () =>
    Effect.gen(function*() {
      const server = yield* makeServer
      const settings = settingsOf(server.endpoint)
      const cases = [
        [{ secretAccessKey: secretNamed("wrong") }, "SignatureDoesNotMatch"],
        [{ accessKeyId: secretNamed("wrong") }, "InvalidAccessKeyId"],
        [{ region: "elsewhere" }, "AuthorizationHeaderMalformed"]
      ] as const
      for (const [wrong, code] of cases) {
        const store = yield* openS3({ ...settings, ...wrong })
        server.requests.length = 0
        const failed = yield* failures(store)
        assert.deepStrictEqual(failed.map((error) => "reason" in error && error.reason), Array(5).fill("Refused"))
        assert.include(failed[0].message, code)
        assert.notInclude(failed[0].message, "another secret")
        assert.strictEqual(server.requests.length, 5)
      }
      const store = yield* openS3({ ...settings, secretAccessKey: secretNamed("nowhere") })
      assert.include((yield* Effect.flip(store.put(key, content))).message, "nowhere")
    }))

  it.scopedLive("a missing bucket is told from a missing artifact", () =>
    Effect.gen(function*() {
      const server = yield* makeServer
      const store = yield* openS3({ ...settingsOf(server.endpoint), bucket: "another" })
      for (const error of yield* failures(store)) {
        assert.propertyVal(error, "reason", "Refused")
        assert.include(error.message, "there is no bucket another")
      }
    }))

  it.scopedLive("an answer that says later, breaks off or never comes is asked for again", () =>
    Effect.gen(function*() {
      const server = yield* makeServer
      const store = yield* openS3(settingsOf(server.endpoint))
      server.faults.push(503, "cut")
      yield* store.put(key, content)
      server.faults.push("cut", 500)
      assert.deepStrictEqual(Buffer.from((yield* store.get(key)).content), Buffer.from(content))
      assert.strictEqual(server.requests.length, 6)
    }))

  it.scopedLive("after the last attempt the store is unavailable", () =>
    Effect.gen(function*() {
      const server = yield* makeServer
      const settings = settingsOf(server.endpoint)
      const store = yield* openS3(settings)
      for (const fault of [503, 429, "cut"] as const) {
        server.faults.push(fault, fault, fault)
        assert.propertyVal(yield* Effect.flip(store.get(key)), "reason", "Unavailable")
      }
      assert.strictEqual(server.requests.length, 9)
      const impatient = yield* openS3({ ...settings, timeout: Duration.millis(50), attempts: 1 })
      server.faults.push("silence")
      assert.include((yield* Effect.flip(impatient.put(key, content))).message, "no answer within 50ms")
      const dead = yield* openS3(settingsOf(`http://127.0.0.1:${yield* unusedPort}`))
      for (const error of yield* failures(dead)) assert.propertyVal(error, "reason", "Unavailable")
    }))

  it.scopedLive("a content that comes in pieces is sent with its length and hash, again if need be", () =>
    Effect.gen(function*() {
      const server = yield* makeServer
      const store = yield* openS3(settingsOf(server.endpoint))
      server.faults.push(503, "cut")
      const pieces = Array.from({ length: 10 }, (_, n) => Buffer.alloc(50_000, n))
      let made = 0
      const { sha256 } = yield* store.putStream(
        key,
        Stream.tap(Stream.fromIterable(pieces), () => Effect.sync(() => made++))
      )
      assert.strictEqual(made, 10)
      assert.strictEqual(server.requests.length, 3)
      for (const { headers } of server.requests) {
        assert.deepInclude(headers, { "content-length": "500000", "x-amz-content-sha256": sha256 })
      }
      assert.deepStrictEqual(Buffer.from((yield* store.get(key)).content), Buffer.concat(pieces))
    }))

  it.scopedLive("a stream that breaks off is unavailable, and asked for again only before its head", () =>
    Effect.gen(function*() {
      const server = yield* makeServer
      const store = yield* openS3(settingsOf(server.endpoint))
      yield* store.put(key, content)
      server.faults.push(503)
      const opened = yield* store.getStream(key)
      assert.deepStrictEqual(Buffer.concat([...yield* Stream.runCollect(opened.content)]), Buffer.from(content))
      server.faults.push("broken")
      const broken = yield* store.getStream(key)
      assert.propertyVal(yield* Effect.flip(Stream.runDrain(broken.content)), "reason", "Unavailable")
      const impatient = yield* openS3({ ...settingsOf(server.endpoint), timeout: Duration.millis(50) })
      server.faults.push("stuck", "stuck", "stuck")
      const stuck = Effect.flatMap(impatient.getStream(key), ({ content }) => Stream.runDrain(content))
      assert.include((yield* Effect.flip(stuck)).message, "no answer within 50ms")
    }))

  it.scopedLive("a put that is to be new and gets no answer knows itself again", () =>
    Effect.gen(function*() {
      const server = yield* makeServer
      const store = yield* openS3(settingsOf(server.endpoint))
      server.faults.push("late")
      yield* store.put(key, content, { ifAbsent: true })
      assert.deepStrictEqual(server.requests.map(({ method }) => method), ["PUT", "PUT", "HEAD"])
      assert.propertyVal(yield* Effect.flip(store.put(key, content, { ifAbsent: true })), "reason", "Exists")
    }))

  it.scopedLive("an object that nobody recorded a hash of, and one that is too large, are not handed over", () =>
    Effect.gen(function*() {
      const server = yield* makeServer
      const store = yield* openS3(settingsOf(server.endpoint))
      const place = "smithers/orgs/acme/run-1/report/a b.md"
      server.objects.set(place, { body: Buffer.from("x"), metadata: {} })
      assert.propertyVal(yield* Effect.flip(store.get(key)), "reason", "Altered")
      assert.propertyVal(yield* Effect.flip(store.stat(key)), "reason", "Altered")
      server.objects.set(place, { body: Buffer.alloc(1_000_001), metadata: {} })
      assert.propertyVal(yield* Effect.flip(store.get(key)), "reason", "Refused")
    }))

  it.scopedLive("an answer that is no listing, or that names what was not asked for, is not believed", () =>
    Effect.gen(function*() {
      const answering = (text: string) =>
        Effect.flatMap(ArtifactStore.ArtifactStore, (store) => store.list(key)).pipe(Effect.provide(s3At(
          settingsOf("https://s3.example"),
          Layer.succeed(Outbound.Outbound, {
            request: () => Effect.succeed({ status: 200, headers: {}, body: Buffer.from(text), text }),
            open: () => Effect.die("not in this test")
          })
        )))
      const listing = (...keys: ReadonlyArray<string>) =>
        `<ListBucketResult>${
          keys.map((key) => `<Contents><Key>${key}</Key><Size>1</Size></Contents>`).join("")
        }</ListBucketResult>`
      const own = "smithers/orgs/acme/run-1/"
      assert.deepStrictEqual(
        yield* answering(listing("smithers/orgs/other/run-1/a", `${own}../x`, `${own}a%2Fb+c%2B`, own)),
        [{ name: "a/b c+", bytes: 1 }]
      )
      for (const text of ["", "<html/>", listing("%zz"), listing(own).replace("1</Size>", "-1</Size>")]) {
        assert.propertyVal(yield* Effect.flip(answering(text)), "reason", "Unavailable", text)
      }
    }))

  it.scopedLive("with virtual hosts the bucket stands before the host", () =>
    Effect.gen(function*() {
      const asked: Array<string> = []
      const outbound = Layer.succeed(Outbound.Outbound, {
        request: ({ url }) =>
          Effect.sync(() => {
            asked.push(url)
            return { status: 200, headers: {}, body: new Uint8Array(), text: "" }
          }),
        open: () => Effect.die("not in this test")
      })
      const store = yield* Effect.provide(
        ArtifactStore.ArtifactStore,
        s3At({ ...settingsOf("https://s3.example:9000"), addressing: "virtual-host" }, outbound)
      )
      yield* store.put(key, content)
      assert.deepStrictEqual(asked, [
        "https://bucket.s3.example:9000/smithers/orgs/acme/run-1/report/a%20b.md"
      ])
    }))
})

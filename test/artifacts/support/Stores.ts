import { Duration, Effect, Layer, Option, Redacted } from "effect"
import fs from "node:fs"
import os from "node:os"
import path from "node:path"
import { ArtifactsConfig, ArtifactStore, FileStore, S3Store } from "../../../src/artifacts/index.ts"
import { Outbound, OutboundConfig } from "../../../src/outbound/index.ts"
import { MemoryProvider, SecretGuard, SecretProviders, Secrets } from "../../../src/secrets/index.ts"
import { credentials, makeServer, region } from "./S3Server.ts"

export const limit = 1_000_000

const limited = Layer.succeed(ArtifactsConfig.ArtifactsConfig, { maxBytes: limit, s3: Option.none() })

export const Loopback = Layer.provide(
  Outbound.layer,
  Layer.succeed(OutboundConfig.OutboundConfig, { allowed: ["127.0.0.0/8"] })
)

const known = { ...credentials, wrong: "another secret" }

const Credentials = Secrets.layer.pipe(
  Layer.provide(SecretProviders.layer([
    MemoryProvider.make(Object.fromEntries(
      Object.entries(known).map(([name, value]) => [name, Redacted.make(value)])
    ))
  ])),
  Layer.provide(SecretGuard.layer)
)

const named = (name: keyof typeof known | "nowhere") => ({ provider: "memory", name })

export const settingsOf = (endpoint: string): ArtifactsConfig.S3Settings => ({
  endpoint,
  bucket: "bucket",
  region,
  prefix: "smithers/",
  addressing: "path",
  accessKeyId: named("accessKeyId"),
  secretAccessKey: named("secretAccessKey"),
  sessionToken: Option.none(),
  timeout: Duration.seconds(30),
  attempts: 3,
  backoff: Duration.millis(1)
})
export const secretNamed = named

/** A store on an S3-compatible server that is elsewhere; drafts are in a home of its own unless one is given. */
export const s3At = (settings: ArtifactsConfig.S3Settings, outbound = Loopback, home?: string) =>
  Layer.unwrapScoped(
    Effect.map(
      home === undefined ? makeHome : Effect.succeed(home),
      (home) => Layer.fresh(S3Store.layer(settings, home))
    )
  ).pipe(Layer.provide([Credentials, outbound, limited]))

/** The same as a value. */
export const openS3 = (settings: ArtifactsConfig.S3Settings, home?: string) =>
  Effect.flatMap(
    home === undefined ? makeHome : Effect.succeed(home),
    (home) => Effect.provide(ArtifactStore.ArtifactStore, s3At(settings, Loopback, home))
  )

export const makeHome = Effect.acquireRelease(
  Effect.sync(() => fs.mkdtempSync(path.join(os.tmpdir(), "artifacts-"))),
  (home) => Effect.sync(() => fs.rmSync(home, { recursive: true }))
)

export const filesAt = (home: string) => Layer.fresh(FileStore.layer(home)).pipe(Layer.provide(limited))
export const openFiles = (home: string) => Effect.provide(ArtifactStore.ArtifactStore, filesAt(home))

const draftsIn = (home: string): number => fs.readdirSync(path.join(home, "artifact-drafts")).length

/** Every store there is, and how to damage what it has. */
export const stores = {
  "files in the home": Effect.gen(function*() {
    const home = yield* makeHome
    const store = yield* openFiles(home)
    return {
      store,
      drafts: () => draftsIn(home),
      alter: ({ location }: ArtifactStore.Stored, content: Uint8Array) =>
        Effect.sync(() => fs.writeFileSync(location, content)),
      count: Effect.sync(() =>
        fs.readdirSync(home, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).length / 2
      )
    }
  }),
  "an S3-compatible store": Effect.gen(function*() {
    const server = yield* makeServer
    const home = yield* makeHome
    const store = yield* openS3(settingsOf(server.endpoint), home)
    return {
      store,
      drafts: () => draftsIn(home),
      alter: ({ location }: ArtifactStore.Stored, content: Uint8Array) =>
        Effect.sync(() => {
          server.objects.get(location.slice("s3://bucket/".length))!.body = Buffer.from(content)
        }),
      count: Effect.sync(() => server.objects.size)
    }
  })
} as const

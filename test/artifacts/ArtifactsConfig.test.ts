import { assert, describe, it } from "@effect/vitest"
import { ConfigProvider, Effect, Either, Layer, Option } from "effect"
import { ArtifactsConfig } from "../../src/artifacts/index.ts"
import { catalogue } from "../../src/cli/ConfigCatalogue.ts"

const read = (given: Readonly<Record<string, string>>) =>
  Effect.either(Effect.provide(
    ArtifactsConfig.ArtifactsConfig,
    Layer.provide(
      ArtifactsConfig.layerConfig,
      Layer.setConfigProvider(ConfigProvider.fromMap(
        new Map(Object.entries(given).map(([key, value]) => [`SMITHERS_ARTIFACTS_${key}`, value])),
        { pathDelim: "_" }
      ))
    )
  ))

const s3 = {
  S3_ENDPOINT: "https://s3.example:9000",
  S3_BUCKET: "bucket",
  S3_ACCESS_KEY_ID: "env:KEY_ID",
  S3_SECRET_ACCESS_KEY: "file:/run/secrets/key"
}

describe("the settings of artifacts", () => {
  it.effect("are files of at most 64 MiB unless an S3-compatible store is set", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* read({}), Either.right({ maxBytes: 67_108_864, s3: Option.none() }))
      assert.deepStrictEqual(yield* read({ S3_BUCKET: "bucket" }), yield* read({}))
      const { attempts, backoff, timeout } = ArtifactsConfig.defaults
      assert.deepStrictEqual(
        yield* read({ ...s3, MAX_BYTES: "5", S3_PREFIX: "a/b/", S3_ADDRESSING: "virtual-host", S3_REGION: "eu-1" }),
        Either.right({
          maxBytes: 5,
          s3: Option.some<ArtifactsConfig.S3Settings>({
            endpoint: "https://s3.example:9000",
            bucket: "bucket",
            region: "eu-1",
            prefix: "a/b/",
            addressing: "virtual-host",
            accessKeyId: { provider: "env", name: "KEY_ID" },
            secretAccessKey: { provider: "file", name: "/run/secrets/key" },
            sessionToken: Option.none(),
            attempts,
            backoff,
            timeout
          })
        })
      )
    }))

  it.effect("name the one that is wrong or missing, and show no value of a credential", () =>
    Effect.gen(function*() {
      const wrong: ReadonlyArray<readonly [string, string]> = [
        ["MAX_BYTES", "0"],
        ["MAX_BYTES", "268435457"],
        ["S3_ENDPOINT", "s3.example"],
        ["S3_ENDPOINT", "ftp://s3.example"],
        ["S3_ENDPOINT", "https://user:word@s3.example"],
        ["S3_ENDPOINT", "https://s3.example/bucket"],
        ["S3_BUCKET", "A bucket"],
        ["S3_REGION", "eu 1"],
        ["S3_PREFIX", "no-slash"],
        ["S3_PREFIX", "/absolute/"],
        ["S3_PREFIX", "../"],
        ["S3_ADDRESSING", "both"],
        ["S3_ACCESS_KEY_ID", "AKIAIOSFODNN7EXAMPLE"],
        ["S3_SECRET_ACCESS_KEY", "wJalrXUtnFEMIK7MDENGbPxRfiCYEXAMPLEKEY"]
      ]
      for (const [key, value] of wrong) {
        const outcome = yield* read({ ...s3, [key]: value })
        assert.isTrue(Either.isLeft(outcome), `${key}=${value}`)
        const text = String(Either.isLeft(outcome) && outcome.left)
        assert.include(text, key.split("_").at(-1)!)
        if (key.includes("KEY")) assert.notInclude(text, value)
      }
      for (const key of ["S3_BUCKET", "S3_ACCESS_KEY_ID", "S3_SECRET_ACCESS_KEY"] as const) {
        const { [key]: _, ...others } = s3
        assert.include(String(Either.getLeft(yield* read(others))), `SMITHERS_ARTIFACTS_${key}`)
      }
    }))

  it("have the defaults that the catalogue states", () => {
    const found = catalogue.find(({ key }) => key === "SMITHERS_ARTIFACTS_MAX_BYTES")
    assert.strictEqual(found?.default, String(ArtifactsConfig.defaults.maxBytes))
  })
})

import { Config, ConfigError, Context, Duration, Effect, Layer, Option, Schema } from "effect"
import { SecretRef } from "../secrets/index.ts"

/** An S3-compatible store. */
export interface S3Settings {
  /** https, or http to loopback; scheme, host and port alone. */
  readonly endpoint: string
  readonly bucket: string
  readonly region: string
  /** What all keys begin with; empty, or ending in a slash. */
  readonly prefix: string
  /** `path`: `endpoint/bucket/key`. `virtual-host`: `bucket.endpoint/key`. */
  readonly addressing: "path" | "virtual-host"
  readonly accessKeyId: SecretRef.SecretRef
  readonly secretAccessKey: SecretRef.SecretRef
  /** Of temporary credentials. */
  readonly sessionToken: Option.Option<SecretRef.SecretRef>
  /** For one attempt, the transfer of the content included. */
  readonly timeout: Duration.Duration
  /** At one operation, the first included. */
  readonly attempts: number
  /** Before the second attempt, doubled before each later one, give or take a fifth. */
  readonly backoff: Duration.Duration
}

export interface Settings {
  /** Bytes of one artifact. */
  readonly maxBytes: number
  /** None: artifacts are files in the home. */
  readonly s3: Option.Option<S3Settings>
}

export const defaults = {
  maxBytes: 67_108_864,
  timeout: Duration.minutes(1),
  attempts: 4,
  backoff: Duration.millis(250)
}

/** Where artifacts go; files of at most 64 MiB unless provided. */
export class ArtifactsConfig extends Context.Reference<ArtifactsConfig>()(
  "smithers-orchestrator/artifacts/ArtifactsConfig",
  { defaultValue: (): Settings => ({ maxBytes: defaults.maxBytes, s3: Option.none() }) }
) {}

const isEndpoint = (text: string): boolean => {
  if (!URL.canParse(text)) return false
  const { hash, password, pathname, protocol, search, username } = new URL(text)
  return (protocol === "https:" || protocol === "http:") &&
    [username, password, search, hash].every((part) => part === "") && pathname === "/"
}

const matching = (text: Config.Config<string>, pattern: RegExp, message: string) =>
  Config.validate(text, { message, validation: (given) => pattern.test(given) })

const s3Settings = Config.all({
  endpoint: Config.option(
    Config.validate(Config.string("ARTIFACTS_S3_ENDPOINT"), {
      message: "Expected an https URL (http to loopback only) without path and credentials",
      validation: isEndpoint
    })
  ),
  bucket: Config.option(
    matching(
      Config.string("ARTIFACTS_S3_BUCKET"),
      /^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$/,
      "Expected the name of a bucket"
    )
  ),
  region: Config.withDefault(
    matching(Config.string("ARTIFACTS_S3_REGION"), /^[a-z0-9-]{1,64}$/, "Expected 1–64 characters of a-z 0-9 -"),
    "us-east-1"
  ),
  prefix: Config.withDefault(
    matching(
      Config.string("ARTIFACTS_S3_PREFIX"),
      /^(?:[A-Za-z0-9_-][A-Za-z0-9_.-]{0,63}\/){0,8}$/,
      "Expected up to 8 parts of A-Z a-z 0-9 _ . -, each followed by a slash"
    ),
    ""
  ),
  addressing: Config.withDefault(Config.literal("path", "virtual-host")("ARTIFACTS_S3_ADDRESSING"), "path" as const),
  accessKeyId: Config.option(Schema.Config("ARTIFACTS_S3_ACCESS_KEY_ID", SecretRef.SecretRefText)),
  secretAccessKey: Config.option(Schema.Config("ARTIFACTS_S3_SECRET_ACCESS_KEY", SecretRef.SecretRefText)),
  sessionToken: Config.option(Schema.Config("ARTIFACTS_S3_SESSION_TOKEN", SecretRef.SecretRefText))
})

const required = <A>(value: Option.Option<A>, key: string, what: string) =>
  Option.match(value, {
    onNone: () =>
      Effect.fail(ConfigError.MissingData([key], `Expected ${what}, as SMITHERS_ARTIFACTS_S3_ENDPOINT is set`)),
    onSome: Effect.succeed
  })

const read = Effect.gen(function*() {
  const maxBytes = yield* Config.nested(
    Config.withDefault(
      Config.validate(Config.integer("ARTIFACTS_MAX_BYTES"), {
        message: "Expected a whole number from 1 to 268435456",
        validation: (bytes) => bytes >= 1 && bytes <= 268_435_456
      }),
      defaults.maxBytes
    ),
    "SMITHERS"
  )
  const { accessKeyId, bucket, endpoint, secretAccessKey, ...others } = yield* Config.nested(s3Settings, "SMITHERS")
  if (Option.isNone(endpoint)) return ArtifactsConfig.of({ maxBytes, s3: Option.none() })
  const { attempts, backoff, timeout } = defaults
  const given = yield* Effect.all({
    bucket: required(bucket, "SMITHERS_ARTIFACTS_S3_BUCKET", "the name of a bucket"),
    accessKeyId: required(accessKeyId, "SMITHERS_ARTIFACTS_S3_ACCESS_KEY_ID", "a reference like env:NAME"),
    secretAccessKey: required(secretAccessKey, "SMITHERS_ARTIFACTS_S3_SECRET_ACCESS_KEY", "a reference like env:NAME")
  })
  return ArtifactsConfig.of({
    maxBytes,
    s3: Option.some({ ...others, ...given, endpoint: endpoint.value, timeout, attempts, backoff })
  })
})

/** From `SMITHERS_ARTIFACTS_MAX_BYTES` and `SMITHERS_ARTIFACTS_S3_…`; credentials are references to secrets. */
export const layerConfig = Layer.effect(ArtifactsConfig, read)

import { NodeContext } from "@effect/platform-node"
import { Effect, Layer, Redacted } from "effect"
import { createHash } from "node:crypto"
import {
  MemoryProvider,
  type Observation,
  SecretGuard,
  SecretObserver,
  type SecretProvider,
  SecretProviders,
  SecretRef,
  Secrets,
  SecretsConfig
} from "../../src/secrets/index.ts"

/** Drawn anew from the seed each time, so that nothing that looks like a credential stands in the repository. */
export const draw = (alphabet: string, length: number, seed: string): string => {
  let text = ""
  for (let block = 0; text.length < length; block++) {
    for (const byte of createHash("sha256").update(`${seed}/${block}`).digest()) {
      text += alphabet[byte % alphabet.length]
    }
  }
  return text.slice(0, length)
}

const digits = "0123456789"
const lower = "abcdefghijklmnopqrstuvwxyz"
const upper = lower.toUpperCase()
export const alnum = digits + lower + upper
const url = `${alnum}-_`
const hex = `${digits}abcdef`

/** One credential of each format, named by the format. */
export const credentials = (seed: string): Readonly<Record<string, string>> => {
  const of = (alphabet: string, length: number) => draw(alphabet, length, seed)
  return {
    "smithers-token": `smithers_${of(url, 43)}_${of(alnum, 6)}`,
    "aws-access-key-id": `AKIA${of(`${upper}234567`, 16)}`,
    "aws-secret-access-key": `aws_secret_access_key = ${of(`${alnum}+/`, 40)}`,
    "github-token": `ghp_${of(alnum, 36)}`,
    "github-fine-grained-token": `github_pat_${of(alnum, 22)}_${of(alnum, 59)}`,
    "gitlab-token": `glpat-7${of(url, 20)}`,
    "slack-token": `xoxb-${of(digits, 12)}-${of(digits, 12)}-${of(alnum, 24)}`,
    "slack-webhook": `https://hooks.slack.com/services/T${of(upper, 9)}/B${of(upper, 9)}/${of(alnum, 24)}`,
    "anthropic-key": `sk-ant-api03-${of(url, 93)}AA`,
    "openai-key": `sk-proj-${of(url, 74)}T3Blbk${"FJ"}${of(url, 74)}`,
    "openrouter-key": `sk-or-v1-${of(hex, 64)}`,
    "google-api-key": `AIza${of(alnum, 35)}`,
    "google-oauth-secret": `GOCSPX-${of(alnum, 28)}`,
    "stripe-key": `sk_live_${of(alnum, 24)}`,
    "npm-token": `npm_${of(alnum, 36)}`,
    "pypi-token": `pypi-AgEIcHlwaS5vcmc${of(url, 120)}`,
    "json-web-token": [{ alg: "HS256" }, { sub: of(alnum, 20) }].map((part) =>
      Buffer.from(JSON.stringify(part)).toString("base64url")
    ).concat(of(alnum, 43)).join("."),
    "private-key": `-----BEGIN ${"RSA PRIVATE"} KEY-----\n${of(alnum, 64)}\n${
      of(alnum, 64)
    }\n-----END RSA PRIVATE KEY-----`,
    "azure-storage-key": `DefaultEndpointsProtocol=https;AccountKey=${of(alnum, 86)}==;EndpointSuffix=core`,
    "azure-client-secret": `${of(alnum, 3)}8Q~${of(alnum, 34)}`,
    "sendgrid-key": `SG.${of(alnum, 22)}.${of(alnum, 43)}`,
    "twilio-key": `SK${of(hex, 32)}`,
    "huggingface-token": `hf_${of(alnum, 34)}`,
    "groq-key": `gsk_${of(alnum, 52)}`,
    "digitalocean-token": `dop_v1_${of(hex, 64)}`,
    "vault-token": `hvs.${of(alnum, 90)}`,
    "docker-token": `dckr_pat_${of(alnum, 27)}`,
    "databricks-token": `dapi${of(hex, 32)}`,
    "age-secret-key": `AGE-SECRET-KEY-1${of("QPZRY9X8GF2TVDW0S3JN54KHCE6MUA7L", 58)}`
  }
}

export const guardLayer = SecretGuard.layer

/** Secrets of these providers, with the observations made so far. */
export const secretsLayer = (
  providers: ReadonlyArray<SecretProvider>,
  options: { readonly observed?: Array<Observation>; readonly settings?: Partial<SecretsConfig.Settings> } = {}
) =>
  Secrets.layer.pipe(
    Layer.provideMerge(guardLayer),
    Layer.provide(SecretProviders.layer(providers)),
    Layer.provide(Layer.succeed(SecretsConfig.SecretsConfig, { ...SecretsConfig.defaults, ...options.settings })),
    Layer.provide(Layer.succeed(SecretObserver, {
      observe: (observation) => Effect.sync(() => options.observed?.push(observation))
    })),
    Layer.provideMerge(NodeContext.layer)
  )

/** The values under their names, as `memory:NAME`. */
export const memory = (values: Readonly<Record<string, string>>): SecretProvider =>
  MemoryProvider.make(Object.fromEntries(Object.entries(values).map(([name, value]) => [name, Redacted.make(value)])))

export const resolve = (reference: string) =>
  Effect.flatMap(
    SecretRef.parse(reference),
    (ref) => Effect.flatMap(Secrets.Secrets, (secrets) => secrets.resolve(ref))
  )

export const watch = (name: string, value: string) =>
  Effect.flatMap(
    SecretGuard.SecretGuard,
    (guard) => guard.watch({ provider: "test", name }, Redacted.make(value))
  )

/** Where the guard refuses the value within `input`, and for what; null when it does not. */
export const refusal = (value: unknown, schema?: SecretGuard.Payload["schema"]) =>
  Effect.flatMap(SecretGuard.SecretGuard, (guard) => refusalOf(guard, JSON.stringify(value), schema))

export const refusalOf = (
  guard: SecretGuard.SecretGuard["Type"],
  text: string,
  schema?: SecretGuard.Payload["schema"]
) =>
  guard.check({ field: "input", text, schema }).pipe(
    Effect.as(null),
    Effect.catchTag("SecretRefused", ({ found, path }) => Effect.succeed(`${path}: ${found}`))
  )

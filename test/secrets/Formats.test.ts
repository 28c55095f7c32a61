import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck } from "effect"
import { createHash, randomUUID } from "node:crypto"
import { credentialFormats, Redaction, SecretGuard } from "../../src/secrets/index.ts"
import { alnum, credentials, draw, guardLayer, refusal, refusalOf } from "./support.ts"

const seeds = ["a", "b", "c", "d", "e"]

describe("a credential of a well-known format", () => {
  it("has an example here, whatever the format, and a source there", () => {
    assert.deepStrictEqual(Object.keys(credentials("a")).sort(), credentialFormats.map(({ name }) => name).sort())
    for (const { source } of credentialFormats) assert.match(source, /^(?:https:\/\/|src\/)/)
  })

  for (const name of credentialFormats.map((format) => format.name)) {
    it.effect(`is refused wherever a word may begin: ${name}`, () =>
      Effect.gen(function*() {
        for (const seed of seeds) {
          const credential = credentials(seed)[name]!
          const surroundings = [
            credential,
            `key ${credential} and more`,
            `first line\n${credential}\nlast line`,
            `a\t${credential}\r\n`,
            `KEY=${credential};`,
            `\u001b[31m${credential}\u001b[0m`,
            `?token%3D${credential}&x=1`,
            JSON.stringify({ nested: `x\n${credential}` })
          ]
          for (const text of surroundings) {
            assert.strictEqual(yield* refusal({ a: [0, { text }] }), `input.a[1].text: ${name}`, seed)
          }
        }
      }).pipe(Effect.provide(guardLayer)))

    it(`is cut out of the text of a failure: ${name}`, () => {
      for (const seed of seeds) {
        const credential = credentials(seed)[name]!
        const clean = Redaction.redact(`it failed with ${credential} there`)
        const secret = credential.split(/[\s;=]/).reduce((longest, part) =>
          part.length > longest.length ? part : longest
        )
        assert.notInclude(clean, secret.slice(-16))
        assert.match(clean, /^it failed with .*\[redacted\].*there$/s)
      }
    })
  }
})

const sha = (text: string) => createHash("sha256").update(text).digest("hex")
const image = Buffer.concat(
  Array.from({ length: 8_000 }, (_, index) => createHash("sha512").update(`${index}`).digest())
)

const harmless: Readonly<Record<string, string>> = {
  "a uuid": randomUUID(),
  "a run id": `run-${draw(alnum, 20, "run")}`,
  "a sha-256": sha("x"),
  "a git hash": createHash("sha1").update("x").digest("hex"),
  "a thousand hashes": Array.from({ length: 1_000 }, (_, index) => sha(`${index}`)).join("\n"),
  "half a megabyte of base64": image.toString("base64"),
  "half a megabyte of base64url": image.toString("base64url"),
  "a data url": `data:image/png;base64,${image.subarray(0, 3_000).toString("base64")}`,
  "hashes in base64, as a lock file has them": Array.from(
    { length: 500 },
    (_, index) => `sha512-${createHash("sha512").update(`${index}`).digest("base64")}`
  ).join(","),
  "prose":
    "The token is sent as a Bearer header; Basic authentication is not offered. Risk-based task-lists are sk-ipped.",
  "what names are like":
    "task-collect-all-the-commits-since-the-last-tag-2024 disk-usage-of-the-second-volume-in-percent",
  "the key of a locale": "sk-SK-estimated-shipping-dates-for-all-regions-2024-q3",
  "names of metrics": "smithers_gateway_connections_open_total_of_all_the_listeners_together",
  "names of packages": "npm_config_cache npm_package_name hf_hub_download pypi-server github_pattern ghp_example",
  "documentation of a key":
    `Set it to ${"AKIA"}IOSFODNN7EXAMPLE, or -----BEGIN ${"PRIVATE"} KEY----- as the first line.`,
  "a public key": `-----BEGIN PUBLIC KEY-----\n${draw(alnum, 64, "public")}\n-----END PUBLIC KEY-----`,
  "a certificate": `-----BEGIN CERTIFICATE-----\n${draw(alnum, 64, "cert")}\n-----END CERTIFICATE-----`,
  "json in base64": Buffer.from(JSON.stringify({ alg: "none" })).toString("base64url"),
  "placeholders": "OPENAI_API_KEY=sk-... GITHUB_TOKEN=ghp_xxxx ANTHROPIC_API_KEY=sk-ant-your-key-here",
  "a schema of sql": "CREATE TABLE secret_refs (provider TEXT, aws_secret_access_key TEXT, SecretAccessKey TEXT)"
}

describe("what is no credential", () => {
  for (const [name, text] of Object.entries(harmless)) {
    it.effect(`is stored: ${name}`, () =>
      Effect.gen(function*() {
        assert.isNull(yield* refusal({ text }))
        assert.isNull(yield* refusal(text.split(" ")))
      }).pipe(Effect.provide(guardLayer)))
  }

  it("keeps its ids and hashes in a redacted text", () => {
    for (const name of ["a uuid", "a run id", "a sha-256", "a git hash", "a thousand hashes", "names of metrics"]) {
      assert.strictEqual(Redaction.redact(`failed: ${harmless[name]}.`), `failed: ${harmless[name]}.`)
    }
  })

  it.effect("is every text without an issuer's prefix", () =>
    Effect.gen(function*() {
      const guard = yield* SecretGuard.SecretGuard
      const texts = FastCheck.sample(FastCheck.array(FastCheck.stringMatching(/^[a-f0-9]{1,64}[ \n,./]$/)), {
        numRuns: 200,
        seed: 5
      })
      for (const parts of texts) assert.isNull(yield* refusalOf(guard, JSON.stringify(parts.join(""))))
    }).pipe(Effect.provide(guardLayer)))
})

import { assert, describe, it } from "@effect/vitest"
import { Effect, FastCheck, Schema } from "effect"
import { SecretGuard, Secrets } from "../../src/secrets/index.ts"
import { credentials, guardLayer, refusalOf, watch } from "./support.ts"

const size = 5 * 1_048_576
const fill = (part: string) => part.repeat(Math.ceil(size / part.length)).slice(0, size)

/** What begins a credential, ends one, or looks like the middle of one. */
const fragments = [
  "eyJ",
  "eyJaaaaaaaaaaa.",
  ".eyJaaaaaaaaaaa",
  "\\neyJaaaaaaaaaa.eyJ",
  "\u001b[31meyJaaaaaaaaaa.eyJa",
  "%41eyJaaaaaaaaaa.eyJ",
  "-----BEGIN ",
  "-----BEGIN A A A PRIVATE KEY-----",
  "-----BEGIN PRIVATE KEY-----\\n\\n\\n\\n\\n",
  "PRIVATE KEY-----",
  "smithers_",
  "smithers_action_a",
  "sk-",
  "sk-ant-api03-",
  "sk-proj-1-",
  "ghp_",
  "xoxb-1",
  "AKIA",
  "AccountKey=",
  "1Q~",
  "...1Q~.",
  "SG.",
  "aws_secret_access_key=\"'\"'\"'",
  "whsec_/",
  "a://b:",
  "a.a.",
  "Bearer ",
  "Bearer",
  " ",
  "\\u0041",
  "\\\\u0041",
  "\\",
  "\"",
  "[",
  "{\"a\":",
  "same-mid",
  "\ud800",
  "é"
]

/** Each test ends only when time is linear: 5 MiB take milliseconds then, and hours otherwise. */
describe("time is linear in a text of 5 MiB", () => {
  const inspect = (text: string) =>
    Effect.gen(function*() {
      // What a test runner says to its worker is heard between two texts.
      yield* Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))
      const guard = yield* SecretGuard.SecretGuard
      yield* watch("canary", "1234same-mid5678")
      yield* refusalOf(guard, text)
      guard.findings({ field: "x", text }, 100)
      guard.redact(text)
    })

  for (const fragment of fragments) {
    it.scoped(`made of ${JSON.stringify(fragment)}`, () => Effect.provide(inspect(fill(fragment)), guardLayer))
  }

  it.scoped("made of whatever mixture of them", () =>
    Effect.gen(function*() {
      const mixtures = FastCheck.sample(
        FastCheck.array(FastCheck.oneof(FastCheck.constantFrom(...fragments), FastCheck.string({ maxLength: 4 })), {
          minLength: 2,
          maxLength: 12
        }),
        { numRuns: 15, seed: 77 }
      )
      for (const parts of mixtures) yield* inspect(fill(`${parts.join("")}.`))
    }).pipe(Effect.provide(guardLayer)))

  it.scoped("that is all credentials, allowed and not", () =>
    Effect.gen(function*() {
      const guard = yield* SecretGuard.SecretGuard
      const token = credentials("hostile")["github-token"]!
      const many = JSON.stringify({ a: Array.from({ length: size / 50 }, () => token) })
      const allowed = Schema.Struct({
        a: Schema.Array(Schema.Union(Schema.Number, Schema.String.pipe(Secrets.allow("test"))))
      })
      assert.strictEqual(yield* refusalOf(guard, many), "input.a[0]: github-token")
      assert.strictEqual(yield* refusalOf(guard, many, allowed), "input.a[999]: github-token")
      assert.notInclude(guard.redact(many), token)
    }).pipe(Effect.provide(guardLayer)))

  it.scoped("that is nested as deep as it is long", () =>
    Effect.gen(function*() {
      const guard = yield* SecretGuard.SecretGuard
      const token = credentials("hostile")["github-token"]!
      const deep = `${"[".repeat(size / 2)}"${token}"${"]".repeat(size / 2)}`
      assert.match(yield* Effect.map(refusalOf(guard, deep), String), /^input(?:\[0\]){100,}.*…: github-token$/)
    }).pipe(Effect.provide(guardLayer)))
})

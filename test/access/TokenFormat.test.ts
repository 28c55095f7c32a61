import { assert, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import * as fc from "fast-check"
import { containsSecret, generate, isPlausible } from "../../src/access/internal/TokenFormat.ts"

const secret = Effect.map(generate, Redacted.value)
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

it.effect("a new secret is smithers_, 43 base64url characters, and a checksum of 6", () =>
  Effect.gen(function*() {
    for (let i = 0; i < 200; i++) {
      const text = yield* secret
      assert.match(text, /^smithers_[A-Za-z0-9_-]{43}_[0-9A-Za-z]{6}$/)
      assert.isTrue(isPlausible(text))
    }
  }))

it.effect("no two secrets are alike", () =>
  Effect.gen(function*() {
    const secrets = yield* Effect.replicateEffect(secret, 1_000)
    assert.strictEqual(new Set(secrets).size, 1_000)
  }))

it.effect("a secret with one character changed is refused", () =>
  Effect.gen(function*() {
    const text = yield* secret
    fc.assert(fc.property(fc.nat(text.length - 1), fc.constantFrom(...alphabet), (at, char) => {
      fc.pre(text[at] !== char && at >= "smithers_".length)
      assert.isFalse(isPlausible(text.slice(0, at) + char + text.slice(at + 1)))
    }))
  }))

it.effect("a secret with two neighbours exchanged is refused", () =>
  Effect.gen(function*() {
    const text = yield* secret
    for (let at = "smithers_".length; at < text.length - 1; at++) {
      if (text[at] === text[at + 1]) continue
      assert.isFalse(isPlausible(text.slice(0, at) + text[at + 1] + text[at] + text.slice(at + 2)))
    }
  }))

it.effect("a truncated or lengthened secret is refused", () =>
  Effect.gen(function*() {
    const text = yield* secret
    for (let length = 0; length < text.length; length++) assert.isFalse(isPlausible(text.slice(0, length)))
    for (const more of [" ", "\n", "0", text]) assert.isFalse(isPlausible(text + more))
  }))

it("no other text that begins like a secret is taken for one", () => {
  fc.assert(fc.property(fc.oneof(fc.string(), fc.fullUnicodeString()), (text) => {
    assert.isFalse(isPlausible(`smithers_${text}`))
  }))
})

it.effect("a secret is found inside other text", () =>
  Effect.gen(function*() {
    const text = yield* secret
    assert.isTrue(containsSecret(`for CI: ${text}.`))
    assert.isFalse(containsSecret("smithers_token_for_the_nightly_build"))
  }))
